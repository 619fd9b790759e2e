//! The graph from photo to mask, run by ONNX Runtime: see [`crate::labels`].

use anyhow::{Context, Result, ensure};
use ndarray::{Array2, Array3, ArrayView3, Ix2, Ix3, aview1};
use ort::session::Session;
use ort::value::TensorRef;
use prost::bytes::Bytes;

use crate::info::{ModelInfo, NetworkKind};
use crate::onnxruntime::{SessionOptions, builder, plain};

/// A graph from photo to mask, ready to run.
pub struct LabelModel {
    session: Session,
    info: ModelInfo,
}

impl LabelModel {
    /// Opens the bytes of a file.
    ///
    /// # Errors
    /// A foreign or damaged file, one of the networks alone, or no ONNX Runtime.
    pub fn from_bytes(bytes: Bytes, options: &SessionOptions) -> Result<Self> {
        let (info, _) = ModelInfo::read(&bytes)?;
        ensure!(info.network == NetworkKind::Labels, "a graph of kind `{}`", info.network);
        let session = builder(options)?.commit_from_memory(&bytes).map_err(plain)?;
        Ok(Self::from_session(session, info))
    }

    pub(crate) fn from_session(session: Session, info: ModelInfo) -> Self {
        Self { session, info }
    }

    /// Ends the profile; the path of its file.
    #[cfg(feature = "graph")]
    pub(crate) fn end_profiling(&mut self) -> Result<String> {
        self.session.end_profiling().map_err(plain)
    }

    /// The model's description of itself.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Scores `(present, height, width)` of the classes whose entry in `classes` is not zero, and the
    /// label of every pixel, 0 for background and class + 1, of a photo `(height, width, 3)`.
    ///
    /// # Errors
    /// Another number of classes, or those of ONNX Runtime.
    pub fn run(
        &mut self,
        photo: ArrayView3<'_, u8>,
        classes: &[f32],
    ) -> Result<(Array3<f32>, Array2<u8>)> {
        let known = self.info.classes.len();
        ensure!(classes.len() == known, "{} entries for {known} classes", classes.len());
        let photo = photo.as_standard_layout();
        let photo = TensorRef::from_array_view(photo.view()).map_err(plain)?;
        let classes = TensorRef::from_array_view(aview1(classes)).map_err(plain)?;
        let inputs = ort::inputs!["photo" => photo, "classes" => classes];
        let values = self.session.run(inputs).map_err(plain).context("ONNX Runtime failed")?;
        let scores = values["scores"].try_extract_array::<f32>().map_err(plain)?;
        let label = values["label"].try_extract_array::<u8>().map_err(plain)?;
        Ok((
            scores.to_owned().into_dimensionality::<Ix3>()?,
            label.to_owned().into_dimensionality::<Ix2>()?,
        ))
    }
}
