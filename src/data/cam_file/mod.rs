//! CAM files of the whole family, `cam/<name>.npy`: seven dialects, told apart by their content
//! (INTEROP section 1).
//!
//! | dialect | content |
//! |---|---|
//! | irn | `keys`, `cam` `[C, h, w]`, `high_res` `[C, H, W]` (irn, AdvCAM, RIB, ReCAM, LPCAM, W-OoD) |
//! | CLIMS, older | `hr_cam` instead of `high_res`; or `keys` and `rw` alone |
//! | AMN | as irn, with a row for the background before the others |
//! | SIPE | `keys` with the background as 0, `IS_CAM` `[C + 1, H, W]` |
//! | psa | `{class: [H, W]}` (psa, SEAM, MCTformer, OC-CSE) |
//! | psa, CRF | `{0: background, class + 1: [H, W]}` |
//! | without maps | `keys`, empty (RIB, for an image without a label) |

mod dialect;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use ndarray::Array3;

pub use dialect::Dialect;

use super::npy;
use crate::Hint;
use crate::label::MergedCam;
use crate::label::interpolate::{Size, resize, upscale4};

/// What a CAM file holds, without background.
#[derive(Clone, Debug, PartialEq)]
pub struct CamFile {
    /// Classes, 0-based, ascending.
    pub keys: Vec<usize>,
    /// `[keys, h, w]`, about a quarter of the photo's size.
    pub cam: Option<Array3<f32>>,
    /// `[keys, H, W]`.
    pub high_res: Option<Array3<f32>>,
    /// How it was written.
    pub dialect: Dialect,
}

/// Reads a CAM file of any dialect. `known` are the image's classes where there is a label: they tell
/// apart what the content does not.
///
/// # Errors
/// A file that can't be read, is none of the dialects, or holds unknown classes or undefined values.
pub fn read(path: &Path, known: Option<&[usize]>, n_classes: usize) -> Result<CamFile> {
    let value = npy::read(path)?;
    let parse = || -> Result<CamFile> {
        let file = dialect::parse(&value, known)?;
        check(&file, n_classes)?;
        Ok(file)
    };
    parse().with_context(|| format!("CAM file {}", path.display())).hint(
        "docs/moving-from-irn.md lists the layouts that are read; data.classes and the list must be \
         those the CAMs were made for",
    )
}

fn check(file: &CamFile, n_classes: usize) -> Result<()> {
    let keys = &file.keys;
    ensure!(keys.windows(2).all(|pair| pair[0] < pair[1]), "classes {keys:?} occur twice");
    let last = keys.last().copied().unwrap_or(0);
    ensure!(keys.is_empty() || last < n_classes, "class {last} of {n_classes}, counted from 0");
    let maps = [&file.cam, &file.high_res].into_iter().flatten();
    ensure!(maps.clone().flatten().all(|value| value.is_finite()), "undefined or infinite values");
    for maps in maps {
        ensure!(maps.dim().0 == keys.len(), "{} maps of {} classes", maps.dim().0, keys.len());
    }
    Ok(())
}

impl CamFile {
    /// Fails where the file has classes that the image's label does not have: the numbers may be off by
    /// one, or the label of another data set.
    ///
    /// # Errors
    /// Names both.
    pub fn expect_classes(&self, label: &[usize]) -> Result<()> {
        let strange = self.keys.iter().any(|key| !label.contains(key));
        let (keys, dialect) = (&self.keys, self.dialect.name());
        ensure!(!strange, "the file has classes {keys:?} ({dialect}), the label {label:?}, from 0");
        Ok(())
    }

    /// Both sizes of maps for a photo of height and width `size`; the one that the file lacks is made
    /// from the other (bilinear).
    ///
    /// # Errors
    /// Full-size maps of another size than the photo's, no maps at all.
    pub fn complete(self, size: Size) -> Result<MergedCam> {
        let quarter = (size.0.div_ceil(4), size.1.div_ceil(4));
        if self.keys.is_empty() {
            let none = |(h, w)| Array3::zeros((0, h, w));
            return Ok(MergedCam { cam: none(quarter), high_res: none(size) });
        }
        let of_size = |maps: &Array3<f32>, size: Size| (maps.dim().1, maps.dim().2) == size;
        if let Some(maps) = &self.high_res {
            let (_, h, w) = maps.dim();
            ensure!(
                of_size(maps, size),
                "maps of {h} x {w}, but the photo is {} x {}",
                size.0,
                size.1
            );
        }
        let (cam, high_res) = match (self.cam, self.high_res) {
            (Some(cam), Some(high_res)) => (cam, high_res),
            (None, Some(high_res)) => (resize(high_res.view(), quarter), high_res),
            (Some(cam), None) if of_size(&cam, quarter) => {
                let high_res = upscale4(cam.view(), size);
                (cam, high_res)
            }
            (Some(cam), None) => {
                let high_res = resize(cam.view(), size);
                (cam, high_res)
            }
            (None, None) => anyhow::bail!("no maps"),
        };
        let cam = if of_size(&cam, quarter) { cam } else { resize(cam.view(), quarter) };
        Ok(MergedCam { cam, high_res })
    }
}

#[cfg(test)]
mod tests;
