//! What a pickle describes: objects that refer to each other by number.

use std::borrow::Cow;

use anyhow::{Context, Result, bail, ensure};

/// Number of an object.
pub type Id = usize;

/// More objects are refused; labels for a million images take fewer.
const MAX_NODES: usize = 1 << 24;

/// A Python name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Global<'a> {
    /// `torch._utils`, say.
    pub module: Cow<'a, str>,
    /// `_rebuild_tensor_v2`, say.
    pub name: Cow<'a, str>,
}

impl Global<'_> {
    /// Whether it is `module.name`.
    pub fn is(&self, module: &str, name: &str) -> bool {
        self.module == module && self.name == name
    }
}

/// A call that was not made.
#[derive(Clone, Debug)]
pub struct Call {
    /// A [`Global`].
    pub callable: Id,
    /// A tuple.
    pub arguments: Id,
    /// What the made object would have been given afterwards.
    pub state: Option<Id>,
}

/// One object of a pickle.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names are Python's")]
pub enum Node<'a> {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    Tuple(Vec<Id>),
    /// Sets too.
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Box<Global<'a>>),
    Call(Box<Call>),
    /// What the surrounding file resolves: a storage.
    Persistent(Id),
}

impl Node<'_> {
    /// The kind of object, for messages.
    pub fn what(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a truth value",
            Self::Int(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::Tuple(_) => "a tuple",
            Self::List(_) => "a list",
            Self::Dict(_) => "a dict",
            Self::Global(_) => "a name",
            Self::Call(_) => "an object",
            Self::Persistent(_) => "a storage",
        }
    }
}

/// All objects of a pickle.
#[derive(Debug, Default)]
pub struct Tree<'a> {
    nodes: Vec<Node<'a>>,
}

impl<'a> Tree<'a> {
    pub(super) fn add(&mut self, node: Node<'a>) -> Result<Id> {
        ensure!(self.nodes.len() < MAX_NODES, "more than {MAX_NODES} objects");
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }

    /// The object of a number.
    pub fn node(&self, id: Id) -> &Node<'a> {
        &self.nodes[id]
    }

    pub(super) fn node_mut(&mut self, id: Id) -> &mut Node<'a> {
        &mut self.nodes[id]
    }

    /// All objects with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (Id, &Node<'a>)> {
        self.nodes.iter().enumerate()
    }

    /// A text; Python 2 writes bytes for it.
    ///
    /// # Errors
    /// Anything else.
    pub fn text(&self, id: Id) -> Result<&str> {
        match self.node(id) {
            Node::Text(text) => Ok(text),
            Node::Bytes(bytes) => std::str::from_utf8(bytes).context("text expected, not bytes"),
            other => bail!("text expected, not {}", other.what()),
        }
    }

    /// Bytes.
    ///
    /// # Errors
    /// Anything else.
    pub fn bytes(&self, id: Id) -> Result<&[u8]> {
        match self.node(id) {
            Node::Bytes(bytes) => Ok(bytes),
            other => bail!("bytes expected, not {}", other.what()),
        }
    }

    /// The items of a tuple or list.
    ///
    /// # Errors
    /// Anything else.
    pub fn items(&self, id: Id) -> Result<&[Id]> {
        match self.node(id) {
            Node::Tuple(items) | Node::List(items) => Ok(items),
            other => bail!("a tuple expected, not {}", other.what()),
        }
    }

    /// A length, offset or stride.
    ///
    /// # Errors
    /// Anything else, a negative number too.
    pub fn size(&self, id: Id) -> Result<usize> {
        match self.node(id) {
            Node::Int(size) => usize::try_from(*size).context("a negative length"),
            other => bail!("a length expected, not {}", other.what()),
        }
    }

    /// A tuple of lengths.
    ///
    /// # Errors
    /// Anything else.
    pub fn sizes(&self, id: Id) -> Result<Vec<usize>> {
        self.items(id)?.iter().map(|&id| self.size(id)).collect()
    }

    /// A call's name and arguments; `None` for anything else.
    ///
    /// # Errors
    /// A call of something that has no name.
    pub fn call(&self, id: Id) -> Result<Option<(&Global<'a>, &[Id])>> {
        let Node::Call(call) = self.node(id) else { return Ok(None) };
        match self.node(call.callable) {
            Node::Global(global) => Ok(Some((global, self.items(call.arguments)?))),
            other => bail!("a call of {}", other.what()),
        }
    }
}
