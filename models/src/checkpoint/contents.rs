//! What a checkpoint of any kind holds, by the names it has there; values are not looked at.

use std::path::Path;

use anyhow::{Context, Result, anyhow};

use super::names::{Family, Names};
use super::{Metadata, pth, safetensors};
use crate::error::Hint;

/// A tensor of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// As the file has it.
    pub name: String,
    /// Lengths of the axes.
    pub dims: Vec<usize>,
    /// `f32` and the like.
    pub dtype: String,
    /// The parameter of our networks that it is.
    pub ours: Option<String>,
}

/// What a checkpoint holds.
#[derive(Clone, Debug)]
pub struct Contents {
    /// `safetensors`, `PyTorch, zip form` or `PyTorch, legacy form`.
    pub form: &'static str,
    /// In the file's order.
    pub tensors: Vec<Stored>,
    /// `None` for files that are not our own.
    pub metadata: Option<Metadata>,
}

/// Lists a checkpoint.
///
/// # Errors
/// A file that can't be read, is damaged, or is no checkpoint.
pub fn contents(path: &Path) -> Result<Contents> {
    let bytes = fs_err::read(path)?;
    let mut contents =
        decode(&bytes).with_context(|| format!("failed to read {}", path.display()))?;
    let names = Names::of(Family::of(contents.tensors.iter().map(|stored| &*stored.name)));
    for stored in &mut contents.tensors {
        stored.ours = names.ours(&stored.name);
    }
    Ok(contents)
}

fn decode(bytes: &[u8]) -> Result<Contents> {
    if pth::is_pth(bytes) {
        let file = pth::open(bytes)?;
        let form = match file.form {
            pth::Form::Zip => "PyTorch, zip form",
            pth::Form::Legacy => "PyTorch, legacy form",
        };
        let stored = |entry: &super::state_dict::Entry| Stored {
            name: entry.name.clone(),
            dims: entry.layout.dims.clone(),
            dtype: entry.storage.element.name().to_string(),
            ours: None,
        };
        let tensors = file.entries.iter().map(stored).collect();
        return Ok(Contents { form, tensors, metadata: None });
    }
    if safetensors::is_safetensors(bytes) {
        return safetensors::contents(bytes);
    }
    Err(anyhow!("neither safetensors nor PyTorch ({} bytes)", bytes.len()))
        .hint("give a .safetensors or .pth file")
}
