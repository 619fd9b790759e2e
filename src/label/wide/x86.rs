//! The registers of x86: one of AVX-512, or two of AVX2.

use std::arch::x86_64::*;

use super::{TRACE, Vector, Wide};

// SAFETY of all bodies: the callers vouch for the processor and the places; a `Wide` is aligned.
impl Vector for __m512 {
    const MANY: bool = true;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(from: *const Wide) -> Self {
        unsafe { _mm512_load_ps(from.cast()) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut Wide) {
        unsafe { _mm512_store_ps(to.cast(), self) }
    }

    #[inline(always)]
    unsafe fn times(self, other: Self) -> Self {
        unsafe { _mm512_mul_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        unsafe { _mm512_fmadd_ps(a, b, self) }
    }

    #[inline(always)]
    unsafe fn without_traces(self) -> Self {
        unsafe {
            let limit = _mm512_set1_ps(TRACE);
            let keep = _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(_mm512_abs_ps(self), limit);
            _mm512_maskz_mov_ps(keep, self)
        }
    }

    #[inline(always)]
    unsafe fn up(self) -> Self {
        unsafe {
            let lanes = _mm512_castps_si512(self);
            _mm512_castsi512_ps(_mm512_alignr_epi32::<15>(lanes, _mm512_setzero_si512()))
        }
    }

    #[inline(always)]
    unsafe fn down(self) -> Self {
        unsafe {
            let lanes = _mm512_castps_si512(self);
            _mm512_castsi512_ps(_mm512_alignr_epi32::<1>(_mm512_setzero_si512(), lanes))
        }
    }
}

// SAFETY of all bodies: as above.
impl Vector for [__m256; 2] {
    const MANY: bool = false;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        unsafe { [_mm256_set1_ps(value); 2] }
    }

    #[inline(always)]
    unsafe fn load(from: *const Wide) -> Self {
        unsafe { [_mm256_load_ps(from.cast()), _mm256_load_ps(from.cast::<f32>().add(8))] }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut Wide) {
        unsafe {
            _mm256_store_ps(to.cast(), self[0]);
            _mm256_store_ps(to.cast::<f32>().add(8), self[1]);
        }
    }

    #[inline(always)]
    unsafe fn times(self, other: Self) -> Self {
        unsafe { [_mm256_mul_ps(self[0], other[0]), _mm256_mul_ps(self[1], other[1])] }
    }

    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        unsafe { [_mm256_fmadd_ps(a[0], b[0], self[0]), _mm256_fmadd_ps(a[1], b[1], self[1])] }
    }

    #[inline(always)]
    unsafe fn without_traces(self) -> Self {
        unsafe {
            let (limit, sign) = (_mm256_set1_ps(TRACE), _mm256_set1_ps(-0.0));
            self.map(|half| {
                let size = _mm256_andnot_ps(sign, half);
                _mm256_and_ps(half, _mm256_cmp_ps::<_CMP_NLT_UQ>(size, limit))
            })
        }
    }

    #[inline(always)]
    unsafe fn up(self) -> Self {
        unsafe {
            let turn = _mm256_setr_epi32(7, 0, 1, 2, 3, 4, 5, 6);
            let [low, high] = self.map(|half| _mm256_permutevar8x32_ps(half, turn));
            [_mm256_blend_ps::<1>(low, _mm256_setzero_ps()), _mm256_blend_ps::<1>(high, low)]
        }
    }

    #[inline(always)]
    unsafe fn down(self) -> Self {
        unsafe {
            let turn = _mm256_setr_epi32(1, 2, 3, 4, 5, 6, 7, 0);
            let [low, high] = self.map(|half| _mm256_permutevar8x32_ps(half, turn));
            [_mm256_blend_ps::<128>(low, high), _mm256_blend_ps::<128>(high, _mm256_setzero_ps())]
        }
    }
}
