//! The inner loop of the random walk: one row of a banded matrix times several maps.
//!
//! A weight is loaded once for all maps, and no load crosses a line of the cache (see
//! [`strips`](super::strips)), so that a multiplication needs little more than one load.

use super::strips::Strips;
use super::terms::{Step, Terms};
use super::wide::{Vector, Wide};

/// Most maps that one call takes.
pub const MAPS: usize = 6;

/// One row of a product.
pub struct Row<'a> {
    /// The neighbours of every pixel.
    pub terms: &'a Terms,
    /// Where the pixels of a row are.
    pub strips: Strips,
    /// What becomes of the product.
    pub step: Step,
    /// All weights, and where those of this row start.
    pub weights: (&'a [Wide], usize),
    /// All maps, and where this row of the first one starts.
    pub maps: (&'a [Wide], usize),
    /// This row of the results, all maps with their rims.
    pub out: &'a mut [Wide],
    /// This row of the sums, in the same way.
    pub sum: &'a mut [Wide],
}

impl Row<'_> {
    /// Computes the row for `count` maps, from 1 to [`MAPS`].
    pub fn compute(self, count: usize) {
        self.check(count);
        // SAFETY: `check` has seen that every slice is long enough; the processor has what is used.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            if std::arch::is_x86_feature_detected!("avx512f") {
                return avx512(self, count);
            } else if std::arch::is_x86_feature_detected!("avx2")
                && std::arch::is_x86_feature_detected!("fma")
            {
                return avx2(self, count);
            }
            self.run::<Wide>(count);
        }
    }

    /// The bounds that the loop relies on.
    fn check(&self, count: usize) {
        let inside = |(all, start): (&[Wide], usize), ends: (isize, isize), last: usize| {
            let end = (start + last).checked_add_signed(ends.1);
            start.checked_add_signed(ends.0).is_some() && end.is_some_and(|end| end <= all.len())
        };
        let Strips { rim, columns, .. } = self.strips;
        let pitch = self.strips.pitch();
        let last = (count - 1) * pitch + columns;
        assert!((1..=MAPS).contains(&count) && rim <= columns);
        assert!(self.out.len() == count * pitch && self.sum.len() == count * pitch);
        assert!(inside(self.weights, self.terms.weights(), columns));
        assert!(inside(self.maps, self.terms.maps(), last));
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
                _ => self.run_maps::<V, MAPS>(),
            }
        }
    }

    /// # Safety
    /// As for `run`.
    #[inline(always)]
    unsafe fn run_maps<V: Vector, const COUNT: usize>(mut self) {
        let (mut x, columns) = (0, self.strips.columns);
        // SAFETY: passed on; no block goes beyond the columns.
        unsafe {
            while V::MANY && x + 4 <= columns {
                self.block::<V, COUNT, 4>(x);
                x += 4;
            }
            if V::MANY && x + 2 <= columns {
                self.block::<V, COUNT, 2>(x);
                x += 2;
            }
            while x < columns {
                self.block::<V, COUNT, 1>(x);
                x += 1;
            }
            self.mirror::<V>();
        }
    }

    /// Repeats the strips' ends in the rims of the results.
    ///
    /// # Safety
    /// As for `run`.
    #[inline(always)]
    unsafe fn mirror<V: Vector>(&mut self) {
        let Strips { rim, columns, .. } = self.strips;
        for row in self.out.chunks_exact_mut(columns + 2 * rim) {
            let row = row.as_mut_ptr();
            for x in 0..rim {
                // SAFETY: a row has two rims besides its columns, of which there are as many as in a rim.
                unsafe {
                    V::load(row.add(columns + x)).up().store(row.add(x));
                    V::load(row.add(rim + x)).down().store(row.add(rim + columns + x));
                }
            }
        }
    }

    /// `WIDTH` vectors of each map from column `x` on.
    ///
    /// # Safety
    /// As for `run`, and these columns exist.
    #[inline(always)]
    unsafe fn block<V: Vector, const COUNT: usize, const WIDTH: usize>(&mut self, x: usize) {
        // SAFETY: `check` has looked at every place from the first to the last column.
        unsafe {
            let weights = self.weights.0.as_ptr().add(self.weights.1 + x);
            let maps = self.maps.0.as_ptr().add(self.maps.1 + x);
            let (pitch, rim) = (self.strips.pitch(), self.strips.rim);
            let mut products = [[V::splat(0.0); WIDTH]; COUNT];
            for &(weight, map) in self.terms.places() {
                let (weight, map) = (weights.offset(weight), maps.offset(map));
                let factors: [V; WIDTH] = std::array::from_fn(|i| V::load(weight.add(i)));
                for (index, products) in products.iter_mut().enumerate() {
                    let values = map.add(index * pitch);
                    for i in 0..WIDTH {
                        products[i] = products[i].add_product(factors[i], V::load(values.add(i)));
                    }
                }
            }
            for (index, products) in products.iter().enumerate() {
                for (i, &product) in products.iter().enumerate() {
                    self.finish(index * pitch + rim + x + i, product);
                }
            }
        }
    }

    /// # Safety
    /// As for `run`, and `place` is one of the results'.
    #[inline(always)]
    unsafe fn finish<V: Vector>(&mut self, place: usize, product: V) {
        // SAFETY: the caller vouches for the place.
        unsafe {
            let (out, sum) = (self.out.as_mut_ptr().add(place), self.sum.as_mut_ptr().add(place));
            let old = V::load(out).times(V::splat(-self.step.minus));
            let new = old.add_product(V::splat(self.step.scale), product).without_traces();
            new.store(out);
            if self.step.weight != 0.0 {
                V::load(sum).add_product(V::splat(self.step.weight), new).store(sum);
            }
        }
    }
}

