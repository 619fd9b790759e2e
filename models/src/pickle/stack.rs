//! The machine's stack, with its marks, and the memo of objects that occur again.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};

use super::tree::Id;

/// Objects at hand.
#[derive(Debug, Default)]
pub struct Stack {
    items: Vec<Id>,
    /// Heights of the stack at the open marks.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

impl Stack {
    pub fn push(&mut self, id: Id) {
        self.items.push(id);
    }

    pub fn mark(&mut self) {
        self.marks.push(self.items.len());
    }

    /// Height below which nothing may be popped: that of the last mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    pub fn top(&self) -> Result<Id> {
        ensure!(self.items.len() > self.floor(), "the stack is empty");
        self.items.last().copied().context("the stack is empty")
    }

    pub fn pop(&mut self) -> Result<Id> {
        let top = self.top()?;
        self.items.pop();
        Ok(top)
    }

    pub fn pop_many(&mut self, count: usize) -> Result<Vec<Id>> {
        ensure!(self.items.len() >= self.floor() + count, "the stack is empty");
        Ok(self.items.split_off(self.items.len() - count))
    }

    pub fn pop_to_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().context("no mark")?;
        Ok(self.items.split_off(mark))
    }

    pub fn double(&mut self) -> Result<()> {
        let top = self.top()?;
        self.push(top);
        Ok(())
    }

    pub fn remember(&mut self, number: u64) -> Result<()> {
        let top = self.top()?;
        self.memo.insert(number, top);
        Ok(())
    }

    pub fn remember_next(&mut self) -> Result<()> {
        self.remember(self.memo.len() as u64)
    }

    pub fn recall(&mut self, number: u64) -> Result<()> {
        let known = self.memo.get(&number).copied();
        self.push(known.with_context(|| format!("nothing in memo {number}"))?);
        Ok(())
    }
}
