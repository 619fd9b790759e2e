//! NumPy's `.npy` files: plain arrays, and pickled dicts of arrays as upstream writes them.
//!
//! Pickles are read by a machine that knows a closed list of NumPy's and PyTorch's own constructors and
//! executes nothing; everything else in a file is refused by its name.

mod array;
mod header;
pub mod npz;
mod pickle;
mod tensor;
mod value;
mod write;

use std::path::Path;

use anyhow::{Context, Result};

pub use array::Array;
pub use value::Value;
pub use write::{write_array, write_cam, write_dict, write_instances};

use crate::Hint;

/// Reads a `.npy` file: a plain array becomes [`Value::Array`], a pickled object what it holds.
///
/// # Errors
/// A file that is missing, damaged, of an unsupported type, or whose pickle asks for anything but
/// NumPy's and PyTorch's own constructors; the path is named.
pub fn read(path: &Path) -> Result<Value> {
    let bytes = fs_err::read(path)?;
    parse(&bytes)
        .with_context(|| format!("failed to read {}", path.display()))
        .hint("expected a file written by numpy.save: a plain array or a dict of arrays or tensors")
}

/// Reads the bytes of a `.npy` file.
///
/// # Errors
/// As [`read`].
pub fn parse(bytes: &[u8]) -> Result<Value> {
    let (header, data) = header::parse(bytes)?;
    if header.kind == "|O" {
        return pickle::load(data);
    }
    let kind = array::Kind::parse(&header.kind)?;
    array::decode(&kind, &header.shape, header.fortran_order, data)
}

#[cfg(test)]
mod tests;
