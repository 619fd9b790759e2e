//! The tensors of a checkpoint, and its own description where it has one.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor, pickle, safetensors};
use irn_models::error::Hint;

use crate::info::ModelInfo;

/// Reads `path`, safetensors or zip-form `.pth`.
///
/// # Errors
/// A file that is neither, or holds no tensors.
pub fn load(path: &Path) -> Result<(BTreeMap<String, Tensor>, Option<ModelInfo>)> {
    let pth = path.extension().is_some_and(|extension| extension == "pth");
    let tensors: BTreeMap<String, Tensor> = if pth {
        pickle::read_all(path).map(|tensors| tensors.into_iter().collect())
    } else {
        safetensors::load(path, &Device::Cpu).map(|tensors| tensors.into_iter().collect())
    }
    .with_context(|| format!("failed to read the checkpoint {}", path.display()))
    .hint("checkpoints are .safetensors or .pth files")?;
    ensure!(!tensors.is_empty(), "{} holds no tensors", path.display());
    Ok((tensors, None))
}
