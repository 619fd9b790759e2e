//! A step of SGD with momentum, in place: a parameter and its momentum are read and written once.

use candle_core::{CpuStorage, InplaceOp2, InplaceOp3, Layout, Result, Tensor, Var};
use rayon::prelude::*;

use super::slices;

/// Values a task takes.
const CHUNK: usize = 1 << 15;

/// The numbers of a step.
#[derive(Clone, Copy, Debug)]
pub struct Sgd {
    /// What remains of the momentum.
    pub momentum: f64,
    /// Share of the parameter that is added to its gradient.
    pub decay: f64,
    /// How far the parameter goes against the momentum.
    pub rate: f64,
}

/// What is to happen to a parameter in a step of an optimizer.
pub struct Update<'a> {
    /// Its values, f32.
    pub parameter: &'a Var,
    /// Its gradient, of the same shape.
    pub gradient: &'a Tensor,
    /// Its momentum, likewise.
    pub buffer: &'a Tensor,
    /// See [`Sgd::rate`].
    pub rate: f64,
    /// See [`Sgd::decay`].
    pub decay: f64,
}

impl Sgd {
    /// `buffer * momentum + gradient + parameter * decay` becomes the buffer, which the parameter goes
    /// against.
    ///
    /// # Errors
    /// Tensors of another shape or type than `parameter`'s.
    pub fn step(self, parameter: &Var, gradient: &Tensor, buffer: &Tensor) -> Result<()> {
        let value = parameter.as_detached_tensor();
        buffer.inplace_op3(&gradient.contiguous()?, &value, &Momentum(self))?;
        parameter.inplace_op2(buffer, &Descent(self))
    }
}

struct Momentum(Sgd);

impl InplaceOp3 for Momentum {
    fn name(&self) -> &'static str {
        "momentum"
    }

    fn cpu_fwd(
        &self,
        buffer: &mut CpuStorage,
        buffer_layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
        parameter: &CpuStorage,
        parameter_layout: &Layout,
    ) -> Result<()> {
        let buffer = slices::argument_mut(buffer, buffer_layout)?;
        let gradient = slices::argument(gradient, gradient_layout)?;
        let parameter = slices::argument(parameter, parameter_layout)?;
        let (momentum, decay) = (self.0.momentum as f32, self.0.decay as f32);
        if buffer.len() != gradient.len() || buffer.len() != parameter.len() {
            candle_core::bail!("{} values have {} gradients", parameter.len(), gradient.len());
        }
        let chunks = buffer.par_chunks_mut(CHUNK).zip(gradient.par_chunks(CHUNK));
        chunks.zip(parameter.par_chunks(CHUNK)).for_each(|((buffer, gradient), parameter)| {
            for ((b, g), p) in buffer.iter_mut().zip(gradient).zip(parameter) {
                *b = *b * momentum + (g + p * decay);
            }
        });
        Ok(())
    }
}

struct Descent(Sgd);

impl InplaceOp2 for Descent {
    fn name(&self) -> &'static str {
        "descent"
    }

    fn cpu_fwd(
        &self,
        parameter: &mut CpuStorage,
        parameter_layout: &Layout,
        buffer: &CpuStorage,
        buffer_layout: &Layout,
    ) -> Result<()> {
        let parameter = slices::argument_mut(parameter, parameter_layout)?;
        let buffer = slices::argument(buffer, buffer_layout)?;
        let rate = self.0.rate as f32;
        let chunks = parameter.par_chunks_mut(CHUNK).zip(buffer.par_chunks(CHUNK));
        chunks.for_each(|(parameter, buffer)| {
            parameter.iter_mut().zip(buffer).for_each(|(p, b)| *p -= b * rate);
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{close, numbers, var};

    #[test]
    fn agrees_with_plain_operations() {
        let (parameter, buffer) = (var("parameter", &[3, 70]), numbers("buffer", &[3, 70]));
        let gradient = numbers("gradient", &[3, 70]);
        let sgd = Sgd { momentum: 0.9, decay: 0.01, rate: 0.1 };
        let start = parameter.as_detached_tensor().copy().unwrap();
        let decayed = (&gradient + (&start * 0.01).unwrap()).unwrap();
        let expected = ((&buffer * 0.9).unwrap() + decayed).unwrap();
        sgd.step(&parameter, &gradient, &buffer).unwrap();
        close(&buffer, &expected, 1e-6);
        close(&parameter, &(start - (expected * 0.1).unwrap()).unwrap(), 1e-6);
    }

    #[test]
    fn other_shapes_are_refused() {
        let sgd = Sgd { momentum: 0.9, decay: 0.01, rate: 0.1 };
        let step = sgd.step(&var("p", &[4]), &numbers("g", &[3]), &numbers("b", &[4]));
        assert!(step.is_err());
    }
}
