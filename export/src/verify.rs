//! Is the file the network? Candle and ONNX Runtime on the same photos, output by output; where they
//! differ, the first node at which they do.

use std::fmt;

use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor};
use irn_models::weights::splitmix;
use ndarray::{Array4, ArrayD};
use prost::Message;
use prost::bytes::Bytes;
use serde::Serialize;

use crate::export::INPUT;
use crate::form::{Form, Input, Precision};
use crate::info::{ModelInfo, NetworkKind};
use crate::network::Network;
use crate::onnx::{ModelProto, ValueInfoProto};
use crate::onnxruntime::{Session, SessionOptions};
use crate::probe::{Log, Probe};

/// What is compared and how closely it has to agree.
#[derive(Clone, Debug)]
pub struct Plan {
    /// `[batch, height, width]` of every comparison.
    pub sizes: Vec<[usize; 3]>,
    /// Largest difference allowed, relative to the output's largest magnitude; 200 times as much in
    /// 16 bits, 5000 times in 8.
    pub tolerance: f64,
    /// Threads of ONNX Runtime.
    pub threads: usize,
}

impl Default for Plan {
    fn default() -> Self {
        let sizes = vec![[1, 64, 64], [1, 65, 97], [2, 33, 129], [2, 80, 50]];
        Self { sizes, tolerance: 1e-4, threads: 1 }
    }
}

/// How far two tensors are apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The largest absolute difference; infinite where one is not finite and the other is.
    pub absolute: f64,
    /// The same over the largest magnitude of Candle's values.
    pub relative: f64,
}

/// One output on photos of one size.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Name of the output.
    pub output: String,
    /// `[batch, height, width]` of the photos.
    pub size: [usize; 3],
    /// How far Candle and ONNX Runtime are apart.
    pub difference: Difference,
}

/// The first node, in the order of the graph, whose value differs.
#[derive(Clone, Debug, Serialize)]
pub struct Divergence {
    /// The node's name.
    pub node: String,
    /// Its operation.
    pub operation: String,
    /// `[batch, height, width]` of the photos.
    pub size: [usize; 3],
    /// How far the values are apart.
    pub difference: Difference,
}

/// What [`verify`] found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The network compared.
    pub network: NetworkKind,
    /// Limit of the relative differences.
    pub tolerance: f64,
    /// Whether the file was exported from these very weights.
    pub same_weights: bool,
    /// Every output at every size.
    pub comparisons: Vec<Comparison>,
    /// Where it begins, if an output is out of tolerance and a node is, too.
    pub divergence: Option<Divergence>,
}

impl Report {
    /// Whether every output is within tolerance.
    pub fn passed(&self) -> bool {
        let within = |c: &Comparison| c.difference.relative <= self.tolerance;
        !self.comparisons.is_empty() && self.comparisons.iter().all(within)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:14} {:>16} {:>10} {:>10}", "output", "photos", "absolute", "relative")?;
        for Comparison { output, size: [n, h, w], difference } in &self.comparisons {
            let verdict = if difference.relative <= self.tolerance { "" } else { "  FAILED" };
            let photos = format!("{n} of {h}x{w}");
            let Difference { absolute, relative } = difference;
            writeln!(f, "{output:14} {photos:>16} {absolute:>10.1e} {relative:>10.1e}{verdict}")?;
        }
        if !self.same_weights {
            writeln!(f, "the file was exported from other weights than the checkpoint's")?;
        }
        if let Some(Divergence { node, operation, size: [n, h, w], difference }) = &self.divergence
        {
            let Difference { absolute, relative } = difference;
            writeln!(
                f,
                "first node that differs: {node} ({operation}), {n} of {h}x{w}: {absolute:.1e} \
                 absolute, {relative:.1e} relative"
            )?;
        }
        let verdict = if self.passed() { "agree" } else { "DISAGREE" };
        write!(f, "Candle and ONNX Runtime {verdict} (tolerance {:.0e} relative)", self.tolerance)
    }
}

/// Compares the file's `bytes` with `network`.
///
/// # Errors
/// A file that can't be opened or run, an empty size; not a mere difference.
pub fn verify(network: &Network, bytes: Vec<u8>, plan: &Plan) -> Result<Report> {
    let bytes = Bytes::from(bytes);
    let options = SessionOptions { threads: plan.threads, ..SessionOptions::default() };
    let kind = network.kind();
    let (mut session, info, _) = Session::from_bytes(bytes.clone(), kind, &options)?;
    let mut report = Report {
        network: kind,
        tolerance: plan.tolerance * slack(info.form.precision),
        same_weights: same_weights(network, &info)?,
        comparisons: Vec::new(),
        divergence: None,
    };
    for &size in info.form.size.as_ref().map_or(&plan.sizes[..], std::slice::from_ref) {
        let (photos, found) = match info.form.input {
            Input::Normalised => {
                let photos = photos(size)?;
                let found = session.run(photos.view())?;
                (photos, found)
            }
            Input::Rgb8 => {
                let pixels = pixels(size)?;
                let found = session.run(pixels.view())?;
                (normalised(&pixels, &info), found)
            }
        };
        let expected = reference(network, &photos)?;
        for ((output, expected), found) in kind.outputs().iter().zip(&expected).zip(&found) {
            let difference = difference(expected, found)?;
            report.comparisons.push(Comparison { output: output.to_string(), size, difference });
        }
        let comparable = info.form == Form { opset: info.form.opset, ..Form::default() };
        if comparable && !report.passed() && report.divergence.is_none() {
            report.divergence = divergence(network, &bytes, size, plan)?;
        }
    }
    Ok(report)
}

fn same_weights(network: &Network, info: &ModelInfo) -> Result<bool> {
    Ok(network.weights_sha256()? == info.weights_sha256)
}

