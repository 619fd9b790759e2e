//! The forward pass on Candle tensors in main memory; gradients are a [`Tape`](crate::tape::Tape)'s business.

use candle_core::{Result, Tensor, bail};

use super::affine::Affine;
use super::gemm_conv::Finish;
use super::group_norm::Normalise;
use super::{conv, max_pool, relu, slices, upsample};
use crate::FeatureMap;
use crate::layers::{Conv, ConvNorm, GroupNorm};
use crate::tape::Shape;

fn shape(x: &Tensor) -> Result<Shape> {
    let (images, channels, height, width) = x.dims4()?;
    Ok([images, channels, height, width])
}

/// A tensor of `shape` that `fill` writes, all of it, from the values of `x`.
fn made<const N: usize>(
    x: [&Tensor; N],
    shape: Shape,
    fill: impl FnOnce([&[f32]; N], &mut [f32]) -> Result<()>,
) -> Result<Tensor> {
    let mut contiguous = Vec::with_capacity(N);
    for x in x {
        contiguous.push(x.contiguous()?);
    }
    // SAFETY: as the callers say, all values are written.
    let mut y = unsafe { slices::uninitialised(shape.iter().product()) };
    slices::with(std::array::from_fn(|i| &contiguous[i]), |x| fill(x, &mut y))?;
    Tensor::from_vec(y, &shape[..], x[0].device())
}

impl FeatureMap for Tensor {
    fn conv_norm(&self, layer: &ConvNorm, residual: Option<&Self>) -> Result<Self> {
        let g = conv::geometry(&layer.conv, shape(self)?)?;
        let Affine { scale, shift, .. } = &Affine::new(&layer.norm)?;
        let (scale, shift) = (Some(&scale[..]), Some(&shift[..]));
        let finish = Finish { scale, shift, residual: None, relu: layer.relu };
        // Every convolution writes its whole output.
        let Some(residual) = residual else {
            return made([self], g.shape_out(), |[x], y| {
                conv::forward(&layer.conv, &g, x, finish, y)
            });
        };
        if residual.dims() != g.shape_out() {
            bail!("a residual of {:?} meets {:?}", residual.dims(), g.shape_out());
        }
        made([self, residual], g.shape_out(), |[x, residual], y| {
            let finish = Finish { residual: Some(residual), ..finish };
            conv::forward(&layer.conv, &g, x, finish, y)
        })
    }

    fn conv(&self, layer: &Conv) -> Result<Self> {
        let g = conv::geometry(layer, shape(self)?)?;
        let bias = conv::bias(layer)?;
        let finish = Finish { shift: bias.as_deref(), ..Finish::default() };
        made([self], g.shape_out(), |[x], y| conv::forward(layer, &g, x, finish, y))
    }

    fn group_norm(&self, layer: &GroupNorm) -> Result<Self> {
        let (norm, shape) = (Normalise::new(layer), shape(self)?);
        let sizes = norm.sizes(shape)?;
        let [gamma, beta] = [&layer.weight, &layer.bias].map(|x| x.var().as_detached_tensor());
        made([self, &gamma, &beta], shape, |values, y| {
            norm.run(&sizes, values, y);
            Ok(())
        })
    }

    fn relu(&self) -> Result<Self> {
        made([self], shape(self)?, |[x], y| {
            relu::positive(x, y);
            Ok(())
        })
    }

    fn concat(maps: &[Self]) -> Result<Self> {
        Tensor::cat(maps, 1)
    }

    fn max_pool(&self) -> Result<Self> {
        let [images, channels, height, width] = shape(self)?;
        if height * width == 0 {
            bail!("max-pool of {:?}", self.shape());
        }
        let (rows, columns) = max_pool::size((height, width));
        made([self], [images, channels, rows, columns], |[x], y| {
            max_pool::run(x, (height, width), y);
            Ok(())
        })
    }

    fn upsample(&self, factor: usize) -> Result<Self> {
        let [images, channels, height, width] = shape(self)?;
        if height * width * factor == 0 {
            bail!("enlarging {:?} by {factor}", self.shape());
        }
        made([self], [images, channels, height * factor, width * factor], |[x], y| {
            upsample::run(x, (height, width), factor, y);
            Ok(())
        })
    }

    fn crop_like(&self, other: &Self) -> Result<Self> {
        self.narrow(2, 0, other.dim(2)?)?.narrow(3, 0, other.dim(3)?)
    }

    fn detach(&self) -> Self {
        self.detach()
    }
}
