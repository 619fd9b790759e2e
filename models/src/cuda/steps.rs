//! Whole training steps: photos in, gradients out, the loss when somebody asks for it.
//!
//! A step is launched and not waited for, so that the processor prepares the next one while the GPU computes.

use candle_core::backprop::GradStore;
use candle_core::cuda_backend::cudarc::driver::PinnedHostSlice;
use candle_core::{Error, Result, Storage, Tensor, bail};

use super::engine::CudaEngine;
use super::gpu::{Argument, Grid};
use super::map::Map;
use crate::tape::{Engine, Recorded, Tape};
use crate::{CamNet, IrNet};

/// Losses on their way from the GPU.
pub struct Pending(PinnedHostSlice<f32>);

/// A batch of photos of one size, each `(3, height, width)` in one piece.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    /// The photos.
    pub images: &'a [&'a [f32]],
    /// Height and width.
    pub size: (usize, usize),
}

impl CudaEngine {
    fn start<'t>(&'t self, tape: &'t Tape<'t, Self>, batch: Batch) -> Result<Recorded<'t, Self>> {
        Ok(tape.given(self.photos(batch.images, batch.size)?))
    }

    /// The classifier's loss, a tensor of one value, and the gradient of the scores.
    fn class_loss(&self, scores: &Map, targets: &[f32]) -> Result<(Tensor, Map)> {
        let [images, classes, ..] = scores.shape;
        if targets.len() != images * classes || targets.is_empty() {
            bail!("{} targets of {images} images and {classes} classes", targets.len());
        }
        let targets = self.gpu.upload(targets)?;
        let (_logits, logits) = self.gpu.tensor((images, classes))?;
        let [cells, class_count] = [Argument::int(scores.plane())?, Argument::int(classes)?];
        let mut arguments =
            [scores.argument(&self.gpu), Argument::Address(logits), cells, class_count];
        let blocks = Grid::blocks([images, 1, 1]);
        self.gpu.launch(&scores.kernel("pool_scores"), blocks, &mut arguments)?;

        let (loss, value) = self.gpu.tensor(1)?;
        let (_d_logits, d_logits) = self.gpu.tensor((images, classes))?;
        let mut arguments = [
            Argument::Address(logits),
            Argument::Address(self.gpu.address(&targets)),
            Argument::Address(value),
            Argument::Address(d_logits),
            Argument::int(images * classes)?,
        ];
        self.gpu.launch("soft_margin", Grid::blocks([1, 1, 1]), &mut arguments)?;

        let d_scores = Map::new(&self.gpu, scores.shape, scores.kind)?;
        let mut arguments = [
            Argument::Address(d_logits),
            d_scores.argument(&self.gpu),
            Argument::int(images)?,
            cells,
            class_count,
        ];
        let grid = Grid::over(d_scores.count());
        self.gpu.launch(&scores.kernel("pool_gradient"), grid, &mut arguments)?;
        Ok((loss, d_scores))
    }

    /// The CAM network's loss on a batch against `targets`, `(batch, classes)` in one piece, and the gradients
    /// of its parameters.
    ///
    /// # Errors
    /// Sizes that do not fit together, too little memory on the GPU.
    pub fn class_step(
        &self,
        net: &CamNet,
        batch: Batch,
        targets: &[f32],
    ) -> Result<(Pending, GradStore)> {
        let tape = Tape::new(self);
        let scores = net.forward(&self.start(&tape, batch)?)?;
        let (loss, wanted) = self.class_loss(scores.map(), targets)?;
        let loss = self.later(&loss)?;
        Ok((loss, tape.backward(vec![(scores, wanted)])?))
    }

    /// The loss alone.
    ///
    /// # Errors
    /// See [`Self::class_step`].
    pub fn class_value(&self, net: &CamNet, batch: Batch, targets: &[f32]) -> Result<f32> {
        let tape = Tape::new(self);
        let scores = net.forward(&self.start(&tape, batch)?)?;
        let (loss, _) = self.class_loss(scores.map(), targets)?;
        Ok(self.arrived(self.later(&loss)?)?[0])
    }

    /// IRNet's loss on a batch against `label`, `(batch, h, w)` in one piece, as the seven terms of
    /// [`crate::ops::relation_loss::RelationLoss`] (the total last), and the gradients of both branches.
    ///
    /// # Errors
    /// Sizes that do not fit together, too little memory on the GPU.
    pub fn relation_step(
        &self,
        net: &IrNet,
        batch: Batch,
        label: &[u8],
        radius: usize,
        classes: usize,
    ) -> Result<(Pending, GradStore)> {
        let tape = Tape::new(self);
        let outputs = net.forward(&self.start(&tape, batch)?)?;
        let maps = [outputs.edge.map(), outputs.displacement.map()];
        let loss = self.relation(maps, label, radius, classes)?;
        let losses = self.later(&loss.losses)?;
        let wanted = vec![(outputs.edge, loss.edge), (outputs.displacement, loss.displacement)];
        Ok((losses, tape.backward(wanted)?))
    }

    /// The displacements of a batch, `(batch, 2, h, w)` in main memory, before the mean shift.
    ///
    /// # Errors
    /// Photos of different sizes, too little memory on the GPU.
    pub fn displacement(&self, net: &IrNet, batch: Batch) -> Result<Tensor> {
        let tape = Tape::new(self);
        let outputs = net.forward(&self.start(&tape, batch)?)?;
        self.read(outputs.displacement.map())
    }

    /// Sends the values of a small tensor here, without waiting for them.
    pub(super) fn later(&self, values: &Tensor) -> Result<Pending> {
        let count = values.elem_count();
        let mut spare = self.spare.borrow_mut();
        let at = spare.iter().position(|here| here.len() == count);
        let mut here = match at {
            Some(at) => spare.swap_remove(at),
            // SAFETY: written by the copy before anybody reads it.
            None => unsafe { self.gpu.stream().context().alloc_pinned_with_flags(count, 0) }
                .map_err(Error::wrap)?,
        };
        let (storage, _) = values.storage_and_layout();
        let Storage::Cuda(storage) = &*storage else { bail!("losses that are not on the GPU") };
        let values = storage.as_cuda_slice::<f32>()?;
        self.gpu.stream().memcpy_dtoh(values, &mut here).map_err(Error::wrap)?;
        Ok(Pending(here))
    }

    /// The values, when the GPU has come so far.
    ///
    /// # Errors
    /// What went wrong on the GPU since it was last waited for.
    pub fn arrived(&self, pending: Pending) -> Result<Vec<f32>> {
        let values = pending.0.as_slice().map_err(Error::wrap)?.to_vec();
        self.spare.borrow_mut().push(pending.0);
        Ok(values)
    }
}
