//! Where the results come from that are evaluated: our store, or a folder of files that anyone made in
//! upstream's layout (`result/cam/*.npy`, `ir_label/*.png`, `sem_seg/*.png`, `ins_seg/*.npy`).

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use ndarray::{Array2, Array3, Ix1, Ix3};

use super::Context;
use crate::data::dataset::Item;
use crate::data::npy::{self, Array};
use crate::data::photo::read_label;
use crate::stage::import_cam::{self, path_of};
use crate::stage::{cam, ins_seg, ir_label, sem_seg};

/// Where results come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// The store of the run.
    Store,
    /// A folder of one file an image.
    Folder(PathBuf),
}

/// A semantic mask, and the walk's result where it is at hand.
pub struct Semantic {
    /// `[H, W]`: 0 background, class + 1.
    pub label: Array2<u8>,
    /// Classes and `[classes, h, w]`.
    pub walked: Option<(Vec<usize>, Array3<f32>)>,
}

impl Source {
    /// Classes and full-size CAMs.
    ///
    /// # Errors
    /// None there, or damaged.
    pub fn cam(&self, context: &Context, item: &Item) -> Result<(Vec<usize>, Array3<f32>)> {
        match self {
            Self::Store => {
                let stored = cam::read(context, &item.name)?;
                Ok((stored.keys, stored.record.f32::<Ix3>("high_res")?))
            }
            Self::Folder(dir) => {
                let file = import_cam::find(context, item, dir)?;
                let keys = file.keys.clone();
                // The size of the maps is the ground truth's: the photo itself is not needed.
                let size = file.high_res.as_ref().map(|maps| (maps.dim().1, maps.dim().2));
                let size = size.map_or_else(|| truth_size(item), Ok)?;
                Ok((keys, file.complete(size)?.high_res))
            }
        }
    }

    /// A relation label.
    ///
    /// # Errors
    /// None there, or damaged.
    pub fn ir_label(&self, context: &Context, item: &Item) -> Result<Array2<u8>> {
        match self {
            Self::Store => ir_label::read(&context.store, &item.name),
            Self::Folder(dir) => label(dir, item),
        }
    }

    /// A semantic mask.
    ///
    /// # Errors
    /// None there, or damaged.
    pub fn semantic(&self, context: &Context, item: &Item) -> Result<Semantic> {
        match self {
            Self::Store => {
                let stored = sem_seg::read(context, &item.name)?;
                let walked = Some((stored.keys, stored.walked));
                Ok(Semantic { label: stored.label, walked })
            }
            Self::Folder(dir) => Ok(Semantic { label: label(dir, item)?, walked: None }),
        }
    }

    /// Instance masks.
    ///
    /// # Errors
    /// None there, or damaged.
    pub fn instances(&self, context: &Context, item: &Item) -> Result<ins_seg::Stored> {
        match self {
            Self::Store => ins_seg::read(context, &item.name),
            Self::Folder(dir) => {
                let path = path_of(dir, &item.name, "npy")?;
                instances(&path).with_context(|| format!("instance masks {}", path.display()))
            }
        }
    }
}

fn truth_size(item: &Item) -> Result<(usize, usize)> {
    Ok(read_label(&item.semantic_mask_path()).context("no ground truth")?.dim())
}

/// A picture of class numbers, or a plain array of them.
fn label(dir: &Path, item: &Item) -> Result<Array2<u8>> {
    let Ok(path) = path_of(dir, &item.name, "npy") else {
        return read_label(&path_of(dir, &item.name, "png")?);
    };
    let npy::Value::Array(array) = npy::read(&path)? else {
        anyhow::bail!("{} is no array of class numbers", path.display())
    };
    let numbers = array.to_i64()?.mapv(|number| u8::try_from(number).unwrap_or(255));
    numbers.into_dimensionality().with_context(|| format!("{}: two axes expected", path.display()))
}

/// Upstream's dict: `score` `[N]`, `mask` `[N, H, W]`, `class` `[N]`, 0-based.
fn instances(path: &Path) -> Result<ins_seg::Stored> {
    let dict = npy::read(path)?;
    let score = dict.array("score")?.to_f32().into_dimensionality::<Ix1>()?.to_vec();
    let mask = match dict.array("mask")? {
        Array::Bool(mask) => mask.clone(),
        other => other.to_f32().mapv(|value| value != 0.0),
    };
    let mask = mask.into_dimensionality::<Ix3>().context("\"mask\"")?;
    let class = dict.array("class")?.to_i64()?;
    let class: Vec<usize> =
        class.iter().map(|&class| usize::try_from(class)).collect::<Result<_, _>>()?;
    let counts = [score.len(), mask.dim().0, class.len()];
    ensure!(counts.iter().all(|n| *n == counts[0]), "scores, masks, classes: {counts:?}");
    Ok(ins_seg::Stored { score, mask, class })
}
