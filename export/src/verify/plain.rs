//! A model without its checkpoint: ONNX Runtime, which fuses and rearranges operations for the machine it
//! runs on, against itself with all of that switched off.

use anyhow::{Context, Result};
use prost::bytes::Bytes;

use super::report::{Difference, Report};
use super::{Model, Photos, Plan, slack};
use crate::info::NetworkKind;
use crate::onnxruntime::SessionOptions;

/// Compares the file's `bytes` with themselves: run as ONNX Runtime sees fit, and as they are written, on
/// one thread. Of label maps the difference is the share of pixels whose label is another.
///
/// # Errors
/// A file that can't be opened or run; not a mere difference.
pub fn without_checkpoint(bytes: Vec<u8>, plan: &Plan) -> Result<Report> {
    let bytes = Bytes::from(bytes);
    let as_written = SessionOptions { as_written: true, ..SessionOptions::default() };
    let mut changed = Model::open(&bytes, &plan.options())?;
    let mut written = Model::open(&bytes, &as_written)?;
    let info = written.info().clone();
    let labels = info.network == NetworkKind::Labels;
    let outputs = if labels { ["scores", "label"] } else { info.network.outputs() };
    let mut report = Report::new(&info, plan.tolerance * slack(info.form.precision), None);
    let mut sizes = plan.sizes_of(&info);
    sizes.retain(|size| !labels || size[0] == 1);
    for size in sizes {
        let photos = Photos::new(size, &info)?;
        let (expected, found) = (written.run(&photos)?, changed.run(&photos)?);
        for ((output, expected), found) in outputs.iter().zip(&expected).zip(&found) {
            let pairs = expected.iter().copied().zip(found.iter().copied());
            let difference = match *output {
                "label" => Difference::of_labels(pairs),
                _ => Difference::of(pairs),
            };
            report.add(output, size, difference);
        }
    }
    Some(report).filter(|report| !report.comparisons.is_empty()).context("no size to compare")
}
