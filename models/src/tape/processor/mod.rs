//! The engine of the machine's own processor, on the fused operations of [`crate::ops`].
//!
//! Results are the same bits whatever the number of threads.

mod gradients;
mod shelf;

use std::sync::Arc;

use candle_core::backprop::GradStore;
use candle_core::{Device, Result, Tensor, bail};
use rayon::prelude::*;

use super::{Engine, Inputs, Shape, Wanted};
use crate::layers::{Conv, ConvNorm, GroupNorm};
use crate::ops::affine::Affine;
use crate::ops::gemm_conv::Finish;
use crate::ops::group_norm::Normalise;
use crate::ops::{conv, max_pool, relu, slices, upsample};

pub use shelf::Map;
use shelf::Shelf;

/// Computes on the processor, in maps whose buffers it keeps for the next step.
#[derive(Debug, Default)]
pub struct Processor {
    shelf: Arc<Shelf>,
    frozen: bool,
}

impl Processor {
    /// For networks whose normalised convolutions are all frozen: their products need not be exact to the last
    /// bit (see [`crate::ops`]' products).
    pub fn frozen() -> Self {
        Self { frozen: true, ..Self::default() }
    }

    /// A map that `fill` writes, all of it.
    fn made(&self, shape: Shape, fill: impl FnOnce(&mut [f32])) -> Map {
        Map::made(&self.shelf, shape, fill)
    }

    /// The same if `fill` does not fail.
    fn tried(&self, shape: Shape, fill: impl FnOnce(&mut [f32]) -> Result<()>) -> Result<Map> {
        let mut result = Ok(());
        let map = self.made(shape, |values| result = fill(values));
        result.map(|()| map)
    }
}

impl Engine for Processor {
    type Map = Map;

    fn load(&self, values: &Tensor) -> Result<Map> {
        let (images, channels, height, width) = values.dims4()?;
        if values.elem_count() == 0 {
            bail!("a map of shape {:?}", values.shape());
        }
        slices::with([&values.contiguous()?], |[values]| {
            Ok(self.made([images, channels, height, width], |map| map.copy_from_slice(values)))
        })
    }

    fn read(&self, map: &Map) -> Result<Tensor> {
        Tensor::from_slice(map.values(), &map.shape()[..], &Device::Cpu)
    }

    fn shape(&self, map: &Map) -> Shape {
        map.shape()
    }

    fn conv_norm(&self, layer: &ConvNorm, x: &Map, residual: Option<&Map>) -> Result<Map> {
        let g = conv::geometry(&layer.conv, x.shape())?;
        if let Some(residual) = residual.filter(|residual| residual.shape() != g.shape_out()) {
            bail!("a residual of {:?} meets {:?}", residual.shape(), g.shape_out());
        }
        let affine = Affine::new(&layer.norm)?;
        let finish = Finish {
            scale: Some(&affine.scale),
            shift: Some(&affine.shift),
            residual: residual.map(Map::values),
            relu: layer.relu,
        };
        let run = if self.frozen { conv::frozen_forward } else { conv::forward };
        self.tried(g.shape_out(), |y| run(&layer.conv, &g, x.values(), finish, y))
    }

    fn conv(&self, layer: &Conv, x: &Map) -> Result<Map> {
        let g = conv::geometry(layer, x.shape())?;
        let bias = conv::bias(layer)?;
        let finish = Finish { shift: bias.as_deref(), ..Finish::default() };
        self.tried(g.shape_out(), |y| conv::forward(layer, &g, x.values(), finish, y))
    }

    fn group_norm(&self, layer: &GroupNorm, x: &Map) -> Result<Map> {
        let norm = Normalise::new(layer);
        let sizes = norm.sizes(x.shape())?;
        let parameters = [&layer.weight, &layer.bias].map(|x| x.var().as_detached_tensor());
        slices::with(parameters.each_ref(), |[gamma, beta]| {
            Ok(self.made(x.shape(), |y| norm.run(&sizes, [x.values(), gamma, beta], y)))
        })
    }

    fn relu(&self, x: &Map) -> Result<Map> {
        Ok(self.made(x.shape(), |y| relu::positive(x.values(), y)))
    }

    fn concat(&self, maps: &[&Map]) -> Result<Map> {
        let [images, _, height, width] = maps[0].shape();
        if maps.iter().any(|x| x.shape()[0] != images || x.size() != (height, width)) {
            bail!("maps of different sizes in one");
        }
        let channels = maps.iter().map(|x| x.shape()[1]).sum();
        Ok(self.made([images, channels, height, width], |mut y| {
            for image in 0..images {
                for x in maps {
                    let len = x.values().len() / images;
                    let (first, rest) = y.split_at_mut(len);
                    first.copy_from_slice(&x.values()[image * len..][..len]);
                    y = rest;
                }
            }
        }))
    }

