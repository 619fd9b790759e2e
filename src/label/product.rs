//! The inner loop of the random walk: one row of a banded matrix times several maps.
//!
//! Written once for vectors of any length. Explicit vectors, because the compiler keeps the sums of
//! this loop in memory otherwise and the walk takes thirty times as long. Vectors of 8 and of 16 give
//! the same bits.

use super::banded::Layout;

/// Rows are filled up to a multiple of this.
pub const LANES: usize = 2 * 16;
/// Most maps that one call takes.
pub const MAPS: usize = 8;
/// Vectors that are summed together for each map.
const UNROLL: usize = 2;

/// Weights below this count as 0: behind a strong boundary they would lead to numbers so small that
/// the processor takes a hundred times as long for them.
pub const LEAST_WEIGHT: f32 = 1e-12;
/// Scores below this count as 0, for the same reason.
const TRACE: f32 = 1e-24;

/// Where a pixel's neighbours are, relative to it: `(in the weights, in the maps)`.
#[derive(Clone, Debug)]
pub struct Terms(pub Vec<(isize, isize)>);

/// What is done with a product: `out = scale product - minus out`, `sum += weight out`.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Factor of the product.
    pub scale: f32,
    /// Factor of what stood there before.
    pub minus: f32,
    /// Factor in the sum.
    pub weight: f32,
}

/// One row of a product.
pub struct Row<'a> {
    /// Size and rims.
    pub layout: Layout,
    /// The neighbours of every pixel.
    pub terms: &'a Terms,
    /// What becomes of the product.
    pub step: Step,
    /// All weights, and where those of this row start.
    pub weights: (&'a [f32], usize),
    /// The interleaved maps, and where this row of the first one starts.
    pub maps: (&'a [f32], usize),
    /// This row of the results, all maps.
    pub out: &'a mut [f32],
    /// This row of the sums, all maps.
    pub sum: &'a mut [f32],
}

impl Row<'_> {
    /// Computes the row for `count` maps, from 1 to [`MAPS`].
    pub fn compute(self, count: usize) {
        self.check(count);
        // SAFETY: `check` has seen that every slice is long enough; the processor has what is used.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            if std::arch::is_x86_feature_detected!("avx512f") {
                return x86::avx512(self, count);
            } else if std::arch::is_x86_feature_detected!("avx2")
                && std::arch::is_x86_feature_detected!("fma")
            {
                return x86::avx2(self, count);
            }
            self.run::<[f32; 4]>(count);
        }
    }

    /// The bounds that the loop relies on.
    fn check(&self, count: usize) {
        let Layout { width, rim, pitch, .. } = self.layout;
        let end = rim + width.next_multiple_of(LANES);
        let inside = |start: usize, length: usize, offset: isize, last: usize| {
            let first = (start + rim).checked_add_signed(offset);
            let last = (start + last).checked_add_signed(offset);
            first.is_some() && last.is_some_and(|last| last <= length)
        };
        let last = (count - 1) * pitch + end;
        assert!((1..=MAPS).contains(&count) && end <= pitch);
        assert!(self.out.len() >= last && self.sum.len() >= last);
        assert!(self.terms.0.iter().all(|&(weight, map)| {
            inside(self.weights.1, self.weights.0.len(), weight, end)
                && inside(self.maps.1, self.maps.0.len(), map, last)
        }));
    }

    /// # Safety
    /// `check` passed and the processor has the vectors `V`.
    #[inline(always)]
    unsafe fn run<V: Vector>(self, count: usize) {
        // SAFETY: passed on.
        unsafe {
            match count {
                1 => self.run_maps::<V, 1>(),
                2 => self.run_maps::<V, 2>(),
                3 => self.run_maps::<V, 3>(),
                4 => self.run_maps::<V, 4>(),
                5 => self.run_maps::<V, 5>(),
                6 => self.run_maps::<V, 6>(),
                7 => self.run_maps::<V, 7>(),
                _ => self.run_maps::<V, MAPS>(),
            }
        }
    }

    /// # Safety
    /// As for `run`.
    #[inline(always)]
    unsafe fn run_maps<V: Vector, const COUNT: usize>(self) {
        let Layout { width, rim, pitch, .. } = self.layout;
        let (weights, maps) = (self.weights.0.as_ptr(), self.maps.0.as_ptr());
        for x in (rim..rim + width).step_by(UNROLL * V::LANES) {
            // SAFETY: `check` has looked at every offset from the first to the last vector of a row.
            unsafe {
                let mut products = [[V::splat(0.0); UNROLL]; COUNT];
                for &(weight, map) in &self.terms.0 {
                    let weight = weights.add(self.weights.1 + x).offset(weight);
                    let map = maps.add(self.maps.1 + x).offset(map);
                    let factors: [V; UNROLL] =
                        std::array::from_fn(|i| V::load(weight.add(i * V::LANES)));
                    for (index, products) in products.iter_mut().enumerate() {
                        let values = map.add(index * pitch);
                        for i in 0..UNROLL {
                            let value = V::load(values.add(i * V::LANES));
                            products[i] = products[i].add_product(factors[i], value);
                        }
                    }
                }
                for (index, products) in products.iter().enumerate() {
                    for (i, &product) in products.iter().enumerate() {
                        let place = index * pitch + x + i * V::LANES;
                        let out = self.out.as_mut_ptr().add(place);
                        let sum = self.sum.as_mut_ptr().add(place);
                        let old = V::load(out).times(V::splat(-self.step.minus));
                        let new = old.add_product(V::splat(self.step.scale), product);
                        let new = new.without_traces();
                        new.store(out);
                        V::load(sum).add_product(V::splat(self.step.weight), new).store(sum);
                    }
                }
            }
        }
    }
}

