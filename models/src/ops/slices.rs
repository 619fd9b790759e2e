//! From Candle's storage to slices and back.

use candle_core::{CpuStorage, Layout, Result, Storage, Tensor, bail};
use rayon::prelude::*;

/// The values of a contiguous f32 argument of a custom operation.
pub fn argument<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let values = storage.as_slice::<f32>()?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => bail!("a fused operation needs a contiguous tensor"),
    }
}

/// The values of a contiguous f32 argument that is changed.
pub fn argument_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    let CpuStorage::F32(values) = storage else { bail!("a fused operation needs f32") };
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&mut values[start..end]),
        None => bail!("a fused operation needs a contiguous tensor"),
    }
}

/// Calls `f` with the values of contiguous f32 tensors in main memory.
pub fn with<const N: usize, R>(
    tensors: [&Tensor; N],
    f: impl FnOnce([&[f32]; N]) -> Result<R>,
) -> Result<R> {
    let views = tensors.map(Tensor::storage_and_layout);
    let mut slices = [&[] as &[f32]; N];
    for (slice, (storage, layout)) in slices.iter_mut().zip(&views) {
        let Storage::Cpu(storage) = &**storage else { bail!("not in main memory") };
        *slice = argument(storage, layout)?;
    }
    f(slices)
}

/// `sum` is increased by `other`.
pub fn add(sum: &mut [f32], other: &[f32]) {
    const CHUNK: usize = 1 << 15;
    sum.par_chunks_mut(CHUNK).zip(other.par_chunks(CHUNK)).for_each(|(sum, other)| {
        sum.iter_mut().zip(other).for_each(|(sum, other)| *sum += other);
    });
}

/// Sum in f64, in an order that depends on the length alone.
pub fn sum(values: &[f32], term: impl Fn(f32) -> f64) -> f64 {
    const LANES: usize = 16;
    let mut lanes = [0f64; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest: f64 = chunks.remainder().iter().map(|&x| term(x)).sum();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += term(x);
        }
    }
    lanes.iter().sum::<f64>() + rest
}

/// Where threads write to disjoint parts of one buffer that no slice pattern separates.
#[derive(Clone, Copy)]
pub struct Shared(*mut f32);

// SAFETY: a bare address; whoever writes through it promises disjoint parts.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// The address of `values`.
    pub fn new(values: &mut [f32]) -> Self {
        Self(values.as_mut_ptr())
    }

    /// The buffer's address, `offset` values on.
    ///
    /// # Safety
    /// `offset` lies inside the buffer or one past its end.
    pub unsafe fn at(self, offset: usize) -> *mut f32 {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(offset) }
    }
}

/// A vector of `len` values that nobody has written yet.
///
/// # Safety
/// Every value is written before it is read, and any bytes are a valid `T`.
pub unsafe fn uninitialised<T>(len: usize) -> Vec<T> {
    let mut values = Vec::with_capacity(len);
    // SAFETY: the caller's promise.
    #[allow(clippy::uninit_vec)]
    unsafe {
        values.set_len(len);
    }
    values
}

/// Sum of products in f64, in an order that depends on the length alone.
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 16;
    let mut lanes = [0f64; LANES];
    let (a_rest, b_rest) = (a.chunks_exact(LANES).remainder(), b.chunks_exact(LANES).remainder());
    let product = |(&a, &b): (&f32, &f32)| f64::from(a) * f64::from(b);
    let rest: f64 = a_rest.iter().zip(b_rest).map(product).sum();
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for ((lane, &a), &b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += f64::from(a) * f64::from(b);
        }
    }
    lanes.iter().sum::<f64>() + rest
}
