//! The operations behind [`crate::FeatureMap`] on a Candle tensor.

use candle_core::{D, Device, Result, Tensor};

use crate::layers::{Conv, ConvNorm, GroupNorm};

/// See [`crate::FeatureMap::conv_norm`].
pub fn conv_norm(x: &Tensor, layer: &ConvNorm, residual: Option<&Tensor>) -> Result<Tensor> {
    let (scale, shift) = layer.norm.scale_shift()?;
    let y = conv(x, &layer.conv)?;
    let y = y.broadcast_mul(&scale.reshape((1, (), 1, 1))?)?;
    let y = y.broadcast_add(&shift.reshape((1, (), 1, 1))?)?;
    let y = match residual {
        Some(residual) => (y + residual)?,
        None => y,
    };
    if layer.relu { y.relu() } else { Ok(y) }
}

/// See [`crate::FeatureMap::conv`].
pub fn conv(x: &Tensor, layer: &Conv) -> Result<Tensor> {
    let y = x.conv2d(&layer.weight.tensor(), layer.padding, layer.stride, 1, 1)?;
    match &layer.bias {
        Some(bias) => y.broadcast_add(&bias.tensor().reshape((1, (), 1, 1))?),
        None => Ok(y),
    }
}

/// See [`crate::FeatureMap::group_norm`].
pub fn group_norm(x: &Tensor, layer: &GroupNorm) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let x = x.reshape((n, layer.groups, c / layer.groups * h * w))?;
    let x = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let var = x.sqr()?.mean_keepdim(D::Minus1)?;
    x.broadcast_div(&(var + layer.eps)?.sqrt()?)?
        .reshape((n, c, h, w))?
        .broadcast_mul(&layer.weight.tensor().reshape((1, (), 1, 1))?)?
        .broadcast_add(&layer.bias.tensor().reshape((1, (), 1, 1))?)
}

/// See [`crate::FeatureMap::max_pool`].
pub fn max_pool(x: &Tensor) -> Result<Tensor> {
    // Repeating the border never changes a maximum, so this equals padding with -inf.
    x.pad_with_same(D::Minus1, 1, 1)?.pad_with_same(D::Minus2, 1, 1)?.max_pool2d_with_stride(3, 2)
}

/// See [`crate::FeatureMap::upsample`].
pub fn upsample(x: &Tensor, factor: usize) -> Result<Tensor> {
    if factor == 1 {
        return Ok(x.clone());
    }
    let (_, _, h, w) = x.dims4()?;
    let rows = bilinear(h, factor, x.device())?;
    let cols = bilinear(w, factor, x.device())?.t()?;
    rows.broadcast_matmul(&x.broadcast_matmul(&cols)?)
}

/// The `(factor * size, size)` matrix that interpolates one axis.
fn bilinear(size: usize, factor: usize, device: &Device) -> Result<Tensor> {
    let mut weights = vec![0f32; factor * size * size];
    for (i, row) in weights.chunks_exact_mut(size).enumerate() {
        let centre = ((i as f32 + 0.5) / factor as f32 - 0.5).clamp(0., (size - 1) as f32);
        let left = centre as usize;
        let right = (left + 1).min(size - 1);
        row[left] += 1. - centre.fract();
        row[right] += centre.fract();
    }
    Tensor::from_vec(weights, (factor * size, size), device)
}
