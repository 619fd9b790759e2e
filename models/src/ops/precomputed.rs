//! A loss whose value and gradients were computed together.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor};

/// A scalar and its gradients with respect to each of its arguments.
pub struct Precomputed<const N: usize> {
    /// The scalar.
    pub value: f32,
    /// Gradients, each of its argument's shape.
    pub gradients: [Tensor; N],
}

impl<const N: usize> Precomputed<N> {
    fn storage(&self) -> (CpuStorage, Shape) {
        (CpuStorage::F32(vec![self.value]), Shape::from(()))
    }

    fn gradient(&self, i: usize, argument: &Tensor, outer: &Tensor) -> Result<Option<Tensor>> {
        let factor = f64::from(outer.to_scalar::<f32>()?);
        argument.track_op().then(|| self.gradients[i].affine(factor, 0.0)).transpose()
    }
}

impl CustomOp1 for Precomputed<1> {
    fn name(&self) -> &'static str {
        "loss"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok(self.storage())
    }

    fn bwd(&self, a: &Tensor, _value: &Tensor, outer: &Tensor) -> Result<Option<Tensor>> {
        self.gradient(0, a, outer)
    }
}

impl CustomOp2 for Precomputed<2> {
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
        Ok(self.storage())
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
