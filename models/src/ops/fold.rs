//! A convolution and the normalisation after it as one matrix: a row per output channel, which is its
//! weights times the scale, then the shift.
//!
//! The convolution needs no second pass over its output then, and the gradients of scale and shift come
//! out of the weights' gradient, without the activations.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::slices;
use crate::layers::ConvNorm;

/// The matrix of `layer`, `(c_out, c_in * kernel * kernel + 1)`; gradients go to the convolution's
/// weight and to the normalisation's scale and shift.
pub fn fold(layer: &ConvNorm) -> Result<Tensor> {
    let norm = &layer.norm;
    let deviation = (norm.running_var.tensor() + norm.eps)?.sqrt()?.to_vec1()?;
    let op = Fold { mean: norm.running_mean.tensor().to_vec1()?, deviation };
    layer.conv.weight.tensor().apply_op3(&norm.weight.tensor(), &norm.bias.tensor(), op)
}

struct Fold {
    mean: Vec<f32>,
    deviation: Vec<f32>,
}

impl CustomOp3 for Fold {
    fn name(&self) -> &'static str {
        "fold"
    }

    fn cpu_fwd(
        &self,
        weight: &CpuStorage,
        weight_layout: &Layout,
        gamma: &CpuStorage,
        gamma_layout: &Layout,
        beta: &CpuStorage,
        beta_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let weight = slices::argument(weight, weight_layout)?;
        let gamma = slices::argument(gamma, gamma_layout)?;
        let beta = slices::argument(beta, beta_layout)?;
        let columns = weight.len() / gamma.len();
        let mut matrix = vec![0f32; gamma.len() * (columns + 1)];
        matrix.par_chunks_exact_mut(columns + 1).enumerate().for_each(|(o, row)| {
            let scale = gamma[o] / self.deviation[o];
            let weights = &weight[o * columns..(o + 1) * columns];
            row.iter_mut().zip(weights).for_each(|(row, weight)| *row = weight * scale);
            row[columns] = beta[o] - self.mean[o] * scale;
        });
        Ok((CpuStorage::F32(matrix), (gamma.len(), columns + 1).into()))
    }

    fn bwd(
        &self,
        weight: &Tensor,
        gamma: &Tensor,
        beta: &Tensor,
        _matrix: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let (d_weight, d_gamma, d_beta) =
            slices::with([weight, gamma, &gradient], |[weight, gamma, gradient]| {
                Ok(self.gradients(weight, gamma, gradient))
            })?;
        let tensor = |values, like: &Tensor| Tensor::from_vec(values, like.shape(), like.device());
        let wanted =
            |values, like: &Tensor| like.track_op().then(|| tensor(values, like)).transpose();
        Ok((wanted(d_weight, weight)?, wanted(d_gamma, gamma)?, wanted(d_beta, beta)?))
    }
}

impl Fold {
    fn gradients(
        &self,
        weight: &[f32],
        gamma: &[f32],
        gradient: &[f32],
    ) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let columns = weight.len() / gamma.len();
        let mut d_weight = vec![0f32; weight.len()];
        let rows =
            d_weight.par_chunks_exact_mut(columns).zip(gradient.par_chunks_exact(columns + 1));
        let affine = rows.enumerate().map(|(o, (d_weight, row))| {
            let scale = gamma[o] / self.deviation[o];
            let weights = &weight[o * columns..(o + 1) * columns];
            let (gradient, shift) = (&row[..columns], row[columns]);
            d_weight.iter_mut().zip(gradient).for_each(|(d, g)| *d = g * scale);
            let along = slices::dot(gradient, weights) as f32;
            ((along - self.mean[o] * shift) / self.deviation[o], shift)
        });
        let (d_gamma, d_beta) = affine.unzip();
        (d_weight, d_gamma, d_beta)
    }
}
