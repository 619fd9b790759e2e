//! The way back through layers with parameters.

use candle_core::backprop::GradStore;
use candle_core::{Device, Result, Tensor};

use super::{Map, Processor};
use crate::layers::{Conv, ConvNorm, GroupNorm, Param};
use crate::ops::affine::Affine;
use crate::ops::group_norm::Normalise;
use crate::ops::im2col::Geometry;
use crate::ops::{conv, products, relu, slices};
use crate::tape::{Inputs, Wanted, put};

/// Stores the gradient of `param` if it trains.
fn store(gradients: &mut GradStore, param: &Param, values: Vec<f32>) -> Result<()> {
    if !param.trainable() {
        return Ok(());
    }
    put(gradients, param.var(), Tensor::from_vec(values, param.var().shape(), &Device::Cpu)?)
}

/// The gradient of the weights of a convolution.
fn weight_gradient(g: &Geometry, x: &Map, dy: &Map) -> Vec<f32> {
    // SAFETY: all of it is written.
    let mut gradient = unsafe { slices::uninitialised(g.c_out * g.depth()) };
    products::weight_gradient(g, x.values(), dy.values(), &mut gradient);
    gradient
}

impl Processor {
    /// The gradient of the input of a convolution.
    fn input_gradient(
        &self,
        layer: &Conv,
        g: &Geometry,
        x: &Map,
        scale: Option<&[f32]>,
        dy: &Map,
    ) -> Result<Map> {
        self.tried(x.shape(), |dx| {
            conv::with_weights(layer, |weights| {
                products::input_gradient(g, weights, scale, dy.values(), dx);
            })
        })
    }

    pub(super) fn back_through_conv_norm(
        &self,
        layer: &ConvNorm,
        (x, y, mut dy): (&Map, &Map, Map),
        wanted: Wanted,
        gradients: &mut GradStore,
    ) -> Result<Inputs<Map>> {
        let (conv, norm) = (&layer.conv, &layer.norm);
        let g = conv::geometry(conv, x.shape())?;
        let sums = if layer.relu {
            relu::gradient_with_sums(y.values(), dy.own(), g.pixels_out(), g.c_out)
        } else {
            relu::sums(dy.values(), g.pixels_out(), g.c_out)
        };
        let affine = Affine::new(norm)?;
        if layer.trainable() {
            let mut gradient = weight_gradient(&g, x, &dy);
            let along = conv::with_weights(conv, |weights| affine.unfold(&mut gradient, weights))?;
            let (gamma, beta) = affine.gradients(&along, &sums);
            store(gradients, &conv.weight, gradient)?;
            store(gradients, &norm.weight, gamma)?;
            store(gradients, &norm.bias, beta)?;
        }
        let input =
            wanted.input.then(|| self.input_gradient(conv, &g, x, Some(&affine.scale), &dy));
        Ok(Inputs { input: input.transpose()?, residual: wanted.residual.then_some(dy) })
    }

    pub(super) fn back_through_conv(
        &self,
        layer: &Conv,
        (x, dy): (&Map, Map),
        wanted: bool,
        gradients: &mut GradStore,
    ) -> Result<Option<Map>> {
        let g = conv::geometry(layer, x.shape())?;
        if layer.weight.trainable() {
            store(gradients, &layer.weight, weight_gradient(&g, x, &dy))?;
        }
        if let Some(bias) = &layer.bias {
            let sums = relu::sums(dy.values(), g.pixels_out(), g.c_out);
            store(gradients, bias, sums.into_iter().map(|sum| sum as f32).collect())?;
        }
        wanted.then(|| self.input_gradient(layer, &g, x, None, &dy)).transpose()
    }

    pub(super) fn back_through_group_norm(
        &self,
        layer: &GroupNorm,
        (x, dy): (&Map, Map),
        wanted: bool,
        gradients: &mut GradStore,
    ) -> Result<Option<Map>> {
        let norm = Normalise::new(layer);
        let sizes = norm.sizes(x.shape())?;
        let mut sums = Vec::new();
        let dx = self.tried(x.shape(), |dx| {
            slices::with([&layer.weight.var().as_detached_tensor()], |[gamma]| {
                sums = norm.gradients(&sizes, [x.values(), gamma, dy.values()], dx);
                Ok(())
            })
        })?;
        let channels = x.shape()[1];
        let over_images = |k: usize| {
            let of = |channel: usize| sums.iter().skip(channel).step_by(channels).map(|s| s[k]);
            (0..channels).map(|channel| of(channel).sum::<f64>() as f32).collect()
        };
        store(gradients, &layer.weight, over_images(1))?;
        store(gradients, &layer.bias, over_images(0))?;
        Ok(wanted.then_some(dx))
    }
}
