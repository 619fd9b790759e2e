//! A high power of a banded matrix times a few maps, by products alone.
//!
//! A product with level `k` needs rows of level `k - 1` up to the rim below only. So one thread works
//! at several levels at once, each a rim behind the one before: the weights of these rows stay in
//! the cache for all of them. Two buffers are enough, for a level replaces the last but one.

use irn_models::chebyshev::coefficients;
use rayon::prelude::*;

use super::banded::Banded;
use super::terms::Step;
use super::wide::Wide;

/// What the rows of all levels may take in the cache that is a thread's own.
const CACHE: usize = 3 << 19;
/// Most levels at once.
const LEVELS: usize = 8;

/// How the power is computed: the products to be made, and the weighted sum of what comes out.
pub struct Power {
    /// Weight of the maps themselves.
    first: f32,
    /// Product after product.
    steps: Vec<Step>,
}

impl Power {
    /// The cheaper one: a product for each of `steps`, or a sum of Chebyshev polynomials.
    pub fn new(steps: u64) -> Self {
        if steps > 1 {
            let sum = coefficients(steps);
            if sum.len() as u64 <= steps {
                return Self::chebyshev(&sum);
            }
        }
        let step = |k| Step { scale: 1.0, minus: 0.0, weight: f32::from(u8::from(k == steps)) };
        Self { first: 0.0, steps: (1..=steps).map(step).collect() }
    }

    fn chebyshev(sum: &[f64]) -> Self {
        let step = |(k, &weight): (usize, &f64)| {
            let (scale, minus) = if k == 1 { (1.0, 0.0) } else { (2.0, 1.0) };
            Step { scale, minus, weight: weight as f32 }
        };
        Self { first: sum[0] as f32, steps: sum.iter().enumerate().skip(1).map(step).collect() }
    }

    /// The power of `matrix` times `count` maps, which are in its layout.
    ///
    /// By this thread, or by all, with the same result.
    pub fn apply(&self, matrix: &Banded, count: usize, maps: Vec<Wide>, alone: bool) -> Vec<Wide> {
        let first = |wide: &Wide| Wide(wide.0.map(|value| self.first * value));
        let sum = maps.iter().map(first).collect();
        let before = vec![Wide::default(); maps.len()];
        let mut state = State { matrix, count, buffers: [maps, before], sum };
        if alone {
            state.advance(&self.steps);
        } else {
            state.advance_together(&self.steps);
        }
        state.sum
    }
}

/// How many levels at once of `count` maps leave the rows in the cache.
pub fn depth(matrix: &Banded, count: usize) -> usize {
    let rim = matrix.strips.rim;
    let row = matrix.row_bytes() + 3 * count * matrix.strips.pitch() * size_of::<Wide>();
    ((CACHE / row).saturating_sub(2 * rim) / rim.max(1)).clamp(1, LEVELS)
}

/// Between products.
struct State<'a> {
    matrix: &'a Banded,
    /// Number of maps.
    count: usize,
    /// Levels of even and of odd number, the last one of each.
    buffers: [Vec<Wide>; 2],
    sum: Vec<Wide>,
}

impl State<'_> {
    /// Vectors of a row of all maps.
    fn pitch(&self) -> usize {
        self.count * self.matrix.strips.pitch()
    }

    /// Makes all products in this thread.
    fn advance(&mut self, steps: &[Step]) {
        let (rim, height, pitch) =
            (self.matrix.strips.rim, self.matrix.strips.height, self.pitch());
        let terms = self.matrix.terms(self.count);
        let depth = depth(self.matrix, self.count);
        for (turn, steps) in steps.chunks(depth).enumerate() {
            for front in 0..height + rim * (steps.len() - 1) {
                for (level, &step) in steps.iter().enumerate() {
                    let Some(y) = front.checked_sub(rim * level).filter(|&y| y < height) else {
                        continue;
                    };
                    let (x, out) = turned(&mut self.buffers, turn * depth + level);
                    let row = (y + rim) * pitch..(y + rim + 1) * pitch;
                    let results = (&mut out[row.clone()], &mut self.sum[row]);
                    self.matrix.row(y, (self.count, &terms), step, x, results);
                }
            }
        }
    }

    /// Makes all products one after the other, each with all threads.
    fn advance_together(&mut self, steps: &[Step]) {
        let (rim, height, pitch) =
            (self.matrix.strips.rim, self.matrix.strips.height, self.pitch());
        let terms = self.matrix.terms(self.count);
        let band = height.div_ceil(4 * rayon::current_num_threads()).max(1);
        let inside = rim * pitch..(rim + height) * pitch;
        for (level, &step) in steps.iter().enumerate() {
            let (x, out) = turned(&mut self.buffers, level);
            let rows = out[inside.clone()].par_chunks_exact_mut(pitch);
            let sums = self.sum[inside.clone()].par_chunks_exact_mut(pitch);
            rows.zip(sums).with_min_len(band).enumerate().for_each(|(y, results)| {
                self.matrix.row(y, (self.count, &terms), step, x, results);
            });
        }
    }
}

/// What level `number` is made from, and where it is put.
fn turned(buffers: &mut [Vec<Wide>; 2], number: usize) -> (&[Wide], &mut [Wide]) {
    let [even, odd] = buffers;
    if number.is_multiple_of(2) { (even, odd) } else { (odd, even) }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::label::affinity::affinities;

    #[test]
    fn levels_at_once_are_the_same_as_one_after_the_other() {
        let noise = |y: usize, x: usize| ((31 * y + 17 * x) % 23) as f32 / 23.0;
        let edge = Array2::from_shape_fn((41, 30), |(y, x)| noise(y, x));
        let matrix = affinities(edge.view(), 3, 2.0);
        let maps = matrix.strips.spread(edge.view(), 0.0);
        for steps in [1, 5, 64] {
            let power = Power::new(steps);
            let apply = |alone| power.apply(&matrix, 1, maps.clone(), alone);
            assert_eq!(apply(true), apply(false));
        }
    }
}
