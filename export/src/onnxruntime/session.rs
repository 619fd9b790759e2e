//! A network ready to run. On a GPU it is opened with the proof that it runs there, see
//! [`placement`].

use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use irn_models::error::Hint;
use ndarray::{Array4, ArrayD, ArrayView4};
use ort::session::Session as OrtSession;
use ort::session::builder::SessionBuilder;
use ort::value::{PrimitiveTensorElementType, TensorElementType, TensorRef, ValueType};
use prost::bytes::Bytes;

use super::bound::Bound;
use super::environment::plain;
use super::options::{SessionOptions, builder};
use super::placement;
use crate::device::Place;
use crate::external;
use crate::form::{Form, Input};
use crate::info::{ModelInfo, NetworkKind};
use crate::padded::{padded, takes_canvas};

/// Sides of the proof's photo where the model leaves them open.
const SIDE: usize = 64;

/// f32 or u8: the numbers of photos.
pub trait Pixel: PrimitiveTensorElementType + Copy + Default + std::fmt::Debug + 'static {}
impl Pixel for f32 {}
impl Pixel for u8 {}

/// A network ready to run. One session a worker: running needs `&mut`.
pub struct Session {
    // Dropped first: its memory is the session's.
    bound: Option<Box<Bound>>,
    session: OrtSession,
    input: String,
    outputs: Vec<String>,
}

impl Session {
    /// Opens a file of the network `expected`; returns its description and its fingerprint, the
    /// SHA-256 over graph and description, as well.
    ///
    /// # Errors
    /// A missing, foreign or damaged file, a file of the other network, or no ONNX Runtime.
    pub fn open(
        path: &Path,
        expected: NetworkKind,
        options: &SessionOptions,
    ) -> Result<(Self, ModelInfo, String)> {
        let bytes = fs_err::read(path)
            .hint("write a model with `irn-export onnx CHECKPOINT --out FILE`")?;
        let bytes = Bytes::from(bytes);
        let open = || -> Result<_> {
            let (info, fingerprint) = described(&bytes, expected)?;
            usual(&info)?;
            if let Some(external) = &info.external {
                external.check(path)?;
            }
            let canvas = (options.padded && takes_canvas(&info))
                .then(|| padded(&external::joined(path)?))
                .transpose()?;
            let session = Self::proven(options, names(expected), |builder| match &info.external {
                Some(_) if canvas.is_none() => builder.commit_from_file(path),
                _ => builder.commit_from_memory(canvas.as_deref().unwrap_or(&bytes)),
            })?;
            Ok((session, info, fingerprint))
        };
        open().with_context(|| {
            format!("failed to open the model {} on {}", path.display(), options.place)
        })
    }

    /// The same from the bytes of a file.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub fn from_bytes(
        bytes: Bytes,
        expected: NetworkKind,
        options: &SessionOptions,
    ) -> Result<(Self, ModelInfo, String)> {
        let (info, fingerprint) = described(&bytes, expected)?;
        Ok((Self::unchecked(&bytes, names(expected), options)?, info, fingerprint))
    }

    /// A session on any model with one input of four axes, for [`crate::verify`].
    pub(crate) fn unchecked(
        bytes: &[u8],
        outputs: Vec<String>,
        options: &SessionOptions,
    ) -> Result<Self> {
        Self::proven(options, outputs, |builder| builder.commit_from_memory(bytes))
    }

    /// A session that computes at the place it was asked to compute at, or an error.
    fn proven(
        options: &SessionOptions,
        outputs: Vec<String>,
        commit: impl Fn(&mut SessionBuilder) -> ort::Result<OrtSession>,
    ) -> Result<Self> {
        let open = |mut builder: SessionBuilder| -> Result<Self> {
            let mut session = Self::with_outputs(commit(&mut builder).map_err(plain)?, outputs)?;
            if options.bound {
                session.bound = Some(Box::new(Bound::new(&session.session, options.place)?));
            }
            Ok(session)
        };
        if options.place == Place::Cpu {
            return open(builder(options)?);
        }
        let folder = tempfile::tempdir().context("no place for ONNX Runtime's profile")?;
        let prefix = folder.path().join("placement");
        let mut session = open(builder(options)?.with_profiling(prefix).map_err(plain)?)?;
        session.prove(options.place)?;
        Ok(session)
    }

    /// Runs on a small photo and looks into the profile of that, which ends with it.
    pub(super) fn prove(&mut self, place: Place) -> Result<()> {
        let ValueType::Tensor { ty, shape, .. } = self.session.inputs()[0].dtype() else {
            return Err(anyhow!("the model's input is no tensor"));
        };
        let open = match ty {
            TensorElementType::Uint8 => [1, SIDE, SIDE, 3],
            _ => [1, 3, SIDE, SIDE],
        };
        let sizes =
            shape.iter().zip(open).map(|(&size, open)| usize::try_from(size).unwrap_or(open));
        let sizes: Vec<usize> = sizes.collect();
        let sizes = <[usize; 4]>::try_from(sizes).map_err(|_| anyhow!("an input of other axes"))?;
        match ty {
            TensorElementType::Uint8 => drop(self.run(Array4::<u8>::zeros(sizes).view())?),
            _ => drop(self.run(Array4::<f32>::zeros(sizes).view())?),
        }
        placement::prove(&fs_err::read(self.end_profiling()?)?, place)
    }

    /// Ends the profile; the path of its file.
    pub(crate) fn end_profiling(&mut self) -> Result<String> {
        self.session.end_profiling().map_err(plain)
    }

    pub(crate) fn with_outputs(session: OrtSession, outputs: Vec<String>) -> Result<Self> {
        let input = match session.inputs() {
            [input] => input.name().to_string(),
            inputs => return Err(anyhow!("a model with {} inputs, not 1", inputs.len())),
        };
        for output in &outputs {
            let known = session.outputs().iter().any(|other| other.name() == output);
            ensure!(known, "the model has no output `{output}`");
        }
        Ok(Self { bound: None, session, input, outputs })
    }

    /// Runs the network on photos as its [`crate::form::Input`] says; the outputs in the order of
    /// [`NetworkKind::outputs`].
    ///
    /// # Errors
    /// Those of ONNX Runtime, an empty batch or photo among them.
    pub fn run<T: Pixel>(&mut self, input: ArrayView4<'_, T>) -> Result<Vec<ArrayD<f32>>> {
        ensure!(!input.is_empty(), "an empty batch of photos, shape {:?}", input.shape());
        let shape = input.shape().to_vec();
        let values = match &mut self.bound {
            Some(bound) => bound.run(&mut self.session, &self.input, &self.outputs, input),
            None => self.run_plainly(input),
        };
        values.with_context(|| format!("ONNX Runtime failed on an input of shape {shape:?}"))
    }

    fn run_plainly<T: Pixel>(&mut self, input: ArrayView4<'_, T>) -> Result<Vec<ArrayD<f32>>> {
        let input = input.as_standard_layout();
        let tensor = TensorRef::from_array_view(input.view()).map_err(plain)?;
        let values = self.session.run(ort::inputs![self.input.as_str() => tensor]);
        let values = values.map_err(plain)?;
        let read = |name: &String| {
            let value = values.get(name).with_context(|| format!("no output `{name}`"))?;
            Ok(value.try_extract_array::<f32>().map_err(plain)?.to_owned())
        };
        self.outputs.iter().map(read).collect()
    }
}

