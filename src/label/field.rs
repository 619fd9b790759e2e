//! One step of eight pixels along the displacement field, as upstream's `find_centroids_with_refinement`
//! takes it: state in f32, bilinear interpolation between four pixels in f64, terms and factors in
//! upstream's order. With AVX-512 all eight move at once; both ways agree bit for bit.

use ndarray::{Array2, ArrayView3};

/// Pixels that are moved together: a vector of f64 for AVX-512.
pub const LANES: usize = 8;

/// Positions of a few pixels.
#[derive(Clone, Copy)]
pub struct State {
    y: [f32; LANES],
    x: [f32; LANES],
}

impl State {
    /// All in the top left corner.
    pub const START: Self = Self { y: [0.0; LANES], x: [0.0; LANES] };

    /// Row and column in `lane`.
    pub fn of(&self, lane: usize) -> [f32; 2] {
        [self.y[lane], self.x[lane]]
    }

    /// Whether both are at one place in `lane`, bit for bit, so that numbers that are none are, too.
    pub fn same(&self, other: &Self, lane: usize) -> bool {
        self.of(lane).map(f32::to_bits) == other.of(lane).map(f32::to_bits)
    }

    /// Puts `pixel` of a field of this `width` in `lane`.
    pub fn put(&mut self, lane: usize, pixel: usize, width: usize) {
        (self.y[lane], self.x[lane]) = ((pixel / width) as f32, (pixel % width) as f32);
    }
}

/// The displacement field, both components of a pixel side by side.
pub struct Field {
    height: usize,
    /// Pixels in a row.
    pub width: usize,
    shifts: Vec<[f32; 2]>,
}

impl Field {
    /// From `[2,h,w]`: down, right.
    pub fn new(dp: ArrayView3<f32>) -> Self {
        let (_, height, width) = dp.dim();
        let at = |(y, x)| [dp[[0, y, x]], dp[[1, y, x]]];
        let shifts = Array2::from_shape_fn((height, width), at).into_raw_vec_and_offset().0;
        Self { height, width, shifts }
    }

    /// Number of pixels.
    pub fn pixels(&self) -> usize {
        self.shifts.len()
    }

    /// One step of all lanes.
    pub fn step(&self, state: &State) -> State {
        let mut next = *state;
        for lane in 0..LANES {
            let [y, x] = state.of(lane);
            let [down, right] = self.shift(y, x);
            next.y[lane] = ((f64::from(y) + down) as f32).clamp(0.0, (self.height - 1) as f32);
            next.x[lane] = ((f64::from(x) + right) as f32).clamp(0.0, (self.width - 1) as f32);
        }
        next
    }

    /// The field between four pixels.
    fn shift(&self, y: f32, x: f32) -> [f64; 2] {
        let (y0, x0) = (y as u32 as usize, x as u32 as usize);
        let (a, b) = (f64::from(y) - y0 as f64, f64::from(x) - x0 as f64);
        let (y1, x1) = (y0 + usize::from(a > 0.0), x0 + usize::from(b > 0.0));
        let at = |y: usize, x: usize| self.shifts[y * self.width + x].map(f64::from);
        let (both, right, below, here) = (at(y1, x1), at(y0, x1), at(y1, x0), at(y0, x0));
        std::array::from_fn(|i| {
            both[i] * a * b
                + right[i] * (1.0 - a) * b
                + below[i] * a * (1.0 - b)
                + here[i] * (1.0 - a) * (1.0 - b)
        })
    }

    /// Whether [`Self::step_avx512`] can be called.
    #[cfg(target_arch = "x86_64")]
    pub fn has_avx512(&self) -> bool {
        crate::vectors::has_avx512() && i32::try_from(self.shifts.len()).is_ok()
    }