/// # Safety
/// `check` passed and the processor has AVX-512.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn avx512(row: Row, count: usize) {
    // SAFETY: passed on.
    unsafe { row.run::<std::arch::x86_64::__m512>(count) }
}

/// # Safety
/// `check` passed and the processor has AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2(row: Row, count: usize) {
    // SAFETY: passed on.
    unsafe { row.run::<[std::arch::x86_64::__m256; 2]>(count) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row<'a>(
        terms: &'a Terms,
        all: &'a [Wide],
        out: &'a mut [Wide],
        sum: &'a mut [Wide],
    ) -> Row<'a> {
        let step = Step { scale: 2.0, minus: 1.0, weight: 0.5 };
        let strips = Strips { height: 1, width: 112, rim: 2, columns: 7 };
        Row { terms, strips, step, weights: (all, 5), maps: (all, 5), out, sum }
    }

    #[test]
    fn every_kind_of_vector_computes_the_same() {
        let terms = Terms::new(vec![(-3, -2), (0, 0), (1, 2)]);
        let wide = |i: usize| Wide(std::array::from_fn(|lane| ((5 * i + lane) % 17) as f32));
        let all: Vec<Wide> = (0..MAPS * 11 + 8).map(wide).collect();
        for count in 1..=MAPS {
            let run = |kind: u8| {
                let row_of_maps = all[..count * 11].to_vec();
                let (mut out, mut sum) = (row_of_maps.clone(), row_of_maps);
                let row = row(&terms, &all, &mut out, &mut sum);
                row.check(count);
                // SAFETY: checked; the processor is asked for before.
                unsafe {
                    match kind {
                        0 => row.run::<Wide>(count),
                        #[cfg(target_arch = "x86_64")]
                        1 if std::arch::is_x86_feature_detected!("avx2")
                            && std::arch::is_x86_feature_detected!("fma") =>
                        {
                            avx2(row, count)
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
        let (mut out, mut sum) = (vec![Wide::default(); 11], vec![Wide::default(); 11]);
        let terms = Terms::new(vec![(0, 1)]);
        row(&terms, &[Wide::default(); 12], &mut out, &mut sum).compute(1);
    }
}
