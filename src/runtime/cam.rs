//! The CAM network: upstream's `step/make_cam.py` up to the merging of scales, ALGORITHMS.md section 1.

use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use irn_export::padded::takes_canvas;
use irn_export::{ModelInfo, NetworkKind, Session, SessionOptions};
use ndarray::{
    Array1, Array2, Array3, Array4, ArrayD, ArrayView3, ArrayView4, Axis, Dimension, Ix4, s, stack,
};

use super::canvas::{Shapes, on_canvas};
use crate::error::Hint;

/// An exported CAM network.
pub struct CamModel {
    sessions: Shapes,
    /// Photos go on canvases.
    padded: bool,
    info: ModelInfo,
    fingerprint: String,
}

impl CamModel {
    /// Opens the model at `path` with `threads` threads; `classes_expected` are those of the data set.
    ///
    /// # Errors
    /// A missing, damaged or foreign file, other classes, or no ONNX Runtime.
    pub fn open(path: &Path, threads: usize, classes_expected: Option<&[String]>) -> Result<Self> {
        let options = SessionOptions { threads, ..SessionOptions::default() };
        Self::open_with(path, &options, 1, classes_expected)
    }

    /// The same at any place, with one session for each of `shapes` shapes of photos that come in turn.
    ///
    /// # Errors
    /// See [`Self::open`]; a place that does not run it.
    pub fn open_with(
        path: &Path,
        options: &SessionOptions,
        shapes: usize,
        classes_expected: Option<&[String]>,
    ) -> Result<Self> {
        let (session, info, fingerprint) = Session::open(path, NetworkKind::Cam, options)?;
        if let Some(expected) = classes_expected.filter(|expected| *expected != info.classes) {
            return Err(anyhow!(
                "the model {} knows the classes {}, the data set has {}",
                path.display(),
                info.classes.join(","),
                expected.join(",")
            ))
            .hint(
                "train a CAM network on this data set, or name the model's classes in data.classes",
            );
        }
        let mut sessions = vec![session];
        for _ in 1..shapes {
            sessions.push(Session::open(path, NetworkKind::Cam, options)?.0);
        }
        let padded = options.padded && takes_canvas(&info);
        Ok(Self { sessions: Shapes::new(sessions), padded, info, fingerprint })
    }

    /// The model's description of itself.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// SHA-256 over graph and description, 64 hexadecimal digits.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Scores of every class at every cell before any ReLU, `(batch, classes, ceil(h/16), ceil(w/16))`,
    /// and their means, the logits, `(batch, classes)`.
    ///
    /// # Errors
    /// Those of ONNX Runtime.
    pub fn run(&mut self, batch: ArrayView4<'_, f32>) -> Result<(Array4<f32>, Array2<f32>)> {
        if self.padded {
            return self.run_on_canvas(batch);
        }
        let session = self.sessions.session(batch.shape());
        let [scores, logits] = outputs(session, batch)?;
        Ok((scores.into_dimensionality()?, logits.into_dimensionality()?))
    }

    fn run_on_canvas(&mut self, batch: ArrayView4<'_, f32>) -> Result<(Array4<f32>, Array2<f32>)> {
        ensure!(!batch.is_empty(), "an empty batch of photos, shape {:?}", batch.shape());
        let (_, _, h, w) = batch.dim();
        let padded = on_canvas(batch);
        let session = self.sessions.session(padded.shape());
        let [scores, _] = outputs(session, padded.view())?;
        let cells = s![.., .., ..h.div_ceil(self.info.stride), ..w.div_ceil(self.info.stride)];
        let scores = scores.into_dimensionality::<Ix4>()?.slice(cells).to_owned();
        let logits = scores.mean_axis(Axis(3)).and_then(|rows| rows.mean_axis(Axis(2)));
        Ok((scores, logits.context("a photo has cells")?))
    }

    /// The scores alone.
    ///
    /// # Errors
    /// Those of ONNX Runtime.
    pub fn scores(&mut self, batch: ArrayView4<'_, f32>) -> Result<Array4<f32>> {
        Ok(self.run(batch)?.0)
    }
}

/// Runs a session whose network has two outputs.
pub(super) fn outputs(
    session: &mut Session,
    batch: ArrayView4<'_, f32>,
) -> Result<[ArrayD<f32>; 2]> {
    let outputs = session.run(batch)?;
    <[_; 2]>::try_from(outputs).map_err(|outputs| anyhow!("{} outputs, not 2", outputs.len()))
}

/// The photo and its mirror image, `(2, 3, h, w)`.
pub fn mirror_pair(image: ArrayView3<'_, f32>) -> Array4<f32> {
    stack(Axis(0), &[image, mirrored(image)]).expect("a map and its mirror image have one shape")
}

/// The same map with its columns (last axis) in reversed order.
pub(super) fn mirrored<D: Dimension>(
    mut map: ndarray::ArrayView<'_, f32, D>,
) -> ndarray::ArrayView<'_, f32, D> {
    map.invert_axis(Axis(map.ndim() - 1));
    map
}

/// The activation maps of a normalised photo, `(classes, ceil(h/16), ceil(w/16))`: the positive parts of
/// its scores and of its mirror image's, mirrored back, added.
///
/// For widths that are no multiple of 16 the two are shifted by part of a cell; that is upstream's result.
///
/// # Errors
/// Those of ONNX Runtime.
pub fn cam_pair(model: &mut CamModel, image: ArrayView3<'_, f32>) -> Result<Array3<f32>> {
    Ok(cam_maps(model, mirror_pair(image).view())?.0)
}

/// [`cam_pair`] from the photo and its mirror image, `(2, 3, h, w)`; and the logits `(classes)`, the mean of
/// the two images'.
///
/// # Errors
/// Those of ONNX Runtime.
pub fn cam_maps(
    model: &mut CamModel,
    pair: ArrayView4<'_, f32>,
) -> Result<(Array3<f32>, Array1<f32>)> {
    let (mut scores, logits) = model.run(pair)?;
    scores.mapv_inplace(|score| score.max(0.));
    let [plain, mirror] = [0, 1].map(|i| scores.slice(s![i, .., .., ..]));
    let logits = (&logits.row(0) + &logits.row(1)) / 2.0;
    Ok((&plain + &mirrored(mirror), logits))
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn the_second_photo_is_mirrored_along_the_width() {
        let image = array![[[1f32, 2., 3.], [4., 5., 6.]]];
        let pair = mirror_pair(image.view());
        assert_eq!(pair, array![[[[1., 2., 3.], [4., 5., 6.]]], [[[3., 2., 1.], [6., 5., 4.]]]]);
    }
}
