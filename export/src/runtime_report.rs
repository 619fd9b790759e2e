//! What ONNX Runtime really does with a model on this machine: the library, the providers it was built with,
//! which of them ran which operations, and what became of the graph. From the profile that it writes itself.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result};
use ort::ep::ExecutionProvider;
use ort::session::builder::SessionBuilder;
use prost::Message;
use prost::bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::info::NetworkKind;
use crate::locate;
use crate::onnx::ModelProto;
use crate::onnxruntime::{SessionOptions, builder, plain};
use crate::verify::{Model, Photos};

/// The provider that takes what no other does.
const CPU: &str = "CPUExecutionProvider";
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

/// What one provider ran.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Used {
    /// Operations run.
    pub nodes: usize,
    /// Time inside them, milliseconds.
    pub ms: f64,
    /// How many of each kind.
    pub operations: BTreeMap<String, usize>,
}

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
    let used = used(&profile).context("ONNX Runtime's profile")?;
    let elsewhere = used.iter().filter(|(provider, _)| **provider != CPU);
    let graph = ModelProto::decode(bytes)?.graph;
    Ok(RuntimeReport {
        library: locate::library()?.display().to_string(),
        build: ort::info().to_owned(),
        offered: offered(),
        asked: CPU,
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

/// One entry of the profile.
#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    cat: String,
    /// Microseconds.
    #[serde(default)]
    dur: f64,
    #[serde(default)]
    args: Arguments,
}

#[derive(Default, Deserialize)]
struct Arguments {
    provider: Option<String>,
    op_name: Option<String>,
}

fn used(profile: &[u8]) -> Result<BTreeMap<String, Used>> {
    let events: Vec<Event> = serde_json::from_slice(profile)?;
    let mut all: BTreeMap<String, Used> = BTreeMap::new();
    for event in events.into_iter().filter(|event| event.cat == "Node") {
        let (Some(provider), Some(operation)) = (event.args.provider, event.args.op_name) else {
            continue;
        };
        let used = all.entry(provider).or_default();
        used.nodes += 1;
        used.ms += event.dur / 1e3;
        *used.operations.entry(operation).or_default() += 1;
    }
    Ok(all)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_summed_by_provider() {
        let profile = br#"[
            {"cat": "Session", "name": "model_run", "dur": 900, "args": {}},
            {"cat": "Node", "name": "a_kernel_time", "dur": 500,
             "args": {"provider": "CPUExecutionProvider", "op_name": "Conv"}},
            {"cat": "Node", "name": "a_fence_before", "dur": 1, "args": {"op_name": "Conv"}},
            {"cat": "Node", "name": "b_kernel_time", "dur": 250,
             "args": {"provider": "CPUExecutionProvider", "op_name": "Relu"}}]"#;
        let found = used(profile).unwrap();
        let cpu = &found[CPU];
        assert_eq!((found.len(), cpu.nodes, cpu.ms), (1, 2, 0.75));
        assert_eq!(cpu.operations["Conv"], 1);
        assert!(used(b"[{]").is_err());
    }
}
