//! What trains: the processor, or a GPU where the program was built for it (`make cuda`).
//!
//! A step on a GPU is launched and not waited for; its losses come later ([`Losses`]).

mod choice;
#[cfg(feature = "cuda")]
mod gpu;

use anyhow::Result;
use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor};
use irn_models::ops::sgd::{Sgd, Update};
use irn_models::ops::soft_margin;
use irn_models::tape::Processor;
use irn_models::{CamNet, IrNet};
use ndarray::{Array2, Array3};

pub use self::choice::choose;
#[cfg(feature = "cuda")]
pub use self::gpu::Gpu;
use super::samples;
use crate::config::TrainPrecision;

/// Where a network trains.
pub enum Machine {
    /// The processor: an engine for the network that trains whole, one for that with a frozen backbone.
    Processor(Box<[Processor; 2]>),
    /// A GPU.
    #[cfg(feature = "cuda")]
    Gpu(Box<Gpu>),
}

/// The losses of a step.
pub enum Losses {
    /// Known.
    Here(Vec<f32>),
    /// On their way from the GPU.
    #[cfg(feature = "cuda")]
    Later(irn_models::cuda::Pending),
}

/// A batch of photos, `(3, height, width)` each.
pub type Photos<'a> = &'a [&'a Array3<f32>];

impl Machine {
    /// The processor. Other than in f32 the products of a frozen backbone are the matrix unit's, where there is
    /// one: within 4e-6 of their size.
    pub fn processor(precision: TrainPrecision) -> Self {
        let frozen = match precision {
            TrainPrecision::F32 => Processor::default(),
            TrainPrecision::Tf32 | TrainPrecision::Bf16 => Processor::frozen(),
        };
        Self::Processor(Box::new([Processor::default(), frozen]))
    }

    /// The device that the parameters are on.
    pub fn device(&self) -> Device {
        match self {
            Self::Processor(_) => Device::Cpu,
            #[cfg(feature = "cuda")]
            Self::Gpu(gpu) => gpu.device(),
        }
    }

    /// The classifier's loss on photos of the classes `keys`, and its gradients.
    ///
    /// # Errors
    /// Photos of different sizes; those of the device.
    pub fn class_step(
        &self,
        net: &CamNet,
        photos: Photos,
        keys: &[&[usize]],
        classes: usize,
    ) -> Result<(Losses, GradStore)> {
        let targets = samples::multi_hot(keys, classes, &Device::Cpu)?;
        match self {
            Self::Processor(engines) => {
                let images = samples::images(photos, &Device::Cpu)?;
                let step = net.class_gradients(&engines[0], &images, &targets)?;
                Ok((Losses::Here(vec![step.loss]), step.gradients))
            }
            #[cfg(feature = "cuda")]
            Self::Gpu(gpu) => gpu.class_step(net, photos, &targets),
        }
    }

    /// The classifier's loss alone.
    ///
    /// # Errors
    /// See [`Self::class_step`].
    pub fn class_loss(
        &self,
        net: &CamNet,
        photos: Photos,
        keys: &[&[usize]],
        classes: usize,
    ) -> Result<f32> {
        let targets = samples::multi_hot(keys, classes, &Device::Cpu)?;
        match self {
            Self::Processor(_) => {
                let images = samples::images(photos, &Device::Cpu)?;
                let logits = soft_margin::pool(&net.forward(&images)?)?;
                Ok(soft_margin::soft_margin(&logits, &targets)?.loss)
            }
            #[cfg(feature = "cuda")]
            Self::Gpu(gpu) => gpu.class_loss(net, photos, &targets),
        }
    }

    /// IRNet's loss against relation labels, and the gradients of both branches. The losses are the six terms
    /// of [`RelationLoss`](irn_models::ops::relation_loss::RelationLoss) in its order, then the total.
    ///
    /// # Errors
    /// Sizes that do not fit together; those of the device.
    pub fn relation_step(
        &self,
        net: &IrNet,
        photos: Photos,
        labels: &[&Array2<u8>],
        radius: usize,
        classes: usize,
    ) -> Result<(Losses, GradStore)> {
        let labels = samples::labels(labels, &Device::Cpu)?;
        match self {
            Self::Processor(engines) => {
                let images = samples::images(photos, &Device::Cpu)?;
                let (loss, gradients) =
                    net.relation_gradients(&engines[1], &images, &labels, radius, classes)?;
                let total = loss.total.to_scalar()?;
                let terms = [loss.bg_pos_aff, loss.fg_pos_aff, loss.pos_aff, loss.neg_aff];
                let losses = [&terms[..], &[loss.dp_fg, loss.dp_bg, total]].concat();
                Ok((Losses::Here(losses), gradients))
            }
            #[cfg(feature = "cuda")]
            Self::Gpu(gpu) => gpu.relation_step(net, photos, &labels, radius, classes),
        }
    }

    /// The displacements that IRNet sees in photos, `(batch, 2, h, w)` in main memory, not shifted.
    ///
    /// # Errors
    /// Photos of different sizes; those of the device.
    pub fn displacement(&self, net: &IrNet, photos: Photos) -> Result<Tensor> {
        match self {
            Self::Processor(_) => {
                let images = samples::images(photos, &Device::Cpu)?;
                Ok(net.forward(&images)?.displacement.detach())
            }
            #[cfg(feature = "cuda")]
            Self::Gpu(gpu) => gpu.displacement(net, photos),
        }
    }

    /// A step of the optimizer.
    ///
    /// # Errors
    /// Tensors of different shapes; those of the device.
    pub fn descend(&self, updates: &[Update], momentum: f64) -> candle_core::Result<()> {
        match self {
            Self::Processor(_) => updates.iter().try_for_each(|update| {
                let Update { rate, decay, .. } = *update;
                Sgd { momentum, decay, rate }.step(update.parameter, update.gradient, update.buffer)
            }),
            #[cfg(feature = "cuda")]
            Self::Gpu(gpu) => gpu.descend(updates, momentum),
        }
    }

    /// The losses of a step; waits for them where they are not there yet.
    ///
    /// # Errors
    /// What went wrong on the device since it was last waited for.
    pub fn arrived(&self, losses: Losses) -> Result<Vec<f32>> {
        match losses {
            Losses::Here(values) => Ok(values),
            #[cfg(feature = "cuda")]
            Losses::Later(pending) => match self {
                Self::Gpu(gpu) => gpu.arrived(pending),
                Self::Processor(_) => anyhow::bail!("losses of a GPU on the processor"),
            },
        }
    }
}

impl Losses {
    /// Whether nobody has to wait for them.
    pub fn known(&self) -> bool {
        matches!(self, Self::Here(_))
    }
}
