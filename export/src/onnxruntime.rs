//! ONNX Runtime: loaded once a process, and sessions on the two networks' files.

use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, ensure};
use irn_models::error::Hint;
use ndarray::{ArrayD, ArrayView4};
use ort::environment::Environment;
use ort::session::Session as OrtSession;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::{PrimitiveTensorElementType, TensorRef};
use prost::bytes::Bytes;

use crate::form::{Form, Input};
use crate::info::{ModelInfo, NetworkKind};
use crate::locate;

/// What computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
}

/// How a session computes.
#[derive(Clone, Copy, Debug)]
pub struct SessionOptions {
    /// Threads inside one operation, at least 1. The outputs do not depend on it.
    pub threads: usize,
    /// Where.
    pub device: Device,
    /// Idle threads wait actively: faster where this session alone uses the machine.
    pub spinning: bool,
    /// Nothing in the graph is fused or rearranged.
    pub as_written: bool,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self { threads: 1, device: Device::Cpu, spinning: false, as_written: false }
    }
}

/// f32 or u8: the numbers of photos.
pub trait Pixel: PrimitiveTensorElementType + Clone + std::fmt::Debug + 'static {}
impl Pixel for f32 {}
impl Pixel for u8 {}

/// A network ready to run. One session a worker: running needs `&mut`.
pub struct Session {
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
            let mut builder = builder(options)?;
            let session = match &info.external {
                Some(external) => {
                    external.check(path)?;
                    builder.commit_from_file(path).map_err(plain)?
                }
                None => builder.commit_from_memory(&bytes).map_err(plain)?,
            };
            Ok((Self::with_outputs(session, names(expected))?, info, fingerprint))
        };
        open().with_context(|| format!("failed to open the model {}", path.display()))
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
        let session = builder(options)?.commit_from_memory(bytes).map_err(plain)?;
        Self::with_outputs(session, outputs)
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
        Ok(Self { session, input, outputs })
    }

    /// Runs the network on photos as its [`crate::form::Input`] says; the outputs in the order of
    /// [`NetworkKind::outputs`].
    ///
    /// # Errors
    /// Those of ONNX Runtime, an empty batch or photo among them.
    pub fn run<T: Pixel>(&mut self, input: ArrayView4<'_, T>) -> Result<Vec<ArrayD<f32>>> {
        ensure!(!input.is_empty(), "an empty batch of photos, shape {:?}", input.shape());
        let input = input.as_standard_layout();
        let tensor = TensorRef::from_array_view(input.view()).map_err(plain)?;
        let values = self.session.run(ort::inputs![self.input.as_str() => tensor]);
        let values = values.map_err(plain).with_context(|| {
            format!("ONNX Runtime failed on an input of shape {:?}", input.shape())
        })?;
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

pub(crate) fn builder(options: &SessionOptions) -> Result<SessionBuilder> {
    let Device::Cpu = options.device;
    // Photos come in many sizes: a memory plan made for one shape is of no use for the next.
    let builder = OrtSession::builder(environment()?).map_err(plain)?;
    let builder = builder.with_intra_threads(options.threads.max(1)).map_err(plain)?;
    let builder = builder.with_intra_op_spinning(options.spinning).map_err(plain)?;
    let builder = builder.with_memory_pattern(false).map_err(plain)?;
    let level = match options.as_written {
        true => GraphOptimizationLevel::Disable,
        false => GraphOptimizationLevel::All,
    };
    builder.with_optimization_level(level).map_err(plain)
}

/// The process's one environment, which loads the library on first use.
fn environment() -> Result<&'static Environment> {
    static ENVIRONMENT: OnceLock<Result<Environment, (String, String)>> = OnceLock::new();
    let load = || -> Result<Environment> {
        let path = locate::library()?;
        let failed = || format!("failed to load ONNX Runtime from {}", path.display());
        let builder = ort::init_from(&path).map_err(|error| anyhow!("{error}"));
        let builder =
            builder.with_context(failed).hint("run `make deps` to fetch one that fits")?;
        builder.with_name("irn").with_telemetry(false).build().map_err(plain).with_context(failed)
    };
    // Errors can't be cloned: the first failure is kept as text, its advice apart.
    let keep = |error: anyhow::Error| {
        let report = irn_models::error::report(&error);
        let report = report.strip_prefix("error: ").unwrap_or(&report);
        let (message, hint) = report.split_once("\nhint: ").unwrap_or((report, ""));
        (message.to_string(), hint.to_string())
    };
    match ENVIRONMENT.get_or_init(|| load().map_err(keep)) {
        Ok(environment) => Ok(environment),
        Err((message, hint)) if hint.is_empty() => Err(anyhow!("{message}")),
        Err((message, hint)) => Err(anyhow!("{message}")).hint(hint),
    }
}

pub(crate) fn plain<R>(error: ort::Error<R>) -> anyhow::Error {
    anyhow!("ONNX Runtime: {error}")
}