/// How many times further apart a precision may bring the outputs.
fn slack(precision: Precision) -> f64 {
    match precision {
        Precision::F32 => 1.0,
        Precision::F16 => 200.0,
        Precision::Int8 => 5000.0,
    }
}

/// Photos as they are decoded, `(batch, height, width, 3)`.
fn pixels([n, h, w]: [usize; 3]) -> Result<Array4<u8>> {
    let planes = photos([n, h, w])?.mapv(|value| ((value + 2.) * 63.75) as u8);
    Ok(planes.permuted_axes([0, 2, 3, 1]))
}

fn normalised(pixels: &Array4<u8>, info: &ModelInfo) -> Array4<f32> {
    let (n, h, w, _) = pixels.dim();
    Array4::from_shape_fn((n, 3, h, w), |(n, c, y, x)| {
        ((f64::from(pixels[[n, y, x, c]]) / 255. - info.mean[c]) / info.std[c]) as f32
    })
}

/// Numbers as they occur in normalised photos, the same on every machine.
fn photos(size: [usize; 3]) -> Result<Array4<f32>> {
    let [n, h, w] = size;
    ensure!(n > 0 && h > 0 && w > 0, "photos of size {n} of {h}x{w}");
    ensure!(n.saturating_mul(h).saturating_mul(w) <= 1 << 24, "{n} of {h}x{w} is too large");
    let state = splitmix::state(1, "verify");
    let values = (0u64..).map(|i| (splitmix::uniform(state, i) * 4. - 2.) as f32);
    Ok(Array4::from_shape_vec((n, 3, h, w), values.take(n * 3 * h * w).collect())?)
}

/// The outputs by Candle, in the order of [`NetworkKind::outputs`].
fn reference(network: &Network, photos: &Array4<f32>) -> Result<[Tensor; 2]> {
    let image = tensor(photos)?;
    Ok(match network {
        Network::Cam(net) => {
            let scores = net.forward(&image)?;
            let logits = scores.mean((2, 3))?;
            [scores, logits]
        }
        Network::Irn(net) => {
            let relations = net.forward_eval(&image)?;
            [relations.edge, relations.displacement]
        }
    })
}

fn tensor(photos: &Array4<f32>) -> Result<Tensor> {
    let values = photos.as_slice().context("photos are stored row by row")?;
    Ok(Tensor::from_slice(values, photos.dim(), &Device::Cpu)?)
}

fn difference(expected: &Tensor, found: &ArrayD<f32>) -> Result<Difference> {
    let shapes = (expected.dims(), found.shape());
    ensure!(shapes.0 == shapes.1, "Candle gives shape {:?}, ONNX Runtime {:?}", shapes.0, shapes.1);
    let expected = expected.flatten_all()?.to_vec1::<f32>()?;
    let (mut absolute, mut magnitude) = (0f64, 1e-12f64);
    for (&a, &b) in expected.iter().zip(found) {
        let apart = (f64::from(a) - f64::from(b)).abs();
        absolute = if apart.is_finite() { absolute.max(apart) } else { f64::INFINITY };
        magnitude = if a.is_finite() { magnitude.max(f64::from(a).abs()) } else { magnitude };
    }
    Ok(Difference { absolute, relative: absolute / magnitude })
}

/// Compares every value that Candle computes under the name of a node, in the graph's order.
fn divergence(
    network: &Network,
    bytes: &Bytes,
    size: [usize; 3],
    plan: &Plan,
) -> Result<Option<Divergence>> {
    let photos = photos(size)?;
    let log = probe(network, &photos)?;
    let mut model = ModelProto::decode(bytes.clone())?;
    let graph = model.graph.as_mut().context("a model without a graph")?;
    let nodes: Vec<_> = graph.node.iter().filter(|node| log.contains_key(&node.name)).collect();
    let nodes: Vec<_> =
        nodes.iter().map(|n| (n.name.clone(), n.op_type.clone(), n.output[0].clone())).collect();
    for (_, _, value) in &nodes {
        if graph.output.iter().all(|output| output.name != *value) {
            graph.output.push(ValueInfoProto { name: value.clone(), r#type: None });
        }
    }
    let values = nodes.iter().map(|(_, _, value)| value.clone()).collect();
    let options = SessionOptions { threads: plan.threads, ..SessionOptions::default() };
    let mut session = Session::unchecked(&model.encode_to_vec(), values, &options)?;
    let values = session.run(photos.view())?;
    for ((node, operation, _), value) in nodes.into_iter().zip(&values) {
        let difference = difference(&log[&node], value).with_context(|| node.clone())?;
        if difference.relative > plan.tolerance {
            return Ok(Some(Divergence { node, operation, size, difference }));
        }
    }
    Ok(None)
}

fn probe(network: &Network, photos: &Array4<f32>) -> Result<Log> {
    let image = Probe::input(INPUT, tensor(photos)?);
    match network {
        Network::Cam(net) => drop(net.forward(&image)?),
        Network::Irn(net) => drop(net.forward_eval(&image)?),
    }
    Ok(image.log())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finite_differs() {
        let expected = Tensor::new(&[1f32, -4.], &Device::Cpu).unwrap();
        let found = |values: Vec<f32>| ArrayD::from_shape_vec(vec![2], values).unwrap();
        let apart = difference(&expected, &found(vec![1.5, -4.])).unwrap();
        assert_eq!((apart.absolute, apart.relative), (0.5, 0.125));
        assert_eq!(
            difference(&expected, &found(vec![f32::NAN, -4.])).unwrap().absolute,
            f64::INFINITY
        );
        assert!(difference(&expected, &ArrayD::zeros(vec![3])).is_err());
    }
}
