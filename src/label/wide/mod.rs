//! Sixteen numbers side by side, in the vectors of the processor at hand.
//!
//! Explicit vectors, because the compiler keeps the sums of the `product` in memory
//! otherwise. With fused multiplication (AVX-512 and AVX2) all kinds give the same bits.

#[cfg(target_arch = "x86_64")]
mod x86;

/// Numbers in a [`Wide`].
pub const LANES: usize = 16;

/// Scores below this count as 0, for the processor takes a hundred times as long for those near the
/// smallest number there is.
pub const TRACE: f32 = 1e-24;

/// Sixteen numbers; of `f32` a line of the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C, align(64))]
pub struct Wide<T = f32>(pub [T; LANES]);

/// [`Wide`] in registers. Its functions need a processor that has such registers.
pub trait Vector: Copy {
    /// Whether there are registers for many of them.
    const MANY: bool;
    /// # Safety
    /// The processor has the registers; so for all functions here.
    unsafe fn splat(value: f32) -> Self;
    /// # Safety
    /// `from` can be read.
    unsafe fn load(from: *const Wide) -> Self;
    /// # Safety
    /// `to` can be written.
    unsafe fn store(self, to: *mut Wide);
    /// # Safety
    /// As for `splat`.
    unsafe fn times(self, other: Self) -> Self;
    /// `self + a b`.
    ///
    /// # Safety
    /// As for `splat`.
    unsafe fn add_product(self, a: Self, b: Self) -> Self;
    /// 0 where the value is nearer to 0 than [`TRACE`].
    ///
    /// # Safety
    /// As for `splat`.
    unsafe fn without_traces(self) -> Self;
    /// Every number one lane further; 0 in the first one.
    ///
    /// # Safety
    /// As for `splat`.
    unsafe fn up(self) -> Self;
    /// Every number one lane back; 0 in the last one.
    ///
    /// # Safety
    /// As for `splat`.
    unsafe fn down(self) -> Self;
}

impl Vector for Wide {
    const MANY: bool = false;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; LANES])
    }

    #[inline(always)]
    unsafe fn load(from: *const Wide) -> Self {
        // SAFETY: the caller vouches for the place.
        unsafe { *from }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut Wide) {
        // SAFETY: the caller vouches for the place.
        unsafe { *to = self }
    }

    #[inline(always)]
    unsafe fn times(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] * other.0[i]))
    }

    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + a.0[i] * b.0[i]))
    }

    #[inline(always)]
    unsafe fn without_traces(self) -> Self {
        Self(self.0.map(|value| if value.abs() < TRACE { 0.0 } else { value }))
    }

    #[inline(always)]
    unsafe fn up(self) -> Self {
        Self(std::array::from_fn(|i| if i == 0 { 0.0 } else { self.0[i - 1] }))
    }

    #[inline(always)]
    unsafe fn down(self) -> Self {
        Self(std::array::from_fn(|i| self.0.get(i + 1).copied().unwrap_or(0.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moves numbers by way of the registers `V`.
    ///
    /// # Safety
    /// The processor has them.
    #[inline(always)]
    unsafe fn moved<V: Vector>(from: &Wide) -> [Wide; 2] {
        let mut to = [Wide::default(); 2];
        // SAFETY: the caller vouches for the processor.
        unsafe {
            V::load(from).up().store(&mut to[0]);
            V::load(from).down().store(&mut to[1]);
        }
        to
    }

    #[test]
    fn lanes_move_by_one() {
        let wide = Wide(std::array::from_fn(|i| i as f32 + 1.0));
        let check = |[up, down]: [Wide; 2]| {
            assert!((0..LANES).all(|i| up.0[i] == i as f32));
            assert!((0..LANES).all(|i| down.0[i] == ((i + 2) % 17) as f32));
        };
        // SAFETY: the processor is asked for what is used.
        unsafe {
            check(moved::<Wide>(&wide));
            #[cfg(target_arch = "x86_64")]
            {
                use std::arch::x86_64::{__m256, __m512};
                if std::arch::is_x86_feature_detected!("avx512f") {
                    check(moved::<__m512>(&wide));
                }
                if std::arch::is_x86_feature_detected!("avx2") {
                    check(moved::<[__m256; 2]>(&wide));
                }
            }
        }
    }
}
