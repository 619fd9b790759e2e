//! A feature map on the GPU: channels innermost, in f32 or bf16.

use std::sync::Arc;

use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::{Result, bail};

use super::descriptors::Kind;
use super::gpu::{Argument, Gpu};
use crate::tape::Shape;

/// A map; clones share the values.
#[derive(Clone)]
pub struct Map {
    values: Arc<CudaSlice<u8>>,
    /// `(batch, channels, height, width)`, though channels lie innermost.
    pub shape: Shape,
    /// Channels that a pixel has in memory: those of a photo are made up to what a matrix unit takes, with
    /// zeros. Any other map has none but its own.
    pub stored: usize,
    /// What the values are.
    pub kind: Kind,
}

impl Map {
    /// A map that nobody has written yet.
    ///
    /// # Errors
    /// Too little memory.
    pub fn new(gpu: &Gpu, shape: Shape, kind: Kind) -> Result<Self> {
        Self::with_channels(gpu, shape, shape[1], kind)
    }

    /// A map that has `stored` channels in memory.
    ///
    /// # Errors
    /// Too little memory.
    pub fn with_channels(gpu: &Gpu, shape: Shape, stored: usize, kind: Kind) -> Result<Self> {
        let [images, _, height, width] = shape;
        let values = gpu.take(images * height * width * stored * kind.bytes())?;
        Ok(Self { values: Arc::new(values), shape, stored, kind })
    }

    /// A map of zeros.
    ///
    /// # Errors
    /// Too little memory.
    pub fn zeros(gpu: &Gpu, shape: Shape, kind: Kind) -> Result<Self> {
        let values = gpu.zeros(shape.iter().product::<usize>() * kind.bytes())?;
        Ok(Self { values: Arc::new(values), shape, stored: shape[1], kind })
    }

    /// This map to be written over if nobody else holds it, otherwise a new one of its shape.
    ///
    /// # Errors
    /// Too little memory.
    pub fn reused(&self, gpu: &Gpu) -> Result<Self> {
        // One owner is `self`.
        if Arc::strong_count(&self.values) == 1 {
            return Ok(self.clone());
        }
        Self::with_channels(gpu, self.shape, self.stored, self.kind)
    }

    /// Pixels of all images.
    pub fn pixels(&self) -> usize {
        self.shape[0] * self.plane()
    }

    /// Pixels of an image.
    pub fn plane(&self) -> usize {
        self.shape[2] * self.shape[3]
    }

    /// Values in memory.
    pub fn count(&self) -> usize {
        self.pixels() * self.stored
    }

    /// Where the values are.
    pub fn address(&self, gpu: &Gpu) -> u64 {
        gpu.address(&self.values)
    }

    /// The same for a kernel.
    pub fn argument(&self, gpu: &Gpu) -> Argument {
        Argument::Address(self.address(gpu))
    }

    /// `(batch, channels, height, width)` for a kernel: batch, height, width, channels.
    ///
    /// # Errors
    /// Sizes beyond 2^31.
    pub fn sizes(&self) -> Result<[Argument; 4]> {
        let [images, channels, height, width] = self.shape;
        Ok([
            Argument::int(images)?,
            Argument::int(height)?,
            Argument::int(width)?,
            Argument::int(channels)?,
        ])
    }

    /// The name of `kernel` for such values.
    pub fn kernel(&self, kernel: &str) -> String {
        format!("{kernel}_{}", self.kind.suffix())
    }

    /// Fails for maps that an operation on compact maps can't take.
    ///
    /// # Errors
    /// A photo.
    pub fn compact(&self) -> Result<()> {
        if self.stored != self.shape[1] {
            bail!("a map of {} channels is stored with {}", self.shape[1], self.stored);
        }
        Ok(())
    }

    /// Values from one image, row, column to the next, for the kernel `copy`.
    pub fn strides(&self) -> [Argument; 3] {
        let [_, _, height, width] = self.shape;
        let row = width * self.stored;
        [height * row, row, self.stored].map(Argument::long)
    }
}
