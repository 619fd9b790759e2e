//! `irn-export verify`: is the file the network, and what does ONNX Runtime do with it?

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use super::Common;
use crate::device::{Device, decide};
use crate::external;
use crate::runtime_report::runtime_report;
use crate::verify::{Plan, verify, without_checkpoint};

/// The photo of the runtime report: the usual size of VOC's.
const REPORTED: [usize; 3] = [1, 375, 500];

/// Compares `model` with a checkpoint or, without one, with itself as it is written; true where they agree.
pub fn check(
    model: &Path,
    checkpoint: Option<&Path>,
    with_runtime: bool,
    as_json: bool,
    device: &Device,
    common: &Common,
) -> Result<bool> {
    let decision = decide(device)?;
    let plan = Plan { place: decision.places[0], ..common.plan()? };
    let bytes = external::joined(model)?;
    let failed = || format!("failed to check {}", model.display());
    let report = match checkpoint {
        Some(checkpoint) => {
            let (network, _) = common.network(checkpoint)?;
            verify(&network, bytes.clone(), &plan)
        }
        None => without_checkpoint(bytes.clone(), &plan),
    };
    let report = report.with_context(failed)?;
    let runtime =
        with_runtime.then(|| runtime_report(bytes, REPORTED, &plan.options()).with_context(failed));
    let runtime = runtime.transpose()?;
    if as_json {
        let all = json!({ "report": report, "passed": report.passed(), "runtime": runtime });
        println!("{}", serde_json::to_string_pretty(&all)?);
    } else {
        println!("computed on {}\n{report}", decision.describe(plan.threads, "f32")?);
        if let Some(runtime) = &runtime {
            println!("\n{runtime}");
        }
    }
    Ok(report.passed())
}
