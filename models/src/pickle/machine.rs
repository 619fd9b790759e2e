//! The pickle machine, protocols 2 to 5.

use std::borrow::Cow;

use anyhow::{Context, Result, bail, ensure};

use super::input::Input;
use super::plain;
use super::stack::Stack;
use super::tree::{Call, Global, Id, Node, Tree};

/// The closed list of names that a kind of file may refer to, besides plain Python containers.
#[derive(Clone, Copy, Debug)]
pub struct Allowed {
    /// Whether a module's name is on the list.
    pub contains: fn(module: &str, name: &str) -> bool,
    /// What needs no other name, for the message: `checkpoint`.
    pub file: &'static str,
}

impl Allowed {
    fn check(&self, module: &str, name: &str) -> Result<()> {
        let known = plain::contains(module, name) || (self.contains)(module, name);
        ensure!(known, "refused: the file asks for {module}.{name}, which no {} needs", self.file);
        Ok(())
    }
}

/// Reads pickles from bytes, one after the other.
#[derive(Debug)]
pub struct Machine<'a> {
    length: usize,
    input: Input<'a>,
    allowed: Allowed,
    tree: Tree<'a>,
    stack: Stack,
}

impl<'a> Machine<'a> {
    /// Begins at the start of `input`.
    pub fn new(input: &'a [u8], allowed: Allowed) -> Self {
        Self {
            length: input.len(),
            input: Input(input),
            allowed,
            tree: Tree::default(),
            stack: Stack::default(),
        }
    }

    /// The next pickle's object.
    ///
    /// # Errors
    /// A damaged or truncated pickle, names that are not allowed, instructions that no such file needs.
    pub fn value(&mut self) -> Result<Id> {
        self.stack = Stack::default();
        self.run().with_context(|| {
            format!("pickle, at byte {} of {}", self.length - self.input.0.len(), self.length)
        })
    }

