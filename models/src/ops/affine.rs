//! The normalisation after a convolution as what it amounts to: a scale and a shift per channel, applied while
//! the convolution's output is in cache.
//!
//! No matrix of scaled weights is made. Backwards, `s` times the gradient of the output belongs to the
//! convolution alone, so the gradients of weights and input are scaled as they are written; that of the scale
//! comes out of the weights' gradient, without the activations.

use candle_core::Result;
use rayon::prelude::*;

use super::slices;
use crate::layers::{BatchNorm, Param};

/// A normalisation by stored statistics.
pub struct Affine {
    /// Each channel is multiplied by it.
    pub scale: Vec<f32>,
    /// Added after that.
    pub shift: Vec<f32>,
    mean: Vec<f32>,
    deviation: Vec<f32>,
}

impl Affine {
    /// That of `norm` now.
    pub fn new(norm: &BatchNorm) -> Result<Self> {
        let values = |param: &Param| param.var().as_detached_tensor().to_vec1::<f32>();
        let (gamma, beta) = (values(&norm.weight)?, values(&norm.bias)?);
        let (mean, variance) = (values(&norm.running_mean)?, values(&norm.running_var)?);
        let deviation: Vec<f32> = variance.iter().map(|x| (x + norm.eps as f32).sqrt()).collect();
        let scale: Vec<f32> = gamma.iter().zip(&deviation).map(|(g, d)| g / d).collect();
        let shift = beta.iter().zip(&mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
        Ok(Self { scale, shift, mean, deviation })
    }

    /// The gradients of gamma and beta, from the sums of the output's gradient and what [`Self::unfold`] gave.
    pub fn gradients(&self, along: &[f64], sums: &[f64]) -> (Vec<f32>, Vec<f32>) {
        let gamma = along.iter().zip(sums).zip(self.mean.iter().zip(&self.deviation));
        let gamma = gamma.map(|((along, sum), (&mean, &deviation))| {
            ((along - f64::from(mean) * sum) / f64::from(deviation)) as f32
        });
        (gamma.collect(), sums.iter().map(|&sum| sum as f32).collect())
    }

    /// The gradient of the scaled weights becomes that of the `weights`; what each channel's goes along them.
    pub fn unfold(&self, gradient: &mut [f32], weights: &[f32]) -> Vec<f64> {
        let depth = weights.len() / self.scale.len();
        let rows = gradient.par_chunks_exact_mut(depth).zip(weights.par_chunks_exact(depth));
        let along = rows.zip(&self.scale).map(|((gradient, weights), scale)| {
            let along = slices::dot(gradient, weights);
            gradient.iter_mut().for_each(|gradient| *gradient *= scale);
            along
        });
        along.collect()
    }
}
