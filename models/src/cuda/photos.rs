//! Photos on their way to the GPU while it computes.
//!
//! There are two places for a batch: while a step reads one, the next batch is copied to the other, from memory
//! that the driver may not move, on a stream of its own. A place is written again when the step that read it has
//! got past that.

use std::cell::RefCell;
use std::sync::Arc;

use candle_core::cuda_backend::cudarc::driver::{
    CudaEvent, CudaSlice, CudaStream, DevicePtr, PinnedHostSlice,
};
use candle_core::{Error, Result, bail};

use super::engine::CudaEngine;
use super::gpu::Gpu;
use super::map::Map;

/// A place for a batch, here and on the GPU.
struct Place {
    here: PinnedHostSlice<f32>,
    there: CudaSlice<f32>,
    /// When the GPU has read it.
    read: Option<CudaEvent>,
}

/// Two places, and the stream of the copies.
pub struct Photos {
    stream: Arc<CudaStream>,
    places: RefCell<[Option<Place>; 2]>,
}

impl Photos {
    /// Starts the stream.
    ///
    /// # Errors
    /// Those of the driver.
    pub fn new(gpu: &Gpu) -> Result<Self> {
        let stream = gpu.stream().context().new_stream().map_err(Error::wrap)?;
        Ok(Self { stream, places: RefCell::default() })
    }

    fn place(&self, count: usize) -> Result<Place> {
        let context = self.stream.context();
        // SAFETY: plain numbers, all written before they are copied; no flags: they are written once, by rows.
        let here = unsafe { context.alloc_pinned_with_flags(count, 0) }.map_err(Error::wrap)?;
        // SAFETY: all written by the copy before a kernel reads them.
        let there = unsafe { self.stream.alloc(count) }.map_err(Error::wrap)?;
        Ok(Place { here, there, read: None })
    }

    /// Copies `images` of `size` values each; `read` is given their address and launches what reads them.
    fn copied<R>(
        &self,
        gpu: &Gpu,
        images: &[&[f32]],
        size: usize,
        read: impl FnOnce(u64) -> Result<R>,
    ) -> Result<R> {
        if images.iter().any(|image| image.len() != size) {
            bail!("images of different sizes");
        }
        let count = images.len() * size;
        let mut places = self.places.borrow_mut();
        places.swap(0, 1);
        let place = match places[0].take() {
            Some(place) if place.here.len() == count => places[0].insert(place),
            _ => {
                gpu.stream().synchronize().map_err(Error::wrap)?;
                places[0].insert(self.place(count)?)
            }
        };
        // Waits for the copy of two batches ago, which is long done.
        let here = place.here.as_mut_slice().map_err(Error::wrap)?;
        here.chunks_exact_mut(size).zip(images).for_each(|(here, image)| {
            here.copy_from_slice(image);
        });
        if let Some(read) = &place.read {
            self.stream.wait(read).map_err(Error::wrap)?;
        }
        self.stream.memcpy_htod(&place.here, &mut place.there).map_err(Error::wrap)?;
        let arrived = self.stream.record_event(None).map_err(Error::wrap)?;
        gpu.stream().wait(&arrived).map_err(Error::wrap)?;
        let result = read(place.there.device_ptr(gpu.stream()).0)?;
        place.read = Some(gpu.stream().record_event(None).map_err(Error::wrap)?);
        Ok(result)
    }
}

impl CudaEngine {
    /// The map of photos of `size`, `(3, height, width)` each.
    ///
    /// # Errors
    /// Photos of another size.
    pub(super) fn photos(&self, images: &[&[f32]], (height, width): (usize, usize)) -> Result<Map> {
        let shape = [images.len(), 3, height, width];
        self.photos
            .copied(&self.gpu, images, 3 * height * width, |address| self.photo_map(address, shape))
    }
}
