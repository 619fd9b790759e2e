//! A symmetric matrix between the pixels of a map that couples each pixel with a few neighbours at
//! fixed offsets, and its product with several maps at once.
//!
//! Memory is offsets x pixels. One weight is stored for both directions of a pair, at its upper
//! pixel, in [`strips`](super::strips). Lines of weights are longer than those of pixels by their
//! offset, so that from the lower pixel they are a shifted slice like any other.

use rayon::prelude::*;

use super::product::Row;
use super::strips::Strips;
use super::terms::{Step, Terms};
use super::wide::{LANES, Wide};
use crate::vectors::widest;

/// Weights below this count as 0: behind a strong boundary they would lead to numbers so small that
/// the processor takes a hundred times as long for them.
const LEAST_WEIGHT: f32 = 1e-12;

/// A weight for every pixel that has a neighbour at a certain offset.
#[derive(Clone, Copy, Debug)]
struct Line {
    /// Rows and columns from the upper pixel of a pair to the lower one; both 0 for the diagonal.
    offset: (usize, isize),
    /// Where its first pixel's weight is in a row of weights.
    start: usize,
}

impl Line {
    /// Vectors before those of the pixels, and behind them.
    fn margins(&self) -> (usize, usize) {
        (self.offset.1.max(0) as usize, self.offset.1.min(0).unsigned_abs())
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Banded {
    /// Of the maps it is multiplied with.
    pub strips: Strips,
    /// What a row of weights consists of.
    lines: Vec<Line>,
    /// Vectors in a row of weights.
    pitch: usize,
    /// Row by row; those of zeros are above, none below.
    weights: Vec<Wide>,
}

/// A line of weights to be set.
pub struct Filling<'a> {
    /// Which of the offsets.
    pub index: usize,
    /// Where the first weight's upper pixel stands among those of one map in strips.
    pub place: usize,
    /// One weight for every pixel from there on; 0 if it or its neighbour is outside.
    pub weights: &'a mut [Wide],
}

impl Banded {
    /// `offsets`, `(down, right)`, are those from the upper to the lower pixel of each pair, and
    /// `(0, 0)` for the diagonal; `fill` sets a line of weights.
    pub fn new(strips: Strips, offsets: &[(usize, isize)], fill: impl Fn(Filling) + Sync) -> Self {
        let (mut lines, mut pitch) = (Vec::with_capacity(offsets.len()), 0);
        for &offset in offsets {
            let (before, behind) = Line { offset, start: 0 }.margins();
            lines.push(Line { offset, start: pitch + before });
            pitch += before + strips.columns + behind;
        }
        let weights = vec![Wide::default(); (strips.height + strips.rim) * pitch];
        let mut banded = Self { strips, lines, pitch, weights };
        banded.for_each_line(|index, place, weights| fill(Filling { index, place, weights }));
        banded
    }

    /// Calls `work` with every line: its number, the place of the first upper pixel, its weights.
    fn for_each_line(&mut self, work: impl Fn(usize, usize, &mut [Wide]) + Sync) {
        let Self { strips, lines, pitch, weights } = self;
        let rows = weights[strips.rim * *pitch..].par_chunks_exact_mut(*pitch);
        rows.enumerate().for_each(|(y, row)| {
            let mut rest = row;
            for (index, line) in lines.iter().enumerate() {
                let (before, behind) = line.margins();
                let part = rest.split_off_mut(..before + strips.columns + behind);
                let part = part.expect("as long as all lines together");
                work(index, strips.row(1, 0, y).start - before, part);
            }
        });
    }

    /// Sums of the columns (or rows) as one map in strips, 0 outside.
    pub fn degrees(&self) -> Vec<Wide<f64>> {
        let Strips { height, rim, .. } = self.strips;
        let terms = &self.terms(1);
        let mut degrees = vec![Wide::default(); self.strips.len(1)];
        let rows = degrees.par_chunks_exact_mut(self.strips.pitch()).enumerate();
        rows.filter(|(row, _)| (rim..rim + height).contains(row)).for_each(|(row, sums)| {
            let start = row * self.pitch;
            let columns = self.strips.columns;
            let (weights, inner) = (&self.weights[..], &mut sums[rim..][..columns]);
            widest!(add_rows(weights: &[Wide], start: usize, terms: &Terms, inner: &mut [Wide<f64>]));
            self.strips.mirror(sums);
        });
        degrees
    }

