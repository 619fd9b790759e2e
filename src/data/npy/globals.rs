//! The closed list of what a pickle may call, and what each call means here. Nothing is executed:
//! every entry is a few lines of Rust that build a node.

use std::borrow::Cow;

use anyhow::{Context, Result, bail, ensure};

use super::array::{self, Kind};
use super::tree::{Id, Node, Tree, scalar_node};

/// A Python name that a pickle may refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Global {
    Reconstruct,
    FromBuffer,
    NdArray,
    Dtype,
    Scalar,
    Encode,
    OrderedDict,
    Bytes,
}

impl Global {
    /// The name, if it is on the list.
    pub fn find(module: &str, name: &str) -> Result<Self> {
        Ok(match (module, name) {
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => {
                Self::Reconstruct
            }
            ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Self::Scalar,
            ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer") => Self::FromBuffer,
            ("numpy", "ndarray") => Self::NdArray,
            ("numpy", "dtype") => Self::Dtype,
            ("_codecs", "encode") => Self::Encode,
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("__builtin__" | "builtins", "bytes") => Self::Bytes,
            _ => bail!("refused: the file asks for {module}.{name}, which no label or CAM needs"),
        })
    }

    /// For messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reconstruct => "_reconstruct",
            Self::FromBuffer => "_frombuffer",
            Self::NdArray => "ndarray",
            Self::Dtype => "dtype",
            Self::Scalar => "scalar",
            Self::Encode => "encode",
            Self::OrderedDict => "OrderedDict",
            Self::Bytes => "bytes",
        }
    }
}

/// What calling `global` with the arguments makes.
pub fn call<'a>(tree: &Tree<'a>, global: Global, arguments: &[Id]) -> Result<Node<'a>> {
    match (global, arguments) {
        (Global::Reconstruct, [class, _, _]) => {
            let plain = matches!(tree.node(*class), Node::Global(Global::NdArray));
            ensure!(plain, "a subclass of ndarray");
            Ok(Node::Blank)
        }
        (Global::FromBuffer, [data, kind, shape, order]) => Ok(Node::Array {
            kind: tree.kind(*kind)?.clone(),
            shape: tree.shape(*shape)?,
            fortran_order: tree.text(*order)? == "F",
            data: *data,
        }),
        (Global::Dtype, [name, ..]) => Ok(Node::Kind(Kind::parse(tree.text(*name)?)?)),
        (Global::Scalar, [kind, data]) => {
            scalar_node(array::decode(tree.kind(*kind)?, &[], false, tree.bytes(*data)?)?)
        }
        (Global::Encode, [text, coding]) => {
            let coding = tree.text(*coding)?;
            ensure!(matches!(coding, "latin1" | "latin-1"), "bytes written as {coding}");
            latin1(tree.text(*text)?)
        }
        (Global::OrderedDict, []) => Ok(Node::Dict(Vec::new())),
        (Global::Bytes, []) => Ok(Node::Bytes(Cow::Borrowed(&[]))),
        _ => bail!("{} with {} arguments", global.name(), arguments.len()),
    }
}

/// Bytes as protocol 2 writes them: one character each.
fn latin1<'a>(text: &str) -> Result<Node<'a>> {
    let bytes = text.chars().map(|c| u8::try_from(u32::from(c)));
    Ok(Node::Bytes(Cow::Owned(bytes.collect::<Result<_, _>>().context("not latin-1")?)))
}

/// Gives an object its state (opcode BUILD).
pub fn build<'a>(tree: &Tree<'a>, object: Id, state: Id) -> Result<Node<'a>> {
    match (tree.node(object), tree.tuple(state)?) {
        (Node::Blank, [_, shape, kind, fortran_order, data]) => Ok(Node::Array {
            kind: tree.kind(*kind)?.clone(),
            shape: tree.shape(*shape)?,
            fortran_order: matches!(tree.node(*fortran_order), Node::Bool(true) | Node::Int(1)),
            data: *data,
        }),
        (Node::Kind(kind), [_, order, parts @ .., _, _, _]) => {
            let plain = parts.iter().all(|&part| matches!(tree.node(part), Node::None));
            ensure!(plain, "a structured element type");
            Ok(Node::Kind(Kind { big_endian: tree.text(*order)? == ">", ..kind.clone() }))
        }
        _ => bail!("a state for an object that has none"),
    }
}
