//! The pickle machine, protocols 2 to 5, without the opcodes that create arbitrary objects.

use std::borrow::Cow;
use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};

use super::Value;
use super::globals::{self, Global};
use super::tree::{Id, Node, Tree};

/// The object a pickle describes.
pub fn load(data: &[u8]) -> Result<Value> {
    let mut machine = Machine { input: data, ..Machine::default() };
    let result = machine.run().with_context(|| {
        format!("pickle, at byte {} of {}", data.len() - machine.input.len(), data.len())
    })?;
    machine.tree.value(result, data.len())
}

#[derive(Default)]
struct Machine<'a> {
    /// What has not been read yet.
    input: &'a [u8],
    tree: Tree<'a>,
    stack: Vec<Id>,
    /// Heights of the stack at the open marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    fn run(&mut self) -> Result<Id> {
        loop {
            let [opcode] = self.take()?;
            match opcode {
                b'.' => return self.pop(),
                0x80 => {
                    let [protocol] = self.take()?;
                    ensure!((2..=5).contains(&protocol), "protocol {protocol}");
                }
                // Frames only announce how much follows.
                0x95 => drop(self.take::<8>()?),
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
            b'J' => Node::Int(i64::from(i32::from_le_bytes(self.take()?))),
            b'K' => Node::Int(i64::from(u8::from_le_bytes(self.take()?))),
            b'M' => Node::Int(i64::from(u16::from_le_bytes(self.take()?))),
            0x8a => Node::Int(long(self.sized::<1>()?)?),
            0x8b => Node::Int(long(self.sized::<4>()?)?),
            b'G' => Node::Float(f64::from_be_bytes(self.take()?)),
            b'X' => text(self.sized::<4>()?)?,
            0x8c => text(self.sized::<1>()?)?,
            0x8d => text(self.sized::<8>()?)?,
            b'B' | b'T' => Node::Bytes(Cow::Borrowed(self.sized::<4>()?)),
            b'C' | b'U' => Node::Bytes(Cow::Borrowed(self.sized::<1>()?)),
            0x8e | 0x96 => Node::Bytes(Cow::Borrowed(self.sized::<8>()?)),
            b')' => Node::Tuple(Vec::new()),
            b']' => Node::List(Vec::new()),
            b'}' => Node::Dict(Vec::new()),
            _ => return Ok(false),
        };
        self.push(node)?;
        Ok(true)
    }

    /// Tuples, lists and dicts.
    fn container(&mut self, opcode: u8) -> Result<bool> {
        match opcode {
            b'(' => self.marks.push(self.stack.len()),
            0x85..=0x87 => {
                let items = self.pop_many(usize::from(opcode - 0x84))?;
                self.push(Node::Tuple(items))?;
            }
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Node::Tuple(items))?;
            }
            b'l' => {
                let items = self.pop_to_mark()?;
                self.push(Node::List(items))?;
            }
            b'd' => {
                let items = self.pop_to_mark()?;
                self.push(Node::Dict(pairs(&items)?))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.extend_list(&[item])?;
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.extend_list(&items)?;
            }
            b's' => {
                let items = self.pop_many(2)?;
                self.extend_dict(&items)?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.extend_dict(&items)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The memo, the stack, names and calls.
    fn other(&mut self, opcode: u8) -> Result<bool> {
        match opcode {
            b'q' => self.remember::<1>()?,
            b'r' => self.remember::<4>()?,
            0x94 => {
                let number = u32::try_from(self.memo.len())?;
                self.memo.insert(number, self.top()?);
            }
            b'h' => self.recall::<1>()?,
            b'j' => self.recall::<4>()?,
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_to_mark()?),
            b'2' => self.stack.push(self.top()?),
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Node::Global(Global::find(module, name)?))?;
            }
            0x93 => {
                let names = self.pop_many(2)?;
                let global = Global::find(self.tree.text(names[0])?, self.tree.text(names[1])?)?;
                self.push(Node::Global(global))?;
            }
            b'R' => self.call()?,
            b'b' => {
                let state = self.pop()?;
                let object = self.top()?;
                *self.tree.node_mut(object) = globals::build(&self.tree, object, state)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn call(&mut self) -> Result<()> {
        let operands = self.pop_many(2)?;
        let Node::Global(global) = *self.tree.node(operands[0]) else {
            bail!("a call of something that is no function");
        };
        let result = globals::call(&self.tree, global, self.tree.tuple(operands[1])?)?;
        self.push(result)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (bytes, rest) = self.input.split_first_chunk().context("truncated")?;
        self.input = rest;
        Ok(*bytes)
    }

    /// A little-endian number of N bytes.
    fn number<const N: usize>(&mut self) -> Result<u64> {
        let bytes: [u8; N] = self.take()?;
        Ok(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// A length of N bytes, and as many bytes as it says.
    fn sized<const N: usize>(&mut self) -> Result<&'a [u8]> {
        let length = usize::try_from(self.number::<N>()?)?;
        let (bytes, rest) = self.input.split_at_checked(length).context("truncated")?;
        self.input = rest;
        Ok(bytes)
    }

    fn line(&mut self) -> Result<&'a str> {
        let end = self.input.iter().position(|&byte| byte == b'\n').context("truncated")?;
        let line = &self.input[..end];
        self.input = &self.input[end + 1..];
        std::str::from_utf8(line).context("a name that is no text")
    }

    fn push(&mut self, node: Node<'a>) -> Result<()> {
        let id = self.tree.add(node)?;
        self.stack.push(id);
        Ok(())
    }

    /// Height below which nothing may be popped: that of the last mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<Id> {
        ensure!(self.stack.len() > self.floor(), "the stack is empty");
        self.stack.last().copied().context("the stack is empty")
    }

    fn pop(&mut self) -> Result<Id> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>> {
        ensure!(self.stack.len() >= self.floor() + count, "the stack is empty");
        Ok(self.stack.split_off(self.stack.len() - count))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().context("no mark")?;
        Ok(self.stack.split_off(mark))
    }

    fn extend_list(&mut self, items: &[Id]) -> Result<()> {
        let list = self.top()?;
        match self.tree.node_mut(list) {
            Node::List(list) => list.extend(items),
            _ => bail!("items for something that is no list"),
        }
        Ok(())
    }

    fn extend_dict(&mut self, items: &[Id]) -> Result<()> {
        let dict = self.top()?;
        match self.tree.node_mut(dict) {
            Node::Dict(dict) => dict.extend(pairs(items)?),
            _ => bail!("entries for something that is no dict"),
        }
        Ok(())
    }

    fn remember<const N: usize>(&mut self) -> Result<()> {
        let number = u32::try_from(self.number::<N>()?)?;
        self.memo.insert(number, self.top()?);
        Ok(())
    }

    fn recall<const N: usize>(&mut self) -> Result<()> {
        let number = u32::try_from(self.number::<N>()?)?;
        let id = *self.memo.get(&number).with_context(|| format!("nothing in memo {number}"))?;
        self.stack.push(id);
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
