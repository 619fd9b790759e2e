//! 8-bit models: static quantisation with ranges found on photos.
//!
//! Convolutions, residual sums and pooling work on bytes, between `QuantizeLinear` and
//! `DequantizeLinear` (the QDQ form, which every runtime either fuses or computes as it stands): values
//! by one scale and zero point a map, weights by one scale an output channel. Group norms and the last
//! convolution of each output stay f32.

mod ranges;
mod rewrite;

use anyhow::{Context, Result, ensure};
use ndarray::Array4;
use prost::Message;

use self::ranges::ranges;
use self::rewrite::rewrite;
use crate::form::{Form, Input, Precision};
use crate::info::ModelInfo;
use crate::onnx::{GraphProto, ModelProto, NodeProto};

/// The 8-bit model of the f32 model `bytes`; `photos` are normalised, `(batch, 3, height, width)`.
///
/// # Errors
/// No photo, a model that is quantised, halved or takes bytes already, or those of ONNX Runtime.
pub fn quantize(
    bytes: &[u8],
    info: &ModelInfo,
    photos: impl IntoIterator<Item = Result<Array4<f32>>>,
    threads: usize,
) -> Result<Vec<u8>> {
    ensure!(
        info.form.precision == Precision::F32 && info.form.input == Input::Normalised,
        "only a model of f32 precision and normalised photos can be quantised"
    );
    let mut model = ModelProto::decode(bytes)?;
    let graph = model.graph.as_mut().context("a model without a graph")?;
    let targets = targets(graph);
    let ranges = ranges(&model, &targets, photos, threads)?;
    let graph = model.graph.as_mut().context("a model without a graph")?;
    rewrite(graph, &ranges)?;
    let form = Form { precision: Precision::Int8, ..info.form.clone() };
    let info = ModelInfo { form, ..info.clone() };
    model.metadata_props = info.entries(&graph.encode_to_vec())?;
    Ok(model.encode_to_vec())
}

/// The values that become bytes: what the operations that can use them read.
fn targets(graph: &GraphProto) -> Vec<String> {
    let mut targets = Vec::new();
    for node in graph.node.iter().filter(|node| on_bytes(graph, node)) {
        for value in read_values(graph, node) {
            if !targets.contains(value) {
                targets.push(value.clone());
            }
        }
    }
    targets
}

/// Whether the operation is to work on bytes.
fn on_bytes(graph: &GraphProto, node: &NodeProto) -> bool {
    let constant = |name: &String| graph.initializer.iter().any(|tensor| tensor.name == *name);
    match node.op_type.as_str() {
        "Conv" => graph.output.iter().all(|output| output.name != node.output[0]),
        "Add" => !node.input.iter().any(constant),
        "MaxPool" => true,
        _ => false,
    }
}

/// The inputs of a node that are computed.
fn read_values<'a>(graph: &GraphProto, node: &'a NodeProto) -> Vec<&'a String> {
    let constant = |name: &String| graph.initializer.iter().any(|tensor| tensor.name == *name);
    node.input.iter().filter(|name| !constant(name)).collect()
}