    /// Multiplies the weight of every pair by the `factors` of both its pixels; what is negligible
    /// then becomes 0.
    pub fn scale(&mut self, factors: &[Wide<f64>]) {
        let pitch = self.strips.pitch();
        let offsets: Vec<_> = self.lines.iter().map(|line| line.offset).collect();
        self.for_each_line(|index, place, weights| {
            let (dy, dx) = offsets[index];
            let upper = &factors[place..];
            let lower = &factors[(place + dy * pitch).strict_add_signed(dx)..];
            widest!(scale_line(weights: &mut [Wide], upper: &[Wide<f64>], lower: &[Wide<f64>]));
        });
    }

    /// Where the neighbours of every pixel are in the weights and in `count` maps.
    pub(super) fn terms(&self, count: usize) -> Terms {
        let (pitch, row) = (self.pitch as isize, (count * self.strips.pitch()) as isize);
        let both = |line: &Line| {
            let ((dy, dx), start) = ((line.offset.0 as isize, line.offset.1), line.start as isize);
            let map = dy * row + dx;
            let lower = (line.offset != (0, 0)).then_some((start - dy * pitch - dx, -map));
            [(start, map)].into_iter().chain(lower)
        };
        Terms::new(self.lines.iter().flat_map(both).collect())
    }

    /// Bytes of a row of weights.
    pub(super) fn row_bytes(&self) -> usize {
        self.pitch * size_of::<Wide>()
    }

    /// For row `y` of `count` maps in `x`, with this matrix `S`: `out = scale S x - minus out`, then
    /// `sum += weight out`. `out` and `sum` are that row of all maps.
    pub(super) fn row(
        &self,
        y: usize,
        (count, terms): (usize, &Terms),
        step: Step,
        x: &[Wide],
        (out, sum): (&mut [Wide], &mut [Wide]),
    ) {
        let weights = (&self.weights[..], (y + self.strips.rim) * self.pitch);
        let maps = (x, self.strips.row(count, 0, y).start);
        Row { terms, strips: self.strips, step, weights, maps, out, sum }.compute(count);
    }

    /// Weights of all pairs, both directions and the diagonal counted: `(nonzero ones, their sum)`.
    pub fn census(&self) -> (usize, f64) {
        let (mut count, mut total) = (0, 0.0);
        for (line, row) in self
            .weights
            .chunks_exact(self.pitch)
            .flat_map(|row| self.lines.iter().map(move |line| (line, row)))
        {
            let times = if line.offset == (0, 0) { 1 } else { 2 };
            for &weight in row[line.start..][..self.strips.columns].iter().flat_map(|wide| &wide.0)
            {
                count += if weight != 0.0 { times } else { 0 };
                total += times as f64 * f64::from(weight);
            }
        }
        (count, total)
    }
}

/// Adds the weights of all neighbours; the first pixel's row of weights starts at `start`.
#[inline(always)]
fn add_rows(weights: &[Wide], start: usize, terms: &Terms, sums: &mut [Wide<f64>]) {
    for &(weight, _) in terms.places() {
        let weights = &weights[start.strict_add_signed(weight)..];
        for (sum, weight) in sums.iter_mut().zip(weights) {
            for lane in 0..LANES {
                sum.0[lane] += f64::from(weight.0[lane]);
            }
        }
    }
}

#[inline(always)]
fn scale_line(weights: &mut [Wide], upper: &[Wide<f64>], lower: &[Wide<f64>]) {
    for ((weight, upper), lower) in weights.iter_mut().zip(upper).zip(lower) {
        for lane in 0..LANES {
            let factor = upper.0[lane] * lower.0[lane];
            let scaled = (f64::from(weight.0[lane]) * factor) as f32;
            weight.0[lane] = if scaled < LEAST_WEIGHT { 0.0 } else { scaled };
        }
    }
}