fn names(network: NetworkKind) -> Vec<String> {
    network.outputs().map(String::from).to_vec()
}

/// The file's description, if it is one of the network `expected`.
fn described(bytes: &Bytes, expected: NetworkKind) -> Result<(ModelInfo, String)> {
    let (info, fingerprint) = ModelInfo::read(bytes)?;
    if info.network != expected {
        return Err(anyhow!("it holds the network `{}`, not `{expected}`", info.network))
            .hint("the CAM model and the IRNet model may have been swapped");
    }
    Ok((info, fingerprint))
}

/// Refuses what is exported for other programs.
fn usual(info: &ModelInfo) -> Result<()> {
    let what = match &info.form {
        Form { input: Input::Rgb8, .. } => "has its preprocessing embedded",
        Form { size: Some(_), .. } => "takes photos of one size only",
        _ => return Ok(()),
    };
    Err(anyhow!("the model {what}"))
        .hint("export it for irn-infer without --embed-preprocessing and --size")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::probe;

    #[test]
    fn what_runs_elsewhere_than_asked_is_found_out() {
        let folder = tempfile::tempdir().unwrap();
        for place in [Place::Cpu, Place::Cuda(0)] {
            let mut builder = builder(&SessionOptions::default()).unwrap();
            builder = builder.with_profiling(folder.path().join("profile")).unwrap();
            let session = builder.commit_from_memory(&probe::model()).unwrap();
            let mut session = Session::with_outputs(session, vec!["map".into()]).unwrap();
            match (place, session.prove(place)) {
                (Place::Cpu, proof) => proof.unwrap(),
                (Place::Cuda(_), proof) => {
                    let error = format!("{:#}", proof.unwrap_err());
                    assert!(error.contains("Conv") && error.contains("outside CUDA"), "{error}");
                }
            }
        }
    }

    #[test]
    fn bound_memory_changes_nothing_but_where_it_lies() {
        let open = |bound| {
            let options = SessionOptions { bound, ..SessionOptions::default() };
            Session::unchecked(&probe::model(), vec!["map".into()], &options).unwrap()
        };
        let (mut plain, mut bound) = (open(false), open(true));
        for (step, side) in [(0., 16), (1., 16), (2., 9), (3., 23), (4., 16)] {
            let photo = |(_, c, y, x)| (c * 7 + y * 3 + x) as f32 * 0.1 + step;
            let photo = Array4::from_shape_fn((1, probe::CHANNELS, side, side + 1), photo);
            assert_eq!(plain.run(photo.view()).unwrap(), bound.run(photo.view()).unwrap());
        }
        let wrong = Array4::<f32>::zeros((1, 1, 8, 8));
        assert!(bound.run(wrong.view()).is_err());
    }
}
