//! What ran where, from the profile that ONNX Runtime writes itself: the only proof there is. A provider that
//! was registered may still have been given none of the operations, which then run on the processor without a
//! word; so every session on a GPU runs once with its profile on before it is used.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, anyhow};
use irn_models::error::Hint;
use serde::{Deserialize, Serialize};

use crate::device::Place;

/// The provider that takes what no other does.
pub const CPU: &str = "CPUExecutionProvider";
/// NVIDIA's.
pub const CUDA: &str = "CUDAExecutionProvider";
/// Bytes up to which a value is a shape or a place in one, which ONNX Runtime computes on the processor by
/// intention. The smallest map of the proof's photo is larger.
const SHAPE: u64 = 256;

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
    /// A number, as text.
    output_size: Option<String>,
}

/// The provider of a place.
pub fn provider(place: Place) -> &'static str {
    match place {
        Place::Cpu => CPU,
        Place::Cuda(_) => CUDA,
    }
}

/// By provider, what ran.
///
/// # Errors
/// No profile of ONNX Runtime.
pub fn used(profile: &[u8]) -> Result<BTreeMap<String, Used>> {
    let mut all: BTreeMap<String, Used> = BTreeMap::new();
    for (provider, operation, event) in nodes(profile)? {
        let used = all.entry(provider).or_default();
        used.nodes += 1;
        used.ms += event.dur / 1e3;
        *used.operations.entry(operation).or_default() += 1;
    }
    Ok(all)
}

/// Whether all that computes maps ran at `place`.
///
/// # Errors
/// Operations that ran elsewhere, by their kinds; a profile without operations.
pub fn prove(profile: &[u8], place: Place) -> Result<()> {
    let wanted = provider(place);
    let nodes = nodes(profile)?;
    let size = |event: &Event| event.args.output_size.as_ref()?.parse::<u64>().ok();
    let large = |event: &Event| size(event).is_none_or(|size| size > SHAPE);
    let elsewhere: BTreeSet<&str> = nodes
        .iter()
        .filter(|(provider, _, event)| provider != wanted && large(event))
        .map(|(_, operation, _)| &**operation)
        .collect();
    if !elsewhere.is_empty() {
        let kinds = elsewhere.into_iter().collect::<Vec<_>>().join(", ");
        return Err(anyhow!("{kinds} would run outside {wanted}"))
            .hint("`irn-export verify MODEL --runtime-report` says which operations run where");
    }
    let there = nodes.iter().any(|(provider, ..)| provider == wanted);
    there.then_some(()).with_context(|| format!("ONNX Runtime names no operation run by {wanted}"))
}

/// Provider, kind and entry of every operation.
fn nodes(profile: &[u8]) -> Result<Vec<(String, String, Event)>> {
    let events: Vec<Event> = serde_json::from_slice(profile).context("ONNX Runtime's profile")?;
    let of = |mut event: Event| {
        let named = event.args.provider.take().zip(event.args.op_name.take())?;
        Some((named.0, named.1, event))
    };
    Ok(events.into_iter().filter(|event| event.cat == "Node").filter_map(of).collect())
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

    #[test]
    fn maps_made_elsewhere_are_an_error_and_shapes_are_not() {
        let event = |provider: &str, operation: &str, size: usize| {
            format!(
                r#"{{"cat": "Node", "dur": 1, "args": {{"provider": "{provider}",
                 "op_name": "{operation}", "output_size": "{size}"}}}}"#
            )
        };
        let prove =
            |events: &[String], place| prove(format!("[{}]", events.join(",")).as_bytes(), place);
        let [conv, shape] = [event(CUDA, "Conv", 4096), event(CPU, "Shape", 16)];
        let gpu = Place::Cuda(0);
        prove(&[conv.clone(), shape.clone()], gpu).unwrap();
        let fallen = [conv.clone(), shape.clone(), event(CPU, "Resize", 4096)];
        let error = prove(&fallen, gpu).unwrap_err();
        assert!(format!("{error:#}").contains("Resize would run outside CUDA"), "{error:#}");
        assert!(prove(&[shape], gpu).is_err() && prove(&[], gpu).is_err());
        assert!(prove(&[conv], Place::Cpu).is_err());
    }
}
