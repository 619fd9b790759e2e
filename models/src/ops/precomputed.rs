//! A loss whose value and gradients were computed together.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

/// A scalar and its gradients with respect to both of its arguments.
pub struct Precomputed {
    /// The scalar.
    pub value: f32,
    /// Gradients, each of its argument's shape.
    pub gradients: [Tensor; 2],
}

impl Precomputed {
    fn gradient(&self, i: usize, argument: &Tensor, outer: &Tensor) -> Result<Option<Tensor>> {
        let factor = f64::from(outer.to_scalar::<f32>()?);
        argument.track_op().then(|| self.gradients[i].affine(factor, 0.0)).transpose()
    }
}

impl CustomOp2 for Precomputed {
    fn name(&self) -> &'static str {
        "loss"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![self.value]), Shape::from(())))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _value: &Tensor,
        outer: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((self.gradient(0, a, outer)?, self.gradient(1, b, outer)?))
    }
}