/// A few numbers side by side. Its functions need a processor that has such vectors.
trait Vector: Copy {
    const LANES: usize;
    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn times(self, other: Self) -> Self;
    /// `self + a b`.
    unsafe fn add_product(self, a: Self, b: Self) -> Self;
    /// 0 where the value is nearer to 0 than [`TRACE`].
    unsafe fn without_traces(self) -> Self;
}

impl Vector for [f32; 4] {
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        [value; 4]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for four numbers.
        unsafe { from.cast::<Self>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller vouches for four numbers.
        unsafe { to.cast::<Self>().write_unaligned(self) }
    }

    #[inline(always)]
    unsafe fn times(self, other: Self) -> Self {
        std::array::from_fn(|i| self[i] * other[i])
    }

    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        std::array::from_fn(|i| self[i] + a[i] * b[i])
    }

    #[inline(always)]
    unsafe fn without_traces(self) -> Self {
        self.map(|value| if value.abs() < TRACE { 0.0 } else { value })
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Row, TRACE, Vector};

    #[target_feature(enable = "avx512f")]
    pub unsafe fn avx512(row: Row, count: usize) {
        // SAFETY: passed on.
        unsafe { row.run::<__m512>(count) }
    }

    #[target_feature(enable = "avx2,fma")]
    pub unsafe fn avx2(row: Row, count: usize) {
        // SAFETY: passed on.
        unsafe { row.run::<__m256>(count) }
    }

    macro_rules! vector {
        ($type:ty, $lanes:literal, $splat:ident, $load:ident, $store:ident, $mul:ident, $fma:ident, $traces:ident) => {
            // SAFETY of the bodies: the callers vouch for the processor and the addresses.
            impl Vector for $type {
                const LANES: usize = $lanes;

                #[inline(always)]
                unsafe fn splat(value: f32) -> Self {
                    unsafe { $splat(value) }
                }

                #[inline(always)]
                unsafe fn load(from: *const f32) -> Self {
                    unsafe { $load(from) }
                }

                #[inline(always)]
                unsafe fn store(self, to: *mut f32) {
                    unsafe { $store(to, self) }
                }

                #[inline(always)]
                unsafe fn times(self, other: Self) -> Self {
                    unsafe { $mul(self, other) }
                }

                #[inline(always)]
                unsafe fn add_product(self, a: Self, b: Self) -> Self {
                    unsafe { $fma(a, b, self) }
                }

                #[inline(always)]
                unsafe fn without_traces(self) -> Self {
                    unsafe { $traces(self) }
                }
            }
        };
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn without_traces_16(values: __m512) -> __m512 {
        let limit = _mm512_set1_ps(TRACE);
        let keep = _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(_mm512_abs_ps(values), limit);
        _mm512_maskz_mov_ps(keep, values)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn without_traces_8(values: __m256) -> __m256 {
        let size = _mm256_andnot_ps(_mm256_set1_ps(-0.0), values);
        _mm256_and_ps(values, _mm256_cmp_ps::<_CMP_NLT_UQ>(size, _mm256_set1_ps(TRACE)))
    }

    vector!(
        __m512,
        16,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_mul_ps,
        _mm512_fmadd_ps,
        without_traces_16
    );
    vector!(
        __m256,
        8,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_mul_ps,
        _mm256_fmadd_ps,
        without_traces_8
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_vector_computes_the_same() {
        let layout = Layout { height: 1, width: 64, rim: 2, pitch: 2 * 2 + 64 };
        let terms = Terms(vec![(-1, -2), (0, 0), (1, 2)]);
        let values = |count: usize| (0..count).map(|i| (i % 17) as f32).collect::<Vec<_>>();
        let (weights, maps) = (values(3 * layout.pitch), values(9 * layout.pitch));
        let step = Step { scale: 2.0, minus: 1.0, weight: 0.5 };
        for count in 1..=MAPS {
            let run = |kind: u8| {
                let (mut out, mut sum) =
                    (values(count * layout.pitch), vec![1.0; count * layout.pitch]);
                let row = Row {
                    layout,
                    terms: &terms,
                    step,
                    weights: (&weights, layout.pitch),
                    maps: (&maps, layout.pitch / 2),
                    out: &mut out,
                    sum: &mut sum,
                };
                row.check(count);
                // SAFETY: checked; the processor is asked for before.
                unsafe {
                    match kind {
                        0 => row.run::<[f32; 4]>(count),
                        #[cfg(target_arch = "x86_64")]
                        1 if std::arch::is_x86_feature_detected!("avx2")
                            && std::arch::is_x86_feature_detected!("fma") =>
                        {
                            x86::avx2(row, count)
                        }
                        _ => row.compute(count),
                    }
                }
                (out, sum)
            };
            // Small whole numbers: exact with and without fused operations.
            assert_eq!(run(0), run(1));
            assert_eq!(run(0), run(2));
        }
    }

    #[test]
    #[should_panic(expected = "assertion")]
    fn neighbours_outside_are_refused() {
        let layout = Layout { height: 1, width: 3, rim: 0, pitch: 32 };
        let (mut out, mut sum) = (vec![0.0; 32], vec![0.0; 32]);
        let row = Row {
            layout,
            terms: &Terms(vec![(0, 1)]),
            step: Step { scale: 1.0, minus: 0.0, weight: 0.0 },
            weights: (&[0.0; 32], 0),
            maps: (&[0.0; 32], 0),
            out: &mut out,
            sum: &mut sum,
        };
        row.compute(1);
    }
}
