//! The positive part. Candle's own has gradient 1 at zero; the convention here (and in PyTorch) is 0.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::slices;

/// Values a task takes.
const CHUNK: usize = 1 << 15;

/// See [`crate::FeatureMap::relu`].
pub fn relu(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Relu)
}

struct Relu;

impl CustomOp1 for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = slices::argument(storage, layout)?;
        let positive = |&x: &f32| if x < 0.0 { 0.0 } else { x };
        let y = x.par_iter().with_min_len(CHUNK).map(positive).collect();
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        if x.track_op() { gradient(y, dy).map(Some) } else { Ok(None) }
    }
}

/// The gradient before a ReLU from its output `y` and the gradient `dy` after it.
pub fn gradient(y: &Tensor, dy: &Tensor) -> Result<Tensor> {
    let dy = dy.contiguous()?;
    let dx: Vec<f32> = slices::with([y, &dy], |[y, dy]| {
        let pass = |(&y, &dy): (&f32, &f32)| if y > 0.0 { dy } else { 0.0 };
        Ok(y.par_iter().zip(dy).with_min_len(CHUNK).map(pass).collect())
    })?;
    Tensor::from_vec(dx, y.shape(), y.device())
}
