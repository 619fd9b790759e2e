//! The same operations in Candle's own words: slow, and what the fused ones are compared with.

use candle_core::{D, DType, Device, Result, Tensor, Var};

use crate::FeatureMap;
use crate::layers::{Conv, ConvNorm, GroupNorm};
use crate::tape::{Engine, Processor, Recorded, Tape};
use crate::weights::splitmix;

/// Numbers in -1..1 made from a name.
pub fn numbers(name: &str, shape: &[usize]) -> Tensor {
    let state = splitmix::state(7, name);
    let count = shape.iter().product::<usize>() as u64;
    let values = (0..count).map(|i| (2.0 * splitmix::uniform(state, i) - 1.0) as f32);
    Tensor::from_vec(values.collect::<Vec<_>>(), shape, &Device::Cpu).unwrap()
}

/// The same as a variable.
pub fn var(name: &str, shape: &[usize]) -> Var {
    Var::from_tensor(&numbers(name, shape)).unwrap()
}

/// A map on a tape of the processor's.
pub type Machine<'t> = Recorded<'t, Processor>;

/// Compares two computations on `inputs` with `parameters`: outputs, and gradients of a fixed weighted sum of
/// them.
pub fn agree(
    inputs: &[&Var],
    parameters: &[&Var],
    ours: impl for<'t> Fn(&[Machine<'t>]) -> Result<Machine<'t>>,
    naive: impl Fn() -> Result<Tensor>,
    tolerance: f64,
) {
    let engine = Processor::default();
    let tape = Tape::new(&engine);
    let maps: Vec<Machine> = inputs.iter().map(|var| tape.variable(var).unwrap()).collect();
    let (ours, naive) = (ours(&maps).unwrap(), naive().unwrap());
    close(&engine.read(ours.map()).unwrap(), &naive, tolerance);
    let weights = numbers("weights of the sum", naive.dims());
    let naive = (naive * &weights).unwrap().sum_all().unwrap().backward().unwrap();
    let ours = tape.backward(vec![(ours, engine.load(&weights).unwrap())]).unwrap();
    for var in inputs.iter().chain(parameters) {
        close(ours.get(var).expect("our gradient"), naive.get(var).expect("a gradient"), tolerance);
    }
}

/// Fails unless the largest difference is within `tolerance` of the largest value.
pub fn close(ours: &Tensor, theirs: &Tensor, tolerance: f64) {
    assert_eq!(ours.dims(), theirs.dims());
    let flat = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let (ours, theirs) = (flat(ours), flat(theirs));
    let largest = theirs.iter().fold(1f32, |largest, x| largest.max(x.abs()));
    for (i, (a, b)) in ours.iter().zip(&theirs).enumerate() {
        let near = f64::from((a - b).abs()) <= tolerance * f64::from(largest);
        assert!(near, "value {i}: {a} and {b}, largest {largest}");
    }
}

/// A map that Candle computes and differentiates, operation by operation.
#[derive(Clone)]
pub struct Naive(pub Tensor);

impl FeatureMap for Naive {
    fn conv_norm(&self, layer: &ConvNorm, residual: Option<&Self>) -> Result<Self> {
        naive_conv_norm(&self.0, layer, residual.map(|residual| &residual.0)).map(Self)
    }

    fn conv(&self, layer: &Conv) -> Result<Self> {
        naive_conv(&self.0, layer).map(Self)
    }

    fn group_norm(&self, layer: &GroupNorm) -> Result<Self> {
        naive_group_norm(&self.0, layer).map(Self)
    }

    fn relu(&self) -> Result<Self> {
        positive(&self.0).map(Self)
    }

    fn concat(maps: &[Self]) -> Result<Self> {
        Tensor::cat(&maps.iter().map(|map| &map.0).collect::<Vec<_>>(), 1).map(Self)
    }

    /// Candle has no way back through a maximum of overlapping windows, but through one of nine maps.
    fn max_pool(&self) -> Result<Self> {
        let (_, _, height, width) = self.0.dims4()?;
        let lines = |size: usize, k: usize| {
            let line = |i: usize| ((2 * i + k).saturating_sub(1)).min(size - 1) as u32;
            Tensor::from_iter((0..size.div_ceil(2)).map(line), &Device::Cpu)
        };
        let of = |ky, kx| {
            self.0.index_select(&lines(height, ky)?, 2)?.index_select(&lines(width, kx)?, 3)
        };
        let others = (1..9).map(|k| of(k / 3, k % 3));
        others.into_iter().try_fold(of(0, 0)?, |max, other| max.maximum(&other?)).map(Self)
    }

    fn upsample(&self, factor: usize) -> Result<Self> {
        naive_upsample(&self.0, factor).map(Self)
    }

    fn crop_like(&self, other: &Self) -> Result<Self> {
        self.0.crop_like(&other.0)?.contiguous().map(Self)
    }

    fn detach(&self) -> Self {
        Self(self.0.detach())
    }
}

/// Candle's own ReLU has gradient 1 at zero; the convention here (and in PyTorch) is 0.
fn positive(x: &Tensor) -> Result<Tensor> {
    x * x.gt(0f32)?.to_dtype(DType::F32)?
}

pub fn naive_conv_norm(x: &Tensor, layer: &ConvNorm, residual: Option<&Tensor>) -> Result<Tensor> {
    let (scale, shift) = layer.norm.scale_shift()?;
    let y = naive_conv(x, &layer.conv)?;
    let y = y.broadcast_mul(&scale.reshape((1, (), 1, 1))?)?;
    let y = y.broadcast_add(&shift.reshape((1, (), 1, 1))?)?;
    let y = match residual {
        Some(residual) => (y + residual)?,
        None => y,
    };
    if layer.relu { positive(&y) } else { Ok(y) }
}

pub fn naive_conv(x: &Tensor, layer: &Conv) -> Result<Tensor> {
    let y = x.conv2d(&layer.weight.tensor(), layer.padding, layer.stride, 1, 1)?;
    match &layer.bias {
        Some(bias) => y.broadcast_add(&bias.tensor().reshape((1, (), 1, 1))?),
        None => Ok(y),
    }
}

pub fn naive_group_norm(x: &Tensor, layer: &GroupNorm) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let x = x.reshape((n, layer.groups, c / layer.groups * h * w))?;
    let x = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let var = x.sqr()?.mean_keepdim(D::Minus1)?;
    x.broadcast_div(&(var + layer.eps)?.sqrt()?)?
        .reshape((n, c, h, w))?
        .broadcast_mul(&layer.weight.tensor().reshape((1, (), 1, 1))?)?
        .broadcast_add(&layer.bias.tensor().reshape((1, (), 1, 1))?)
}

pub fn naive_max_pool(x: &Tensor) -> Result<Tensor> {
    // Repeating the border never changes a maximum, so this equals padding with -inf.
    x.pad_with_same(D::Minus1, 1, 1)?.pad_with_same(D::Minus2, 1, 1)?.max_pool2d_with_stride(3, 2)
}

pub fn naive_upsample(x: &Tensor, factor: usize) -> Result<Tensor> {
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
