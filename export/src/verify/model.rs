//! A model of any kind, opened and run on the photos of a comparison.

use anyhow::Result;
use ndarray::{ArrayD, Axis};
use ort::session::builder::SessionBuilder;
use prost::bytes::Bytes;

use super::photos::Photos;
use crate::info::{ModelInfo, NetworkKind};
use crate::label_model::LabelModel;
use crate::onnxruntime::{Session, SessionOptions, builder, plain};

/// A model ready to run.
pub(crate) enum Model {
    Network(Session, ModelInfo),
    Labels(LabelModel),
}

impl Model {
    /// Opens the bytes of a file.
    ///
    /// # Errors
    /// A foreign or damaged file, or no ONNX Runtime.
    pub(crate) fn open(bytes: &Bytes, options: &SessionOptions) -> Result<Self> {
        let (info, _) = ModelInfo::read(bytes)?;
        if info.network == NetworkKind::Labels {
            return Self::built(bytes, builder(options)?);
        }
        let outputs = info.network.outputs().map(String::from).to_vec();
        Ok(Self::Network(Session::unchecked(bytes, outputs, options)?, info))
    }

    /// The same with a session set up by the caller, who looks himself where it runs.
    pub(crate) fn built(bytes: &Bytes, mut builder: SessionBuilder) -> Result<Self> {
        let (info, _) = ModelInfo::read(bytes)?;
        let session = builder.commit_from_memory(bytes).map_err(plain)?;
        Ok(match info.network {
            NetworkKind::Labels => Self::Labels(LabelModel::from_session(session, info)),
            kind => {
                let outputs = kind.outputs().map(String::from).to_vec();
                Self::Network(Session::with_outputs(session, outputs)?, info)
            }
        })
    }

    /// Its description.
    pub(crate) fn info(&self) -> &ModelInfo {
        match self {
            Self::Network(_, info) => info,
            Self::Labels(model) => model.info(),
        }
    }

    /// The outputs, in their order; of a graph of labels those of the first photo, all classes present.
    ///
    /// # Errors
    /// Those of ONNX Runtime.
    pub(crate) fn run(&mut self, photos: &Photos) -> Result<Vec<ArrayD<f32>>> {
        match (self, photos) {
            (Self::Network(session, _), Photos::Normalised(photos)) => session.run(photos.view()),
            (Self::Network(session, _), Photos::Rgb8(photos)) => session.run(photos.view()),
            (Self::Labels(model), photos) => {
                let Photos::Rgb8(photos) = photos else {
                    anyhow::bail!("a graph from photo to mask takes photos of bytes")
                };
                let classes = vec![1.0; model.info().classes.len()];
                let (scores, label) = model.run(photos.index_axis(Axis(0), 0), &classes)?;
                Ok(vec![scores.into_dyn(), label.mapv(f32::from).into_dyn()])
            }
        }
    }

    /// Ends the profile; the path of its file.
    ///
    /// # Errors
    /// Those of ONNX Runtime.
    pub(crate) fn end_profiling(&mut self) -> Result<String> {
        match self {
            Self::Network(session, _) => session.end_profiling(),
            Self::Labels(model) => model.end_profiling(),
        }
    }
}
