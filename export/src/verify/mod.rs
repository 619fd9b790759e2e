//! Is the file the network? Candle and ONNX Runtime on the same photos, output by output; where they
//! differ, the first node at which they do. Without a checkpoint: does ONNX Runtime, as it is set up here,
//! give what it gives when it changes nothing in the graph?

mod divergence;
mod model;
mod photos;
mod plain;
mod report;

use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor};
use ndarray::{Array4, ArrayD};
use prost::bytes::Bytes;

use self::divergence::divergence;
pub(crate) use self::model::Model;
pub(crate) use self::photos::Photos;
pub use self::plain::without_checkpoint;
pub use self::report::{Comparison, Difference, Divergence, Report};
use crate::device::Place;
use crate::form::{Form, Precision};
use crate::info::ModelInfo;
use crate::network::Network;
use crate::onnxruntime::SessionOptions;

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
    /// Where ONNX Runtime computes; Candle computes on the processor.
    pub place: Place,
}

impl Default for Plan {
    fn default() -> Self {
        let sizes = vec![[1, 64, 64], [1, 65, 97], [2, 33, 129], [2, 80, 50]];
        Self { sizes, tolerance: 1e-4, threads: 1, place: Place::Cpu }
    }
}

impl Plan {
    /// The sizes that a model takes.
    fn sizes_of(&self, info: &ModelInfo) -> Vec<[usize; 3]> {
        info.form.size.map_or_else(|| self.sizes.clone(), |size| vec![size])
    }

    /// How the sessions compute.
    pub fn options(&self) -> SessionOptions {
        SessionOptions { threads: self.threads, place: self.place, ..SessionOptions::default() }
    }
}

/// Compares the file's `bytes` with `network`.
///
/// # Errors
/// A file that can't be opened or run, one of another network, an empty size; not a mere difference.
pub fn verify(network: &Network, bytes: Vec<u8>, plan: &Plan) -> Result<Report> {
    let bytes = Bytes::from(bytes);
    let kind = network.kind();
    let mut model = Model::open(&bytes, &plan.options())?;
    let info = model.info().clone();
    ensure!(info.network == kind, "the file holds `{}`, the checkpoint `{kind}`", info.network);
    let same_weights = Some(network.weights_sha256()? == info.weights_sha256);
    let mut report = Report::new(&info, plan.tolerance * slack(info.form.precision), same_weights);
    for size in plan.sizes_of(&info) {
        let photos = Photos::new(size, &info)?;
        let found = model.run(&photos)?;
        let expected = reference(network, &photos.normalised(&info))?;
        for ((output, expected), found) in kind.outputs().iter().zip(&expected).zip(&found) {
            report.add(output, size, difference(expected, found)?);
        }
        let comparable = info.form == Form { opset: info.form.opset, ..Form::default() };
        if comparable && !report.passed() && report.divergence.is_none() {
            report.divergence = divergence(network, &bytes, size, plan)?;
        }
    }
    Ok(report)
}

/// How many times further apart a precision may bring the outputs.
fn slack(precision: Precision) -> f64 {
    match precision {
        Precision::F32 => 1.0,
        Precision::F16 => 200.0,
        Precision::Int8 => 5000.0,
    }
}

/// The outputs by Candle, in the order of [`crate::NetworkKind::outputs`].
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
    Ok(Difference::of(expected.into_iter().zip(found.iter().copied())))
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
