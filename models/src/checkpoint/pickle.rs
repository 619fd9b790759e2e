//! The part of Python's pickle language that state dicts are written in.
//!
//! Nothing is imported and nothing is called: a class is its name, a call stays a call until `pth` makes
//! sense of it. Containers live in one table and refer to each other by number, so that neither depth
//! nor cycles matter; each instruction adds one entry at most, so memory is bounded by the input.

use std::collections::HashMap;
use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};

/// Anything.
#[derive(Clone, Debug)]
pub enum Value {
    None,
    Bool,
    Float,
    Int(i64),
    Text(Rc<str>),
    /// Module and name.
    Global(Rc<str>, Rc<str>),
    /// A container, by its number.
    At(usize),
}

/// A container.
#[derive(Debug)]
pub enum Node {
    /// Tuple, list or set.
    Sequence(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    /// A callable and its arguments.
    Call(Value, Value),
    /// What the surrounding file resolves: here, a storage.
    Persistent(Value),
}

/// Reads pickles from `bytes`, one after the other.
pub struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
    /// Containers by number.
    pub nodes: Vec<Node>,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<usize, Value>,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            position: 0,
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        }
    }

    /// The next pickle's value.
    pub fn value(&mut self) -> Result<Value> {
        self.stack.clear();
        self.marks.clear();
        self.memo.clear();
        loop {
            let at = self.position;
            let code = self.take(1)?[0];
            if code == b'.' {
                return self.pop();
            }
            self.step(code)
                .with_context(|| format!("pickle instruction {code:#04x} at byte {at}"))?;
        }
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.position..];
        ensure!(count <= rest.len(), "{count} bytes wanted, {} left: truncated?", rest.len());
        self.position += count;
        Ok(&rest[..count])
    }

    /// A little-endian number of `count` bytes, at most 8.
    pub fn number(&mut self, count: usize) -> Result<usize> {
        let mut bytes = [0; 8];
        bytes[..count].copy_from_slice(self.take(count)?);
        Ok(usize::try_from(u64::from_le_bytes(bytes))?)
    }

    fn step(&mut self, code: u8) -> Result<()> {
        match code {
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'}' => self.push_node(Node::Dict(Vec::new())),
            b']' | b')' | 0x8f => self.push_node(Node::Sequence(Vec::new())),
            b'N' => self.stack.push(Value::None),
            0x88 | 0x89 => self.stack.push(Value::Bool),
            b'J' => {
                let number = self.number(4)? as u32;
                self.stack.push(Value::Int(i64::from(number.cast_signed())));
            }
            b'K' => self.int(1)?,
            b'M' => self.int(2)?,
            0x8a => self.long()?,
            b'G' => {
                self.take(8)?;
                self.stack.push(Value::Float);
            }
            b'X' | b'T' | b'B' => self.text(4)?,
            0x8c | b'U' | b'C' => self.text(1)?,
            0x8d => self.text(8)?,
            b'q' => self.remember(1)?,
            b'r' => self.remember(4)?,
            0x94 => drop(self.memo.insert(self.memo.len(), self.top()?)),
            b'h' => self.recall(1)?,
            b'j' => self.recall(4)?,
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.stack.push(Value::Global(module, name));
            }
            0x93 => match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => {
                    self.stack.push(Value::Global(module, name));
                }
                _ => bail!("a class without a name"),
            },
            b't' => {
                let items = self.since_mark()?;
                self.push_node(Node::Sequence(items));
            }
            0x85..=0x87 => {
                let count = usize::from(code - 0x84);
                let start = self.stack.len().checked_sub(count).context("empty stack")?;
                let items = self.stack.split_off(start);
                self.push_node(Node::Sequence(items));
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            b'e' | 0x90 => {
                let items = self.since_mark()?;
                self.extend(items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set_items(vec![key, value])?;
            }
            b'u' => {
                let items = self.since_mark()?;
                self.set_items(items)?;
            }
            b'R' | 0x81 => self.call()?,
            // State of an object: attributes of a dict, nothing that is wanted here.
            b'b' => drop(self.pop()?),
            b'0' => drop(self.pop()?),
            b'Q' => {
                let id = self.pop()?;
                self.push_node(Node::Persistent(id));
            }
            _ => bail!("not used by state dicts"),
        }
        Ok(())
    }

    fn top(&self) -> Result<Value> {
        self.stack.last().cloned().context("empty stack")
    }

    fn pop(&mut self) -> Result<Value> {
        self.stack.pop().context("empty stack")
    }

    fn push_node(&mut self, node: Node) {
        self.stack.push(Value::At(self.nodes.len()));
        self.nodes.push(node);
    }

    fn since_mark(&mut self) -> Result<Vec<Value>> {
        let mark = self.marks.pop().filter(|&mark| mark <= self.stack.len());
        Ok(self.stack.split_off(mark.context("no mark")?))
    }

    fn int(&mut self, bytes: usize) -> Result<()> {
        let number = self.number(bytes)?;
        self.stack.push(Value::Int(number as i64));
        Ok(())
    }

    /// A long integer; one of more than 8 bytes (the legacy magic number) is nobody's size.
    fn long(&mut self) -> Result<()> {
        let count = self.number(1)?;
        let bytes = self.take(count)?;
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        let fits = bytes.len().min(8);
        wide[..fits].copy_from_slice(&bytes[..fits]);
        let value = if count > 8 { Value::None } else { Value::Int(i64::from_le_bytes(wide)) };
        self.stack.push(value);
        Ok(())
    }

    fn text(&mut self, size: usize) -> Result<()> {
        let count = self.number(size)?;
        let text = String::from_utf8_lossy(self.take(count)?);
        self.stack.push(Value::Text(text.into()));
        Ok(())
    }

    fn line(&mut self) -> Result<Rc<str>> {
        let rest = &self.bytes[self.position..];
        let length = rest.iter().position(|&byte| byte == b'\n').context("no end of line")?;
        let line = self.take(length + 1)?;
        Ok(String::from_utf8_lossy(&line[..length]).into())
    }

    fn remember(&mut self, bytes: usize) -> Result<()> {
        let (key, value) = (self.number(bytes)?, self.top()?);
        self.memo.insert(key, value);
        Ok(())
    }

    fn recall(&mut self, bytes: usize) -> Result<()> {
        let key = self.number(bytes)?;
        self.stack.push(self.memo.get(&key).cloned().context("nothing remembered")?);
        Ok(())
    }

    fn extend(&mut self, items: Vec<Value>) -> Result<()> {
        let Value::At(target) = self.top()? else { bail!("not a list") };
        match &mut self.nodes[target] {
            Node::Sequence(list) => list.extend(items),
            _ => bail!("not a list"),
        }
        Ok(())
    }

    fn set_items(&mut self, items: Vec<Value>) -> Result<()> {
        let Value::At(target) = self.top()? else { bail!("not a dict") };
        match &mut self.nodes[target] {
            Node::Dict(dict) => {
                dict.extend(items.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())));
            }
            // Items of an object that is none of ours.
            Node::Call(..) => {}
            _ => bail!("not a dict"),
        }
        Ok(())
    }

    /// An ordered dict is a dict; any other call is kept as such.
    fn call(&mut self) -> Result<()> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let ordered = matches!(&callable, Value::Global(module, name)
            if &**module == "collections" && &**name == "OrderedDict");
        let node = if ordered { Node::Dict(Vec::new()) } else { Node::Call(callable, arguments) };
        self.push_node(node);
        Ok(())
    }
}
