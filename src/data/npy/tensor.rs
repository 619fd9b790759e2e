//! PyTorch tensors inside pickles of NumPy: `np.save` of a dict with tensors in it, as upstream's
//! `make_cam.py` writes it. A storage there is a whole file of PyTorch's older format, in bytes.

use anyhow::{Result, bail, ensure};
use irn_models::pickle::torch::{self, Element, Layout};
use irn_models::pickle::{Allowed, Id, Tree, legacy};

use super::array::{self, Kind};
use super::{Array, Value};

const ALLOWED: Allowed = Allowed { contains: torch::contains, file: "tensor" };

/// The tensor's values, at most `limit` bytes.
///
/// # Errors
/// A damaged storage, a type that is no number, a tensor larger than the limit.
pub fn array(tree: &Tree, layout: &Layout, limit: usize) -> Result<Array> {
    let bytes = storage_bytes(tree, layout.storage)?;
    let inner = legacy::read(bytes, ALLOWED)?;
    let storage = torch::storage(&inner.tree, inner.root)?;
    let Some(&values) = inner.storages.get(&storage.key) else { bail!("a storage is missing") };
    let size = storage.element.size();
    let Some(values) = storage.start.checked_mul(size).and_then(|start| values.get(start..)) else {
        bail!("a view beyond its storage");
    };
    let gathered = torch::gather(values, size, layout, limit)?;
    if storage.element == Element::Bf16 {
        return bf16(&gathered, &layout.dims);
    }
    match array::decode(&kind(storage.element)?, &layout.dims, false, &gathered)? {
        Value::Array(array) => Ok(array),
        other => bail!("{} as a tensor", other.what()),
    }
}

fn storage_bytes<'a>(tree: &'a Tree, id: Id) -> Result<&'a [u8]> {
    let Some((global, [bytes])) = tree.call(id)? else {
        bail!("a storage expected, not {}", tree.node(id).what());
    };
    let known = global.is("torch.storage", "_load_from_bytes");
    ensure!(known, "a storage expected, not {}", global.name);
    tree.bytes(*bytes)
}

fn kind(element: Element) -> Result<Kind> {
    let (letter, size) = match element {
        Element::F16 => ('f', 2),
        Element::F32 => ('f', 4),
        Element::F64 => ('f', 8),
        Element::U8 => ('u', 1),
        Element::I8 => ('i', 1),
        Element::I16 => ('i', 2),
        Element::I32 => ('i', 4),
        Element::I64 => ('i', 8),
        Element::Bool => ('b', 1),
        Element::Bf16 | Element::Complex64 | Element::Complex128 => {
            bail!("a tensor of {}", element.name())
        }
    };
    Ok(Kind { letter, size, big_endian: false })
}

/// NumPy has no such type: widened to f32.
fn bf16(bytes: &[u8], dims: &[usize]) -> Result<Array> {
    let values = bytes.as_chunks::<2>().0.iter().map(|&b| half::bf16::from_le_bytes(b).to_f32());
    let values: Vec<f32> = values.collect();
    Ok(Array::F32(ndarray::ArrayD::from_shape_vec(dims, values)?))
}
