//! Group normalisation (Wu and He 2018): each group of channels of each image by its own mean and
//! variance.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::slices;
use crate::layers::GroupNorm;

/// See [`crate::FeatureMap::group_norm`].
pub fn group_norm(x: &Tensor, layer: &GroupNorm) -> Result<Tensor> {
    let op = Normalise { groups: layer.groups, eps: layer.eps };
    x.contiguous()?.apply_op3(&layer.weight.tensor(), &layer.bias.tensor(), op)
}

/// The operation: how many groups, and what is added to a variance.
#[derive(Clone, Copy)]
pub struct Normalise {
    pub groups: usize,
    pub eps: f64,
}

/// Values per group of an image, values per channel, channels per group.
pub struct Sizes {
    pub group: usize,
    pub plane: usize,
    pub channels: usize,
}

impl Normalise {
    fn sizes(&self, shape: &Shape) -> Result<Sizes> {
        let (_, channels, height, width) = shape.dims4()?;
        if channels % self.groups != 0 || height * width == 0 {
            bail!("{} groups of {shape:?}", self.groups);
        }
        let (plane, channels) = (height * width, channels / self.groups);
        Ok(Sizes { group: plane * channels, plane, channels })
    }

    /// Mean and reciprocal deviation.
    pub fn statistics(&self, x: &[f32]) -> (f32, f32) {
        let count = x.len() as f64;
        let mean = slices::sum(x, f64::from) / count;
        let variance = slices::sum(x, |x| (f64::from(x) - mean).powi(2)) / count;
        (mean as f32, (1.0 / (variance + self.eps).sqrt()) as f32)
    }
}

impl CustomOp3 for Normalise {
    fn name(&self) -> &'static str {
        "group norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        gamma: &CpuStorage,
        gamma_layout: &Layout,
        beta: &CpuStorage,
        beta_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = self.sizes(x_layout.shape())?;
        let x = slices::argument(x, x_layout)?;
        let gamma = slices::argument(gamma, gamma_layout)?;
        let beta = slices::argument(beta, beta_layout)?;
        let mut y = vec![0f32; x.len()];
        let groups = y.par_chunks_exact_mut(sizes.group).zip(x.par_chunks_exact(sizes.group));
        groups.enumerate().for_each(|(group, (y, x))| {
            let (mean, reciprocal) = self.statistics(x);
            let first = group % self.groups * sizes.channels;
            let planes = y.chunks_exact_mut(sizes.plane).zip(x.chunks_exact(sizes.plane));
            for (channel, (y, x)) in (first..).zip(planes) {
                let (scale, shift) = (gamma[channel], beta[channel]);
                let affine = |x: f32| (x - mean) * reciprocal * scale + shift;
                y.iter_mut().zip(x).for_each(|(y, &x)| *y = affine(x));
            }
        });
        Ok((CpuStorage::F32(y), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        gamma: &Tensor,
        beta: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let sizes = self.sizes(x.shape())?;
        let dy = dy.contiguous()?;
        let (dx, sums) = slices::with([x, gamma, &dy], |[x, gamma, dy]| {
            Ok(self.gradients(&sizes, x, gamma, dy))
        })?;
        let channels = gamma.elem_count();
        let over_images = |k: usize| {
            let of_channel = |channel: usize| {
                sums.iter().skip(channel).step_by(channels).map(|pair| pair[k]).sum::<f64>() as f32
            };
            Tensor::from_vec((0..channels).map(of_channel).collect(), channels, x.device())
        };
        let dx = Tensor::from_vec(dx, x.shape(), x.device())?;
        Ok((
            x.track_op().then_some(dx),
            gamma.track_op().then(|| over_images(1)).transpose()?,
            beta.track_op().then(|| over_images(0)).transpose()?,
        ))
    }
}

impl Normalise {
    /// The input's gradient, and per image and channel the sums of `dy` and of `dy` times the normalised
    /// input.
    pub fn gradients(
        &self,
        sizes: &Sizes,
        x: &[f32],
        gamma: &[f32],
        dy: &[f32],
    ) -> (Vec<f32>, Vec<[f64; 2]>) {
        let mut dx = vec![0f32; x.len()];
        let groups = dx.par_chunks_exact_mut(sizes.group).zip(x.par_chunks_exact(sizes.group));
        let groups = groups.zip(dy.par_chunks_exact(sizes.group)).enumerate();
        let sums = groups.flat_map_iter(|(group, ((dx, x), dy))| {
            let first = group % self.groups * sizes.channels;
            self.group_gradient(sizes, (dx, x, dy), &gamma[first..first + sizes.channels])
        });
        let sums = sums.collect();
        (dx, sums)
    }

    fn group_gradient(
        &self,
        sizes: &Sizes,
        (dx, x, dy): (&mut [f32], &[f32], &[f32]),
        gamma: &[f32],
    ) -> Vec<[f64; 2]> {
        let (mean, reciprocal) = self.statistics(x);
        let planes = x.chunks_exact(sizes.plane).zip(dy.chunks_exact(sizes.plane));
        let sums: Vec<[f64; 2]> = planes
            .map(|(x, dy)| {
                let total = slices::sum(dy, f64::from);
                let along = slices::dot(x, dy) - f64::from(mean) * total;
                [total, along * f64::from(reciprocal)]
            })
            .collect();
        let weighted = |k: usize| {
            let terms = sums.iter().zip(gamma).map(|(sums, &gamma)| sums[k] * f64::from(gamma));
            (terms.sum::<f64>() / sizes.group as f64) as f32
        };
        let (level, slope) = (weighted(0), weighted(1));
        let planes = dx.chunks_exact_mut(sizes.plane).zip(x.chunks_exact(sizes.plane));
        for (((dx, x), dy), gamma) in planes.zip(dy.chunks_exact(sizes.plane)).zip(gamma) {
            for ((dx, x), dy) in dx.iter_mut().zip(x).zip(dy) {
                let normalised = (x - mean) * reciprocal;
                *dx = reciprocal * (dy * gamma - level - normalised * slope);
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Weights;
    use crate::ops::testing::{agree, naive_group_norm, numbers, var};

    #[test]
    fn agrees_with_plain_operations() {
        for (groups, channels, height, width) in [(1, 1, 1, 2), (4, 12, 5, 7), (8, 16, 3, 1)] {
            let mut w = Weights::seeded(1, &candle_core::Device::Cpu);
            let layer = GroupNorm::new(&mut w, "norm", groups, channels).unwrap();
            layer.weight.var().set(&numbers("gamma", &[channels])).unwrap();
            layer.bias.var().set(&numbers("beta", &[channels])).unwrap();
            let x = var("x", &[2, channels, height, width]);
            let vars = [&x, layer.weight.var(), layer.bias.var()];
            agree(&vars, || group_norm(&x, &layer), || naive_group_norm(&x, &layer), 2e-4);
        }
    }
}
