//! What ONNX Runtime really does with a model on this machine: the library, the providers it was built with,
//! which of them ran which operations, and what became of the graph. From the profile that it writes itself.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Result;
use ort::ep::ExecutionProvider;
use ort::session::builder::SessionBuilder;
use prost::Message;
use prost::bytes::Bytes;
use serde::Serialize;

use crate::info::NetworkKind;
use crate::onnx::ModelProto;
use crate::onnxruntime::environment;
use crate::onnxruntime::placement::{CPU, Used, provider, used};
use crate::onnxruntime::{SessionOptions, builder, plain};
use crate::verify::{Model, Photos};

/// Providers that a build of ONNX Runtime may have.
const KNOWN: [&str; 8] = [
    "TensorrtExecutionProvider",
    "CUDAExecutionProvider",
    "OpenVINOExecutionProvider",
    "DnnlExecutionProvider",
    "CoreMLExecutionProvider",
    "DmlExecutionProvider",
    "XnnpackExecutionProvider",
    CPU,
];

/// What happened.
#[derive(Clone, Debug, Serialize)]
pub struct RuntimeReport {
    /// The shared library.
    pub library: String,
    /// What it says of its build.
    pub build: String,
    /// Providers it was built with.
    pub offered: Vec<&'static str>,
    /// The provider asked for.
    pub asked: &'static str,
    /// Threads inside one operation.
    pub threads: usize,
    /// `[batch, height, width]` of the photos.
    pub size: [usize; 3],
    /// Operations in the file (those inside loops not counted).
    pub nodes_in_file: usize,
    /// By provider, what ran.
    pub used: BTreeMap<String, Used>,
    /// Kinds of operations that ran elsewhere than asked.
    pub fallbacks: Vec<String>,
}

/// Runs the model once on photos of `size` after a run to warm up, and reports on that.
///
/// # Errors
/// A file that can't be opened or run, or a profile that can't be read.
pub fn runtime_report(
    bytes: Vec<u8>,
    size: [usize; 3],
    options: &SessionOptions,
) -> Result<RuntimeReport> {
    let bytes = Bytes::from(bytes);
    let folder = tempfile::tempdir()?;
    let builder = profiled(options, &folder.path().join("irn"))?;
    let mut model = Model::built(&bytes, builder)?;
    let size = model.info().form.size.unwrap_or(size);
    let size =
        if model.info().network == NetworkKind::Labels { [1, size[1], size[2]] } else { size };
    model.run(&Photos::new(size, model.info())?)?;
    let profile = fs_err::read(model.end_profiling()?)?;
    let (used, asked) = (used(&profile)?, provider(options.place));
    let elsewhere = used.iter().filter(|(provider, _)| **provider != asked);
    let graph = ModelProto::decode(bytes)?.graph;
    Ok(RuntimeReport {
        library: environment::loaded()?.path.display().to_string(),
        build: ort::info().to_owned(),
        offered: offered(),
        asked,
        threads: options.threads,
        size,
        nodes_in_file: graph.map_or(0, |graph| graph.node.len()),
        fallbacks: elsewhere.flat_map(|(_, used)| used.operations.keys().cloned()).collect(),
        used,
    })
}

fn profiled(options: &SessionOptions, prefix: &std::path::Path) -> Result<SessionBuilder> {
    builder(options)?.with_profiling(prefix).map_err(plain)
}

/// A provider by its place in [`KNOWN`], to be asked for, never registered.
struct Known<const PLACE: usize>;

impl<const PLACE: usize> ExecutionProvider for Known<PLACE> {
    const NAME: &'static str = KNOWN[PLACE];

    fn register(&self, _: &mut SessionBuilder) -> ort::Result<()> {
        Err(ort::Error::new("only asked for"))
    }
}

fn offered() -> Vec<&'static str> {
    let there = [
        Known::<0>::is_available(),
        Known::<1>::is_available(),
        Known::<2>::is_available(),
        Known::<3>::is_available(),
        Known::<4>::is_available(),
        Known::<5>::is_available(),
        Known::<6>::is_available(),
        Known::<7>::is_available(),
    ];
    let named = KNOWN.into_iter().zip(there);
    named.filter(|(_, there)| matches!(there, Ok(true))).map(|(name, _)| name).collect()
}

impl fmt::Display for RuntimeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [n, h, w] = self.size;
        writeln!(f, "library      {}", self.library)?;
        writeln!(f, "build        {}", self.build)?;
        writeln!(f, "built with   {}", self.offered.join(", "))?;
        writeln!(f, "asked for    {}, {} threads", self.asked, self.threads)?;
        writeln!(f, "photos       {n} of {h}x{w}")?;
        writeln!(f, "in the file  {} operations", self.nodes_in_file)?;
        for (provider, used) in &self.used {
            let Used { nodes, ms, operations } = used;
            writeln!(f, "run by       {provider}: {nodes} operations, {ms:.1} ms")?;
            let kinds: Vec<String> =
                operations.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            writeln!(f, "             {}", kinds.join(", "))?;
        }
        match self.fallbacks.is_empty() {
            true => write!(f, "fallbacks    none"),
            false => write!(f, "fallbacks    {}", self.fallbacks.join(", ")),
        }
    }
}