    /// All objects so far.
    pub fn tree(&self) -> &Tree<'a> {
        &self.tree
    }

    /// All objects.
    pub fn into_tree(self) -> Tree<'a> {
        self.tree
    }

    /// What has not been read yet: bytes behind a pickle.
    pub fn input(&mut self) -> &mut Input<'a> {
        &mut self.input
    }

    fn run(&mut self) -> Result<Id> {
        loop {
            let [opcode] = self.input.take()?;
            match opcode {
                b'.' => return self.stack.pop(),
                0x80 => {
                    let [protocol] = self.input.take()?;
                    ensure!((2..=5).contains(&protocol), "protocol {protocol}");
                }
                // Frames only announce how much follows.
                0x95 => drop(self.input.take::<8>()?),
                _ => {
                    let known =
                        self.atom(opcode)? || self.container(opcode)? || self.other(opcode)?;
                    ensure!(known, "opcode {opcode:#04x} is not supported");
                }
            }
        }
    }

    /// Numbers, texts and constants.
    fn atom(&mut self, opcode: u8) -> Result<bool> {
        let node = match opcode {
            b'N' => Node::None,
            0x88 => Node::Bool(true),
            0x89 => Node::Bool(false),
            b'J' => Node::Int(i64::from(i32::from_le_bytes(self.input.take()?))),
            b'K' => Node::Int(i64::from(u8::from_le_bytes(self.input.take()?))),
            b'M' => Node::Int(i64::from(u16::from_le_bytes(self.input.take()?))),
            0x8a => Node::Int(long(self.input.sized::<1>()?)?),
            0x8b => Node::Int(long(self.input.sized::<4>()?)?),
            b'G' => Node::Float(f64::from_be_bytes(self.input.take()?)),
            b'X' => text(self.input.sized::<4>()?)?,
            0x8c => text(self.input.sized::<1>()?)?,
            0x8d => text(self.input.sized::<8>()?)?,
            b'B' | b'T' => Node::Bytes(Cow::Borrowed(self.input.sized::<4>()?)),
            b'C' | b'U' => Node::Bytes(Cow::Borrowed(self.input.sized::<1>()?)),
            0x8e | 0x96 => Node::Bytes(Cow::Borrowed(self.input.sized::<8>()?)),
            b')' => Node::Tuple(Vec::new()),
            b']' | 0x8f => Node::List(Vec::new()),
            b'}' => Node::Dict(Vec::new()),
            _ => return Ok(false),
        };
        self.push(node)?;
        Ok(true)
    }

    /// Tuples, lists and dicts.
    fn container(&mut self, opcode: u8) -> Result<bool> {
        match opcode {
            b'(' => self.stack.mark(),
            0x85..=0x87 => {
                let items = self.stack.pop_many(usize::from(opcode - 0x84))?;
                self.push(Node::Tuple(items))?;
            }
            b't' => {
                let items = self.stack.pop_to_mark()?;
                self.push(Node::Tuple(items))?;
            }
            b'l' | 0x91 => {
                let items = self.stack.pop_to_mark()?;
                self.push(Node::List(items))?;
            }
            b'd' => {
                let items = self.stack.pop_to_mark()?;
                self.push(Node::Dict(pairs(&items)?))?;
            }
            b'a' => {
                let item = self.stack.pop()?;
                self.extend_list(&[item])?;
            }
            b'e' | 0x90 => {
                let items = self.stack.pop_to_mark()?;
                self.extend_list(&items)?;
            }
            b's' => {
                let items = self.stack.pop_many(2)?;
                self.extend_dict(&items)?;
            }
            b'u' => {
                let items = self.stack.pop_to_mark()?;
                self.extend_dict(&items)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The memo, the stack, names and calls.
    fn other(&mut self, opcode: u8) -> Result<bool> {
        match opcode {
            b'q' => self.stack.remember(self.input.number::<1>()?)?,
            b'r' => self.stack.remember(self.input.number::<4>()?)?,
            0x94 => self.stack.remember_next()?,
            b'h' => self.stack.recall(self.input.number::<1>()?)?,
            b'j' => self.stack.recall(self.input.number::<4>()?)?,
            b'0' => drop(self.stack.pop()?),
            b'1' => drop(self.stack.pop_to_mark()?),
            b'2' => self.stack.double()?,
            b'c' => {
                let (module, name) = (self.input.line()?, self.input.line()?);
                self.global(Cow::Borrowed(module), Cow::Borrowed(name))?;
            }
            0x93 => {
                let names = self.stack.pop_many(2)?;
                let [module, name] = [names[0], names[1]].map(|id| self.tree.text(id));
                let (module, name) = (module?.to_string(), name?.to_string());
                self.global(Cow::Owned(module), Cow::Owned(name))?;
            }
            b'R' | 0x81 => self.call()?,
            b'b' => self.build()?,
            b'Q' => {
                let id = self.stack.pop()?;
                self.push(Node::Persistent(id))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn global(&mut self, module: Cow<'a, str>, name: Cow<'a, str>) -> Result<()> {
        self.allowed.check(&module, &name)?;
        self.push(Node::Global(Box::new(Global { module, name })))
    }

    fn call(&mut self) -> Result<()> {
        let operands = self.stack.pop_many(2)?;
        let (callable, arguments) = (operands[0], operands[1]);
        let Node::Global(global) = self.tree.node(callable) else {
            bail!("a call of something that is no function");
        };
        let node = match plain::made(&self.tree, global, self.tree.items(arguments)?)? {
            Some(node) => node,
            None => Node::Call(Box::new(Call { callable, arguments, state: None })),
        };
        self.push(node)
    }

    /// Gives an object its state; a dict has none that is wanted here.
    fn build(&mut self) -> Result<()> {
        let state = self.stack.pop()?;
        let object = self.stack.top()?;
        match self.tree.node_mut(object) {
            Node::Call(call) => call.state = Some(state),
            Node::Dict(_) => {}
            other => bail!("a state for {}", other.what()),
        }
        Ok(())
    }

    fn push(&mut self, node: Node<'a>) -> Result<()> {
        let id = self.tree.add(node)?;
        self.stack.push(id);
        Ok(())
    }

    fn extend_list(&mut self, items: &[Id]) -> Result<()> {
        let list = self.stack.top()?;
        match self.tree.node_mut(list) {
            Node::List(list) => list.extend(items),
            other => bail!("items for {}", other.what()),
        }
        Ok(())
    }

    fn extend_dict(&mut self, items: &[Id]) -> Result<()> {
        let dict = self.stack.top()?;
        match self.tree.node_mut(dict) {
            Node::Dict(dict) => dict.extend(pairs(items)?),
            other => bail!("entries for {}", other.what()),
        }
        Ok(())
    }
}

fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>> {
    let (pairs, rest) = items.as_chunks::<2>();
    ensure!(rest.is_empty(), "a key without a value");
    Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
}

fn text(bytes: &[u8]) -> Result<Node<'_>> {
    Ok(Node::Text(Cow::Borrowed(std::str::from_utf8(bytes).context("text that is no UTF-8")?)))
}

/// A two's complement number of any length.
fn long(bytes: &[u8]) -> Result<i64> {
    ensure!(bytes.len() <= 8, "a number of {} bytes", bytes.len());
    let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
    let mut padded = [if negative { 0xff } else { 0 }; 8];
    padded[..bytes.len()].copy_from_slice(bytes);
    Ok(i64::from_le_bytes(padded))
}
