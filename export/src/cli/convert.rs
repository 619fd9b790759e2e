//! `irn-export pth` and `safetensors`: one network, the other kind of file.

use std::path::Path;

use anyhow::{Context, Result};
use irn_models::checkpoint::{self, Metadata};

use super::Common;
use crate::info::ModelInfo;

/// Writes upstream's kind of file.
pub fn pth(path: &Path, out: &Path, common: &Common) -> Result<bool> {
    let (network, info) = common.network(path)?;
    parent(out)?;
    checkpoint::save_pth(out, &network.tensors())?;
    println!("wrote {}: {}", out.display(), described(&info));
    if (&*info.backbone, info.width) != ("resnet50", 1.0) {
        println!("the original's code knows only resnet50 of width 1: it can't load this network");
    }
    Ok(true)
}

/// Writes our own kind of file.
pub fn safetensors(path: &Path, out: &Path, common: &Common) -> Result<bool> {
    let (network, info) = common.network(path)?;
    parent(out)?;
    let metadata = Metadata {
        network: info.network.to_string(),
        backbone: info.backbone.clone(),
        width: info.width,
        classes: info.classes.clone(),
        mean: info.mean,
        std: info.std,
        settings: info.settings.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        ..Metadata::default()
    };
    checkpoint::save(out, &network.tensors(), &metadata)?;
    println!("wrote {}: {}", out.display(), described(&info));
    Ok(true)
}

fn parent(out: &Path) -> Result<()> {
    match out.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => fs_err::create_dir_all(folder).context("the folder of --out"),
        None => Ok(()),
    }
}

fn described(info: &ModelInfo) -> String {
    let ModelInfo { network, backbone, width, classes, .. } = info;
    format!("{network} network, {backbone}, width {width}, {} classes", classes.len())
}
