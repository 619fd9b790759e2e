//! PyTorch's tensors as pickles describe them: calls of its rebuild functions on a storage.

use anyhow::{Result, bail, ensure};

pub use super::element::Element;
use super::tree::{Global, Id, Node, Tree};

/// PyTorch itself knows no more.
const MAX_AXES: usize = 64;

/// Whether a name is one that tensors are written with, by PyTorch 0.1 to 2.
pub fn contains(module: &str, name: &str) -> bool {
    match module {
        "torch._utils" => REBUILD.contains(&name),
        "torch._tensor" => name == "_rebuild_from_type_v2",
        "torch" | "torch.cuda" => {
            Element::of(name).is_ok() || matches!(name, "Size" | "device" | "Tensor")
        }
        "torch.nn.parameter" => name == "Parameter",
        "torch.autograd.variable" => name == "Variable",
        _ => false,
    }
}

const REBUILD: [&str; 4] = [
    "_rebuild_tensor",
    "_rebuild_tensor_v2",
    "_rebuild_parameter",
    "_rebuild_parameter_with_state",
];

/// Where the values of a tensor are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The storage, as the file refers to it.
    pub storage: Id,
    /// Of the first value, in values.
    pub offset: usize,
    /// Lengths of the axes.
    pub dims: Vec<usize>,
    /// Steps along the axes, in values.
    pub strides: Vec<usize>,
}

/// The tensor that an object is, a parameter's too; `None` for anything else.
///
/// # Errors
/// A tensor whose description makes no sense.
pub fn layout(tree: &Tree, id: Id) -> Result<Option<Layout>> {
    let mut id = id;
    // A parameter within a variable within a parameter is as deep as it gets.
    for _ in 0..4 {
        let Some((global, arguments)) = tree.call(id)? else { return Ok(None) };
        match (kind(global), arguments) {
            (Kind::Wrapper, [inner, ..]) => id = *inner,
            (Kind::Typed, [_, _, inner, ..]) => return typed(tree, arguments[0], *inner),
            (Kind::Tensor, arguments) => return rebuilt(tree, arguments).map(Some),
            _ => return Ok(None),
        }
    }
    Ok(None)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tensor,
    /// A parameter or variable around a tensor.
    Wrapper,
    /// `_rebuild_from_type_v2(function, class, arguments, state)`.
    Typed,
    Other,
}

fn kind(global: &Global) -> Kind {
    match (&*global.module, &*global.name) {
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Kind::Tensor,
        ("torch._utils", _) => Kind::Wrapper,
        ("torch.nn.parameter" | "torch.autograd.variable", _) => Kind::Wrapper,
        ("torch._tensor", _) => Kind::Typed,
        _ => Kind::Other,
    }
}

fn typed(tree: &Tree, function: Id, arguments: Id) -> Result<Option<Layout>> {
    let Node::Global(function) = tree.node(function) else { return Ok(None) };
    let arguments = tree.items(arguments)?;
    match (kind(function), arguments) {
        (Kind::Tensor, _) => rebuilt(tree, arguments).map(Some),
        (Kind::Wrapper, [inner, ..]) => match tree.call(*inner)? {
            Some((global, arguments)) if kind(global) == Kind::Tensor => {
                rebuilt(tree, arguments).map(Some)
            }
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

/// `_rebuild_tensor(storage, offset, size, stride)`; `_v2` has more arguments, which are of no use here.
fn rebuilt(tree: &Tree, arguments: &[Id]) -> Result<Layout> {
    let [storage, offset, dims, strides, ..] = *arguments else {
        bail!("a tensor with {} arguments", arguments.len());
    };
    let (dims, strides) = (tree.sizes(dims)?, tree.sizes(strides)?);
    ensure!(dims.len() == strides.len(), "a tensor of {dims:?} with strides {strides:?}");
    Ok(Layout { storage, offset: tree.size(offset)?, dims, strides })
}

/// A storage that the surrounding file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Type of its values.
    pub element: Element,
    /// Its name in the file.
    pub key: String,
    /// Where it begins in the storage of that name, in values: old files know views of storages.
    pub start: usize,
}

/// The storage `('storage', class, key, device, length)` or, before PyTorch 1.6, with a view behind it.
///
/// # Errors
/// Anything else.
pub fn storage(tree: &Tree, id: Id) -> Result<Storage> {
    let Node::Persistent(description) = tree.node(id) else {
        bail!("a storage expected, not {}", tree.node(id).what());
    };
    let [tag, class, key, _, _, view @ ..] = tree.items(*description)? else {
        bail!("a storage without its description");
    };
    ensure!(tree.text(*tag)? == "storage", "a storage expected, not {}", tree.text(*tag)?);
    let Node::Global(class) = tree.node(*class) else { bail!("a storage without a type") };
    let start = match view.first().map(|&view| (view, tree.node(view))) {
        None | Some((_, Node::None)) => 0,
        Some((view, _)) => match tree.items(view)? {
            [_, start, _] => tree.size(*start)?,
            _ => bail!("a view of a storage without its place"),
        },
    };
    let key = match tree.node(*key) {
        Node::Int(number) => number.to_string(),
        _ => tree.text(*key)?.to_string(),
    };
    Ok(Storage { element: Element::of(&class.name)?, key, start })
}

/// Copies a tensor's values, row by row, out of the bytes of its storage (from its start on); at most
/// `limit` bytes.
///
/// # Errors
/// A tensor that reaches beyond its storage, or of more bytes.
pub fn gather(bytes: &[u8], size: usize, layout: &Layout, limit: usize) -> Result<Vec<u8>> {
    let Layout { offset, dims, strides, .. } = layout;
    ensure!(dims.len() <= MAX_AXES, "refused: a tensor of {} axes", dims.len());
    // Empty axes count as one: sizes of what is empty must be harmless, too.
    let count = dims.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim.max(1)));
    let length = count.and_then(|count| count.checked_mul(size));
    let Some(length) = length.filter(|&length| length <= limit) else {
        bail!("refused: a tensor of shape {dims:?} is more than the file can hold");
    };
    if dims.contains(&0) {
        return Ok(Vec::new());
    }
    let reach = dims.iter().zip(strides).try_fold(*offset, |reach, (&dim, stride)| {
        reach.checked_add((dim - 1).checked_mul(*stride)?)
    });
    let stored = bytes.len() / size;
    let inside = reach.is_some_and(|reach| reach < stored);
    ensure!(inside, "a tensor of shape {dims:?} reaches outside of its storage of {stored} values");
    if is_dense(dims, strides) {
        return Ok(bytes[offset * size..offset * size + length].to_vec());
    }
    let mut values = Vec::with_capacity(length);
    let mut index = vec![0; dims.len()];
    while values.len() < length {
        let along: usize = index.iter().zip(strides).map(|(i, stride)| i * stride).sum();
        let at = (offset + along) * size;
        values.extend_from_slice(&bytes[at..at + size]);
        for (i, &dim) in index.iter_mut().zip(dims).rev() {
            *i += 1;
            if *i < dim {
                break;
            }
            *i = 0;
        }
    }
    Ok(values)
}

fn is_dense(dims: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1;
    dims.iter().zip(strides).rev().all(|(&dim, &stride)| {
        let fits = dim == 1 || stride == expected;
        expected *= dim;
        fits
    })
}
