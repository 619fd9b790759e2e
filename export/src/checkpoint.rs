//! The tensors of a checkpoint, and its own description where it has one.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use candle_core::Tensor;
use irn_models::checkpoint::{Loaded, Metadata};

use crate::info::{ModelInfo, NetworkKind};

/// Reads `path`, safetensors or `.pth`.
///
/// # Errors
/// A file that is neither, holds no tensors, or describes another network than the two.
pub fn load(path: &Path) -> Result<(BTreeMap<String, Tensor>, Option<ModelInfo>)> {
    let Loaded { tensors, metadata, .. } = irn_models::checkpoint::load(path)?;
    let info = metadata.map(described).transpose();
    Ok((tensors, info.with_context(|| format!("metadata of {}", path.display()))?))
}

fn described(metadata: Metadata) -> Result<ModelInfo> {
    let network = match metadata.network.as_str() {
        "cam" => NetworkKind::Cam,
        "irn" => NetworkKind::Irn,
        other => bail!("the network `{other}` is neither `cam` nor `irn`"),
    };
    let Metadata { backbone, width, classes, mean, std, settings, .. } = metadata;
    Ok(ModelInfo { mean, std, settings, ..ModelInfo::new(network, &backbone, width, classes) })
}