    fn max_pool(&self, x: &Map) -> Result<Map> {
        let [images, channels, ..] = x.shape();
        let (rows, columns) = max_pool::size(x.size());
        let shape = [images, channels, rows, columns];
        Ok(self.made(shape, |y| max_pool::run(x.values(), x.size(), y)))
    }

    fn upsample(&self, x: &Map, factor: usize) -> Result<Map> {
        let [images, channels, height, width] = x.shape();
        if factor == 0 {
            bail!("enlarging by 0");
        }
        let shape = [images, channels, height * factor, width * factor];
        Ok(self.made(shape, |y| upsample::run(x.values(), x.size(), factor, y)))
    }

    fn crop(&self, x: &Map, (rows, columns): (usize, usize)) -> Result<Map> {
        let [images, channels, height, width] = x.shape();
        if rows > height || columns > width || rows * columns == 0 {
            bail!("{rows} x {columns} of {height} x {width}");
        }
        Ok(self.made([images, channels, rows, columns], |y| {
            let planes = y.par_chunks_exact_mut(rows * columns);
            planes.zip(x.values().par_chunks_exact(height * width)).for_each(|(y, x)| {
                let lines = y.chunks_exact_mut(columns).zip(x.chunks_exact(width));
                lines.for_each(|(y, x)| y.copy_from_slice(&x[..columns]));
            });
        }))
    }

    fn conv_norm_gradient(
        &self,
        layer: &ConvNorm,
        x: &Map,
        y: &Map,
        dy: Map,
        wanted: Wanted,
        gradients: &mut GradStore,
    ) -> Result<Inputs<Map>> {
        self.back_through_conv_norm(layer, (x, y, dy), wanted, gradients)
    }

    fn conv_gradient(
        &self,
        layer: &Conv,
        x: &Map,
        dy: Map,
        wanted: bool,
        gradients: &mut GradStore,
    ) -> Result<Option<Map>> {
        self.back_through_conv(layer, (x, dy), wanted, gradients)
    }

    fn group_norm_gradient(
        &self,
        layer: &GroupNorm,
        x: &Map,
        dy: Map,
        wanted: bool,
        gradients: &mut GradStore,
    ) -> Result<Option<Map>> {
        self.back_through_group_norm(layer, (x, dy), wanted, gradients)
    }

    fn relu_gradient(&self, y: &Map, mut dy: Map) -> Result<Map> {
        relu::gradient(y.values(), dy.own());
        Ok(dy)
    }

    fn concat_gradient(&self, channels: &[usize], dy: Map) -> Result<Vec<Map>> {
        let [images, all, height, width] = dy.shape();
        let plane = height * width;
        let mut start = 0;
        let parts = channels.iter().map(|&channels| {
            let first = start * plane;
            start += channels;
            self.made([images, channels, height, width], |dx| {
                let images = dx.chunks_exact_mut(channels * plane);
                for (dx, dy) in images.zip(dy.values().chunks_exact(all * plane)) {
                    dx.copy_from_slice(&dy[first..][..channels * plane]);
                }
            })
        });
        Ok(parts.collect())
    }

    fn max_pool_gradient(&self, x: &Map, _y: &Map, dy: Map) -> Result<Map> {
        Ok(self.made(x.shape(), |dx| max_pool::gradient(x.values(), x.size(), dy.values(), dx)))
    }

    fn upsample_gradient(&self, x: Shape, factor: usize, dy: Map) -> Result<Map> {
        Ok(self.made(x, |dx| upsample::gradient(dy.values(), (x[2], x[3]), factor, dx)))
    }

    fn crop_gradient(&self, x: Shape, dy: Map) -> Result<Map> {
        let (rows, columns) = dy.size();
        Ok(self.made(x, |dx| {
            let planes = dx.par_chunks_exact_mut(x[2] * x[3]);
            planes.zip(dy.values().par_chunks_exact(rows * columns)).for_each(|(dx, dy)| {
                dx.fill(0.0);
                let lines = dx.chunks_exact_mut(x[3]).zip(dy.chunks_exact(columns));
                lines.for_each(|(dx, dy)| dx[..columns].copy_from_slice(dy));
            });
        }))
    }

    fn add(&self, mut sum: Map, other: &Map) -> Result<Map> {
        if sum.shape() != other.shape() {
            bail!("gradients of {:?} and {:?}", sum.shape(), other.shape());
        }
        slices::add(sum.own(), other.values());
        Ok(sum)
    }
}
