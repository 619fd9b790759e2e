//! A step of SGD with momentum over all parameters in one launch.

use candle_core::Result;

use super::engine::CudaEngine;
use super::gpu::{Argument, Grid};
use crate::ops::sgd::Update;

/// Values of a parameter that a block takes.
const CHUNK: usize = 1 << 14;

/// The kernel's `Parameter`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Entry {
    value: u64,
    gradient: u64,
    buffer: u64,
    rate: f32,
    decay: f32,
}

/// The kernel's `Chunk`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Chunk {
    parameter: i32,
    length: i32,
    offset: i64,
}

fn bytes<T: Copy>(values: &[T]) -> &[u8] {
    // SAFETY: both structs are numbers without gaps between them.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

impl CudaEngine {
    /// `buffer * momentum + gradient + value * decay` becomes the buffer, which the value goes against, as in
    /// [`crate::ops::sgd::Sgd`].
    ///
    /// # Errors
    /// Tensors of different sizes, or elsewhere than on this GPU.
    pub fn descend(&self, updates: &[Update], momentum: f64) -> Result<()> {
        let (mut entries, mut chunks) = (Vec::new(), Vec::new());
        for (parameter, update) in updates.iter().enumerate() {
            let count = update.parameter.elem_count();
            if update.gradient.elem_count() != count || update.buffer.elem_count() != count {
                candle_core::bail!("{count} values, {:?} gradients", update.gradient.shape());
            }
            entries.push(Entry {
                value: self.gpu.address_of(update.parameter.as_tensor())?,
                gradient: self.gpu.address_of(update.gradient)?,
                buffer: self.gpu.address_of(update.buffer)?,
                rate: update.rate as f32,
                decay: update.decay as f32,
            });
            chunks.extend((0..count).step_by(CHUNK).map(|offset| Chunk {
                parameter: parameter as i32,
                length: CHUNK.min(count - offset) as i32,
                offset: offset as i64,
            }));
        }
        if chunks.is_empty() {
            return Ok(());
        }
        let tables = [self.gpu.upload(bytes(&entries))?, self.gpu.upload(bytes(&chunks))?];
        let [entries, list] = tables.each_ref().map(|table| self.gpu.address(table));
        let mut arguments =
            [Argument::Address(entries), Argument::Address(list), Argument::Float(momentum as f32)];
        self.gpu.launch("sgd", Grid::blocks([chunks.len(), 1, 1]), &mut arguments)
    }
}
