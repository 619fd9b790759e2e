//! A GPU by Candle and [`irn_models::cuda`].

use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor};
use irn_models::cuda::{Batch, CudaEngine, Pending, Precision};
use irn_models::ops::sgd::Update;
use irn_models::{CamNet, IrNet};

use super::{Losses, Photos};
use crate::config::TrainPrecision;

/// A GPU; whoever uses it has it alone.
pub struct Gpu {
    device: Device,
    engine: Mutex<CudaEngine>,
}

impl Gpu {
    /// Starts on the device with this number.
    ///
    /// # Errors
    /// Libraries of CUDA that are missing, a driver or device that is too old.
    pub fn start(number: usize, precision: TrainPrecision) -> Result<Self> {
        let device = Device::new_cuda_with_stream(number)?;
        let precision = match precision {
            TrainPrecision::F32 => Precision::F32,
            TrainPrecision::Tf32 => Precision::Tf32,
            TrainPrecision::Bf16 => Precision::Bf16,
        };
        let engine = Mutex::new(CudaEngine::new(device.as_cuda_device()?, precision)?);
        Ok(Self { device, engine })
    }

    /// Candle's name for it.
    pub fn device(&self) -> Device {
        self.device.clone()
    }

    /// The engine, for as long as nobody else needs it.
    pub fn engine(&self) -> MutexGuard<'_, CudaEngine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// See [`super::Machine::class_step`]; `targets` is in main memory.
    pub fn class_step(
        &self,
        net: &CamNet,
        photos: Photos,
        targets: &Tensor,
    ) -> Result<(Losses, GradStore)> {
        let targets = targets.flatten_all()?.to_vec1::<f32>()?;
        with_batch(photos, |batch| {
            let (pending, gradients) = self.engine().class_step(net, batch, &targets)?;
            Ok((Losses::Later(pending), gradients))
        })
    }

    /// See [`super::Machine::class_loss`].
    pub fn class_loss(&self, net: &CamNet, photos: Photos, targets: &Tensor) -> Result<f32> {
        let targets = targets.flatten_all()?.to_vec1::<f32>()?;
        with_batch(photos, |batch| Ok(self.engine().class_value(net, batch, &targets)?))
    }

    /// See [`super::Machine::relation_step`].
    pub fn relation_step(
        &self,
        net: &IrNet,
        photos: Photos,
        labels: &Tensor,
        radius: usize,
        classes: usize,
    ) -> Result<(Losses, GradStore)> {
        let labels = labels.flatten_all()?.to_vec1::<u8>()?;
        with_batch(photos, |batch| {
            let (pending, gradients) =
                self.engine().relation_step(net, batch, &labels, radius, classes)?;
            Ok((Losses::Later(pending), gradients))
        })
    }

    /// See [`super::Machine::displacement`].
    pub fn displacement(&self, net: &IrNet, photos: Photos) -> Result<Tensor> {
        with_batch(photos, |batch| Ok(self.engine().displacement(net, batch)?))
    }

    /// See [`super::Machine::descend`].
    pub fn descend(&self, updates: &[Update], momentum: f64) -> candle_core::Result<()> {
        self.engine().descend(updates, momentum)
    }

    /// See [`super::Machine::arrived`].
    pub fn arrived(&self, pending: Pending) -> Result<Vec<f32>> {
        self.engine().arrived(pending).context("the GPU failed")
    }
}

/// Calls `f` with the photos' values.
fn with_batch<R>(photos: Photos, f: impl FnOnce(Batch) -> Result<R>) -> Result<R> {
    let (_, height, width) = photos.first().context("a batch without photos")?.dim();
    let images = photos.iter().map(|photo| photo.as_slice().context("a photo in pieces"));
    let images = images.collect::<Result<Vec<&[f32]>>>()?;
    f(Batch { images: &images, size: (height, width) })
}
