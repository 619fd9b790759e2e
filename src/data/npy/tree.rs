//! What a pickle builds: nodes that refer to each other by number, so that shared and even cyclic
//! objects need neither copies nor recursion while they are read. The conversion into a [`Value`]
//! is bounded in depth and in size.

use std::borrow::Cow;

use anyhow::{Context, Result, bail, ensure};

use super::array::{self, Kind};
use super::globals::Global;
use super::{Array, Value};

/// Number of a node.
pub type Id = usize;

/// More nodes are refused; labels for a million images take a fraction.
const MAX_NODES: usize = 1 << 24;
/// Deeper nesting is refused.
const MAX_DEPTH: usize = 32;
/// The converted value may be this many times as large as the file: objects that occur several
/// times are written once.
const EXPANSION: usize = 16;

/// One object of a pickle.
#[derive(Clone, Debug)]
pub enum Node<'a> {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Kind(Kind),
    /// An array whose state has not come yet.
    Blank,
    Array {
        kind: Kind,
        shape: Vec<usize>,
        fortran_order: bool,
        data: Id,
    },
}

/// All objects of a pickle.
#[derive(Default)]
pub struct Tree<'a> {
    nodes: Vec<Node<'a>>,
}

impl<'a> Tree<'a> {
    pub fn add(&mut self, node: Node<'a>) -> Result<Id> {
        ensure!(self.nodes.len() < MAX_NODES, "more than {MAX_NODES} objects");
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }

    pub fn node(&self, id: Id) -> &Node<'a> {
        &self.nodes[id]
    }

    pub fn node_mut(&mut self, id: Id) -> &mut Node<'a> {
        &mut self.nodes[id]
    }

    pub fn text(&self, id: Id) -> Result<&str> {
        match self.node(id) {
            Node::Text(text) => Ok(text),
            Node::Bytes(bytes) => std::str::from_utf8(bytes).context("text expected"),
            _ => bail!("text expected"),
        }
    }

    pub fn bytes(&self, id: Id) -> Result<&Cow<'a, [u8]>> {
        match self.node(id) {
            Node::Bytes(bytes) => Ok(bytes),
            _ => bail!("bytes expected"),
        }
    }

    pub fn tuple(&self, id: Id) -> Result<&[Id]> {
        match self.node(id) {
            Node::Tuple(items) => Ok(items),
            _ => bail!("a tuple expected"),
        }
    }

    pub fn kind(&self, id: Id) -> Result<&Kind> {
        match self.node(id) {
            Node::Kind(kind) => Ok(kind),
            _ => bail!("an element type expected"),
        }
    }

    /// A tuple of lengths.
    pub fn shape(&self, id: Id) -> Result<Vec<usize>> {
        let side = |&id: &Id| match self.node(id) {
            Node::Int(side) => usize::try_from(*side).context("a negative length"),
            _ => bail!("a length expected"),
        };
        self.tuple(id)?.iter().map(side).collect()
    }

    /// The object with everything it refers to, from a file of `file_size` bytes.
    pub fn value(&self, id: Id, file_size: usize) -> Result<Value> {
        let budget = EXPANSION.saturating_mul(file_size).saturating_add(1 << 20);
        Expansion { tree: self, budget }.value(id, 0)
    }
}

struct Expansion<'a> {
    tree: &'a Tree<'a>,
    budget: usize,
}

impl Expansion<'_> {
    fn spend(&mut self, bytes: usize) -> Result<()> {
        let left = self.budget.checked_sub(bytes);
        self.budget = left.context("the objects are repeated too often")?;
        Ok(())
    }

    fn value(&mut self, id: Id, depth: usize) -> Result<Value> {
        ensure!(depth <= MAX_DEPTH, "objects are nested more than {MAX_DEPTH} deep");
        self.spend(1)?;
        Ok(match self.tree.node(id) {
            Node::None => Value::None,
            Node::Bool(value) => Value::Bool(*value),
            Node::Int(value) => Value::Int(*value),
            Node::Float(value) => Value::Float(*value),
            Node::Text(_) | Node::Bytes(_) => {
                let text = self.tree.text(id)?;
                self.spend(text.len())?;
                Value::Str(text.to_string())
            }
            Node::Tuple(items) => Value::Tuple(self.values(items, depth)?),
            Node::List(items) => Value::List(self.values(items, depth)?),
            Node::Dict(entries) => Value::Dict(self.entries(entries, depth)?),
            Node::Array { kind, shape, fortran_order, data } if kind.letter != 'O' => {
                let data = self.tree.bytes(*data)?;
                self.spend(data.len())?;
                array::decode(kind, shape, *fortran_order, data)?
            }
            Node::Array { shape, data, .. } => self.objects(shape, *data, depth)?,
            Node::Global(global) => bail!("{} on its own", global.name()),
            Node::Kind(_) => bail!("an element type on its own"),
            Node::Blank => bail!("an array without its state"),
        })
    }

    fn values(&mut self, ids: &[Id], depth: usize) -> Result<Vec<Value>> {
        ids.iter().map(|&id| self.value(id, depth + 1)).collect()
    }

    fn entries(&mut self, ids: &[(Id, Id)], depth: usize) -> Result<Vec<(Value, Value)>> {
        let entry = |&(key, value): &(Id, Id)| {
            Ok((self.value(key, depth + 1)?, self.value(value, depth + 1)?))
        };
        ids.iter().map(entry).collect()
    }

    /// An array of objects: the object itself for shape (), else a flat list.
    fn objects(&mut self, shape: &[usize], data: Id, depth: usize) -> Result<Value> {
        let Node::List(items) = self.tree.node(data) else { bail!("a list of objects expected") };
        match (shape, items.as_slice()) {
            ([], [item]) => self.value(*item, depth + 1),
            ([], _) => bail!("one object expected"),
            _ => Ok(Value::List(self.values(items, depth)?)),
        }
    }
}

/// A NumPy scalar as a node.
pub fn scalar_node(value: Value) -> Result<Node<'static>> {
    let Value::Array(array) = value else {
        return match value {
            Value::Str(text) => Ok(Node::Text(Cow::Owned(text))),
            other => bail!("{} as a scalar", other.what()),
        };
    };
    let node = match &array {
        Array::F32(array) => array.first().map(|&v| Node::Float(f64::from(v))),
        Array::F64(array) => array.first().map(|&v| Node::Float(v)),
        Array::I64(array) => array.first().map(|&v| Node::Int(v)),
        Array::U8(array) => array.first().map(|&v| Node::Int(i64::from(v))),
        Array::Bool(array) => array.first().map(|&v| Node::Bool(v)),
    };
    node.context("an empty scalar")
}
