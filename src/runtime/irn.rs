//! IRNet: upstream's `step/make_sem_seg_labels.py` up to the walk, ALGORITHMS.md section 2.

use std::path::Path;

use anyhow::{Result, ensure};
use irn_export::{ModelInfo, NetworkKind, Session, SessionOptions};
use ndarray::{Array2, Array3, Array4, ArrayView3, ArrayView4, s};

use super::cam::{mirror_pair, mirrored, outputs};

/// An exported IRNet.
pub struct IrnModel {
    session: Session,
    info: ModelInfo,
    fingerprint: String,
}

impl IrnModel {
    /// Opens the model at `path` with `threads` threads.
    ///
    /// # Errors
    /// A missing, damaged or foreign file, or no ONNX Runtime.
    pub fn open(path: &Path, threads: usize) -> Result<Self> {
        Self::open_with(path, &SessionOptions { threads, ..SessionOptions::default() })
    }

    /// The same at any place.
    ///
    /// # Errors
    /// See [`Self::open`]; a place that does not run it.
    pub fn open_with(path: &Path, options: &SessionOptions) -> Result<Self> {
        let (session, info, fingerprint) = Session::open(path, NetworkKind::Irn, options)?;
        Ok(Self { session, info, fingerprint })
    }

    /// The model's description of itself.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// SHA-256 over graph and description, 64 hexadecimal digits.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Boundary logits `(batch, 1, ceil(h/4), ceil(w/4))` and displacements `(dy, dx)`,
    /// `(batch, 2, ceil(h/4), ceil(w/4))`, the mean shift subtracted.
    ///
    /// # Errors
    /// Those of ONNX Runtime.
    pub fn relations(&mut self, batch: ArrayView4<'_, f32>) -> Result<(Array4<f32>, Array4<f32>)> {
        let [edge, displacement] = outputs(&mut self.session, batch)?;
        Ok((edge.into_dimensionality()?, displacement.into_dimensionality()?))
    }
}

/// How a photo is brought to the size on which IRNet runs. Group norm sees the padding, so the size is
/// part of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Padding {
    /// Both sides are padded to at least this; 512 in the original.
    pub crop: usize,
    /// Larger photos are cut to `crop` as in the original, which loses what is right and below and
    /// overlays two different parts of the scene (defect B1). Otherwise a larger side is padded to the
    /// next multiple of 16 and nothing is lost. Photos up to `crop` give the same in both modes.
    pub compat: bool,
}

impl Padding {
    /// Height and width of a photo of this size once it is padded (or, with `compat`, cut).
    pub fn size(self, (height, width): (usize, usize)) -> (usize, usize) {
        (self.side(height), self.side(width))
    }

    /// Height or width of the padded (or, with `compat`, cut) photo.
    fn side(self, side: usize) -> usize {
        if self.compat { self.crop } else { self.crop.max(side.next_multiple_of(16)) }
    }

    /// The pair of photos with zeros (the mean colour) at the right and the bottom.
    fn apply(self, pair: &Array4<f32>) -> Array4<f32> {
        let (n, c, h, w) = pair.dim();
        let mut padded = Array4::zeros((n, c, self.side(h), self.side(w)));
        let (h, w) = (h.min(padded.dim().2), w.min(padded.dim().3));
        padded.slice_mut(s![.., .., ..h, ..w]).assign(&pair.slice(s![.., .., ..h, ..w]));
        padded
    }
}

/// What IRNet says about a photo, at a quarter of its size.
#[derive(Clone, Debug, PartialEq)]
pub struct Relations {
    /// Probability of a class boundary, `(h, w)`.
    pub edge: Array2<f32>,
    /// Displacement `(dy, dx)` towards the instance's centroid in cells, `(2, h, w)`.
    pub displacement: Array3<f32>,
}

/// Boundaries and displacements of a normalised photo `(3, H, W)`, both
/// `((H-1)/4+1, (W-1)/4+1)` large (at most `crop / 4` where `compat` cuts).
///
/// The logits of the photo and of its mirror image (mirrored first, padded on its right) are averaged;
/// the displacement is the plain photo's.
///
/// # Errors
/// An empty photo, or those of ONNX Runtime.
pub fn irn_pair(
    model: &mut IrnModel,
    image: ArrayView3<'_, f32>,
    padding: Padding,
) -> Result<Relations> {
    irn_relations(model, &mirror_pair(image), padding)
}

/// [`irn_pair`] from the photo and its mirror image, `(2, 3, H, W)`.
///
/// # Errors
/// See [`irn_pair`].
pub fn irn_relations(
    model: &mut IrnModel,
    pair: &Array4<f32>,
    padding: Padding,
) -> Result<Relations> {
    let (_, _, height, width) = pair.dim();
    ensure!(height > 0 && width > 0 && padding.crop > 0, "an empty photo or a padding to nothing");
    let padded = padding.apply(pair);
    let (edge, displacement) = model.relations(padded.view())?;
    let h = ((height - 1) / 4 + 1).min(edge.dim().2);
    let w = ((width - 1) / 4 + 1).min(edge.dim().3);
    let [plain, mirror] = [0, 1].map(|i| edge.slice(s![i, 0, ..h, ..w]));
    let edge = (&plain + &mirrored(mirror)).mapv(|sum| sigmoid(sum / 2.));
    Ok(Relations { edge, displacement: displacement.slice(s![0, .., ..h, ..w]).to_owned() })
}

fn sigmoid(x: f32) -> f32 {
    1. / (1. + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_loses_nothing_unless_told_to() {
        let pair = Array4::from_shape_fn((2, 3, 21, 40), |(_, _, y, x)| (y * 100 + x) as f32);
        let kept = Padding { crop: 32, compat: false }.apply(&pair);
        assert_eq!(kept.dim(), (2, 3, 32, 48));
        assert_eq!(kept.slice(s![.., .., ..21, ..40]), pair);
        assert_eq!(
            kept.slice(s![.., .., 21.., ..]).sum() + kept.slice(s![.., .., .., 40..]).sum(),
            0.
        );
        let cut = Padding { crop: 32, compat: true }.apply(&pair);
        assert_eq!(cut.dim(), (2, 3, 32, 32));
        assert_eq!(cut.slice(s![.., .., ..21, ..]), pair.slice(s![.., .., .., ..32]));
    }
}