    /// [`Self::step`] with AVX-512.
    ///
    /// # Safety
    /// [`Self::has_avx512`], and every lane of `state` is a pixel's position or what a step made of one.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2")]
    pub unsafe fn step_avx512(&self, state: &State) -> State {
        use std::arch::x86_64::*;
        let (one, ones) = (_mm512_set1_pd(1.0), _mm256_set1_epi32(1));
        // SAFETY: both are arrays of eight f32.
        let (y, x) =
            unsafe { (_mm256_loadu_ps(state.y.as_ptr()), _mm256_loadu_ps(state.x.as_ptr())) };
        let (wide_y, wide_x) = (_mm512_cvtps_pd(y), _mm512_cvtps_pd(x));
        // What is no number becomes the most negative integer, which is brought to 0 as `as u32` does.
        let floor = |v| _mm256_max_epi32(_mm256_cvttps_epi32(v), _mm256_setzero_si256());
        let (y0, x0) = (floor(y), floor(x));
        let a = _mm512_sub_pd(wide_y, _mm512_cvtepi32_pd(y0));
        let b = _mm512_sub_pd(wide_x, _mm512_cvtepi32_pd(x0));
        let above_zero = |v| _mm512_cmp_pd_mask::<_CMP_GT_OQ>(v, _mm512_setzero_pd());
        let y1 = _mm256_mask_add_epi32(y0, above_zero(a), y0, ones);
        let x1 = _mm256_mask_add_epi32(x0, above_zero(b), x0, ones);
        let width = _mm256_set1_epi32(self.width as i32);
        let at = |y, x| {
            let index = _mm256_add_epi32(_mm256_mullo_epi32(y, width), x);
            // SAFETY: positions are clamped to the field and rounded down or, where they lie between
            // two pixels, up: every index is a pixel, and a pixel is 8 bytes.
            let pair = unsafe { _mm512_i32gather_epi64::<8>(index, self.shifts.as_ptr().cast()) };
            let half = |bits| _mm512_cvtps_pd(_mm256_castsi256_ps(_mm512_cvtepi64_epi32(bits)));
            [half(pair), half(_mm512_srli_epi64::<32>(pair))]
        };
        let (both, right, below, here) = (at(y1, x1), at(y0, x1), at(y1, x0), at(y0, x0));
        let (rest_a, rest_b) = (_mm512_sub_pd(one, a), _mm512_sub_pd(one, b));
        let term = |value, a, b| _mm512_mul_pd(_mm512_mul_pd(value, a), b);
        let moved = |from, i: usize, last: usize| {
            let sum = _mm512_add_pd(term(both[i], a, b), term(right[i], rest_a, b));
            let sum = _mm512_add_pd(sum, term(below[i], a, rest_b));
            let sum = _mm512_add_pd(sum, term(here[i], rest_a, rest_b));
            let to = _mm512_cvtpd_ps(_mm512_add_pd(from, sum));
            // The second operand is the result where one is no number, as in `clamp`.
            _mm256_min_ps(_mm256_set1_ps(last as f32), _mm256_max_ps(_mm256_setzero_ps(), to))
        };
        let (y, x) = (moved(wide_y, 0, self.height - 1), moved(wide_x, 1, self.width - 1));
        let mut next = State::START;
        // SAFETY: both are arrays of eight f32.
        unsafe {
            _mm256_storeu_ps(next.y.as_mut_ptr(), y);
            _mm256_storeu_ps(next.x.as_mut_ptr(), x);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn both_ways_agree_bit_for_bit() {
        for strength in [0.4f32, 3.0, 40.0, f32::NAN, f32::INFINITY, f32::MAX] {
            let noise = |i: usize| ((i * 7919) % 1000) as f32 / 500.0 - 1.0;
            let dp = Array3::from_shape_fn((2, 23, 17), |(c, y, x)| {
                strength * noise(c * 391 + y * 17 + x)
            });
            let field = Field::new(dp.view());
            if !field.has_avx512() {
                return;
            }
            let mut state = State::START;
            for lane in 0..LANES {
                state.put(lane, lane * 48, field.width);
            }
            let mut other = state;
            for step in 0..60 {
                // SAFETY: asked for above; the state began with pixels.
                (state, other) = (field.step(&state), unsafe { field.step_avx512(&other) });
                for lane in 0..LANES {
                    let (ours, theirs) = (state.of(lane), other.of(lane));
                    let nan = ours.map(f32::is_nan) == theirs.map(f32::is_nan);
                    let agree = (0..2).all(|i| ours[i].is_nan() || ours[i] == theirs[i]);
                    assert!(nan && agree, "{strength} {step} {ours:?} {theirs:?}");
                }
            }
        }
    }
}
