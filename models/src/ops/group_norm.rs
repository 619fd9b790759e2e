//! Group normalisation (Wu and He 2018): each group of channels of each image by its own mean and
//! variance.

use candle_core::{Result, bail};
use rayon::prelude::*;

use super::slices;
use crate::layers::GroupNorm;
use crate::tape::Shape;

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
    pub fn new(layer: &GroupNorm) -> Self {
        Self { groups: layer.groups, eps: layer.eps }
    }

    /// Those of a map.
    ///
    /// # Errors
    /// Channels that are no whole groups, an empty map.
    pub fn sizes(&self, [_, channels, height, width]: Shape) -> Result<Sizes> {
        if channels % self.groups != 0 || height * width == 0 {
            bail!("{} groups of {channels} x {height} x {width} values", self.groups);
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

impl Normalise {
    /// Each group of `x` by its own statistics, then each channel's scale and shift.
    pub fn run(&self, sizes: &Sizes, [x, gamma, beta]: [&[f32]; 3], y: &mut [f32]) {
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
    }

    /// The input's gradient `dx`, and per image and channel the sums of `dy` and of `dy` times the normalised
    /// input.
    pub fn gradients(
        &self,
        sizes: &Sizes,
        [x, gamma, dy]: [&[f32]; 3],
        dx: &mut [f32],
    ) -> Vec<[f64; 2]> {
        let groups = dx.par_chunks_exact_mut(sizes.group).zip(x.par_chunks_exact(sizes.group));
        let groups = groups.zip(dy.par_chunks_exact(sizes.group)).enumerate();
        let sums = groups.flat_map_iter(|(group, ((dx, x), dy))| {
            let first = group % self.groups * sizes.channels;
            self.group_gradient(sizes, (dx, x, dy), &gamma[first..first + sizes.channels])
        });
        sums.collect()
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
    use crate::ops::testing::{agree, naive_group_norm, numbers, var};
    use crate::{FeatureMap, Weights};

    #[test]
    fn agrees_with_plain_operations() {
        for (groups, channels, height, width) in [(1, 1, 1, 2), (4, 12, 5, 7), (8, 16, 3, 1)] {
            let mut w = Weights::seeded(1, &candle_core::Device::Cpu);
            let layer = GroupNorm::new(&mut w, "norm", groups, channels).unwrap();
            layer.weight.var().set(&numbers("gamma", &[channels])).unwrap();
            layer.bias.var().set(&numbers("beta", &[channels])).unwrap();
            let x = var("x", &[2, channels, height, width]);
            let parameters = [layer.weight.var(), layer.bias.var()];
            agree(
                &[&x],
                &parameters,
                |x| x[0].group_norm(&layer),
                || naive_group_norm(&x, &layer),
                2e-4,
            );
        }
    }
}
