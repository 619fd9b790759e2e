//! A symmetric matrix between the pixels of a map that couples each pixel with a few neighbours at
//! fixed offsets, and its product with several maps at once.
//!
//! Memory is offsets x pixels. One weight is stored for both directions of a pair, at its upper
//! pixel. Weights and maps have a rim of zeros wide enough that every shifted slice stays inside, so
//! the product is the same straight loop for every pixel.

use rayon::prelude::*;

use super::product::{LANES, LEAST_WEIGHT, Row, Step, Terms};

/// Where a pixel of the map stands in memory.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Rows of the map.
    pub height: usize,
    /// Columns of the map.
    pub width: usize,
    /// Width of the rim: the largest offset.
    pub rim: usize,
    /// Length of a row with its rims, full vectors.
    pub pitch: usize,
}

impl Layout {
    fn new(height: usize, width: usize, rim: usize) -> Self {
        let pitch = 2 * rim + width.next_multiple_of(LANES);
        Self { height, width, rim, pitch }
    }

    /// Length of `count` maps that are interleaved row by row, with rims above and below.
    pub fn len(&self, count: usize) -> usize {
        (self.height + 2 * self.rim) * count * self.pitch
    }

    /// Where row `y` of map `index` of `count` maps starts, behind its rim.
    pub fn row(&self, count: usize, index: usize, y: usize) -> usize {
        ((y + self.rim) * count + index) * self.pitch + self.rim
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Banded {
    /// Of the maps it is multiplied with.
    pub layout: Layout,
    /// `(down, right)` from the upper pixel of a pair to the lower one.
    offsets: Vec<(usize, isize)>,
    /// Row by row: one line for each offset, then the diagonal. There are rims above, none below.
    weights: Vec<f32>,
}

impl Banded {
    /// The diagonal is 1; `fill(offset, y, line)` sets the weights of the pairs whose upper pixel lies
    /// in row `y`. Those whose lower pixel would be outside stay 0: `line` has only the others, its
    /// first is in column `max(0, -dx)`.
    pub fn new(
        (height, width): (usize, usize),
        offsets: Vec<(usize, isize)>,
        fill: impl Fn(usize, usize, &mut [f32]) + Sync,
    ) -> Self {
        let rim = offsets.iter().map(|&(dy, dx)| dy.max(dx.unsigned_abs())).max().unwrap_or(0);
        let layout = Layout::new(height, width, rim);
        let mut weights = vec![0.0; (height + rim) * (offsets.len() + 1) * layout.pitch];
        let mut banded = Self { layout, offsets, weights: Vec::new() };
        banded.rows_of(&mut weights).for_each(|(y, row)| {
            for (index, line) in row.chunks_exact_mut(layout.pitch).enumerate() {
                match banded.sources(index, y) {
                    Some(columns) => fill(index, y, &mut line[columns]),
                    None if index == banded.offsets.len() => line[rim..][..width].fill(1.0),
                    None => {}
                }
            }
        });
        banded.weights = weights;
        banded
    }

    /// The part of a line whose pairs lie inside the map, if any.
    fn sources(&self, index: usize, y: usize) -> Option<std::ops::Range<usize>> {
        let &(dy, dx) = self.offsets.get(index)?;
        let Layout { height, width, rim, .. } = self.layout;
        let first = rim + usize::try_from(-dx).unwrap_or(0);
        let end = (rim + width).saturating_sub(usize::try_from(dx).unwrap_or(0));
        (y + dy < height && first < end).then_some(first..end)
    }

    /// Rows of weights inside the map, in parallel.
    fn rows_of<'a>(
        &self,
        weights: &'a mut [f32],
    ) -> impl IndexedParallelIterator<Item = (usize, &'a mut [f32])> + use<'a> {
        let length = (self.offsets.len() + 1) * self.layout.pitch;
        let rim = self.layout.rim * length;
        weights[rim..].par_chunks_exact_mut(length).enumerate()
    }

    /// Weights of all pairs, both directions and the diagonal counted: `(nonzero ones, their sum)`.
    pub fn census(&self) -> (usize, f64) {
        let lines = self.offsets.len() + 1;
        let mut census = (0, 0.0);
        for (index, line) in self.weights.chunks_exact(self.layout.pitch).enumerate() {
            let times = if index % lines == lines - 1 { 1 } else { 2 };
            census.0 += times * line.iter().filter(|&&weight| weight != 0.0).count();
            census.1 += times as f64 * line.iter().map(|&weight| f64::from(weight)).sum::<f64>();
        }
        census
    }

    /// Sums of the columns (or rows) as one map in this layout, 0 in the rims.
    pub fn degrees(&self) -> Vec<f64> {
        let Layout { pitch, rim, width, .. } = self.layout;
        let terms = self.terms(1);
        let mut degrees = vec![0.0; self.layout.len(1)];
        degrees.par_chunks_exact_mut(pitch).enumerate().for_each(|(row, line)| {
            if !(rim..rim + self.layout.height).contains(&row) {
                return;
            }
            let start = row * (self.offsets.len() + 1) * pitch + rim;
            for &(weight, _) in &terms.0 {
                let weights = &self.weights[start.strict_add_signed(weight)..][..width];
                for (sum, &weight) in line[rim..].iter_mut().zip(weights) {
                    *sum += f64::from(weight);
                }
            }
        });
        degrees
    }

    /// Multiplies the weight of every pair by the `factors` of both its pixels; what is negligible
    /// then becomes 0.
    pub fn scale(&mut self, factors: &[f64]) {
        let Layout { pitch, .. } = self.layout;
        let mut weights = std::mem::take(&mut self.weights);
        let diagonal = [(0usize, 0isize)];
        self.rows_of(&mut weights).for_each(|(y, row)| {
            let upper = (y + self.layout.rim) * pitch;
            let offsets = self.offsets.iter().chain(&diagonal);
            for (line, &(dy, dx)) in row.chunks_exact_mut(pitch).zip(offsets) {
                for (x, weight) in line.iter_mut().enumerate().filter(|(_, weight)| **weight != 0.0)
                {
                    let lower = (upper + x + dy * pitch).strict_add_signed(dx);
                    let factor = factors[upper + x] * factors[lower];
                    let scaled = (f64::from(*weight) * factor) as f32;
                    *weight = if scaled < LEAST_WEIGHT { 0.0 } else { scaled };
                }
            }
        });
        self.weights = weights;
    }

    /// What [`Banded::step`] needs for `count` maps.
    pub(super) fn terms(&self, count: usize) -> Terms {
        let pitch = self.layout.pitch as isize;
        let lines = self.offsets.len() as isize + 1;
        let pair = |(index, &(dy, dx)): (usize, &(usize, isize))| {
            let (index, dy) = (index as isize, dy as isize);
            let map = dy * count as isize * pitch + dx;
            [(index * pitch, map), ((index - dy * lines) * pitch - dx, -map)]
        };
        let diagonal = ((lines - 1) * pitch, 0);
        Terms(self.offsets.iter().enumerate().flat_map(pair).chain([diagonal]).collect())
    }

    /// For `count` maps in `x`, with this matrix `S`: `out = scale S x - minus out`, then
    /// `sum += weight out`. Rims stay zero.
    pub(super) fn step(
        &self,
        count: usize,
        terms: &Terms,
        step: Step,
        x: &[f32],
        out: &mut [f32],
        sum: &mut [f32],
    ) {
        let Layout { height, pitch, rim, .. } = self.layout;
        let inside = rim * count * pitch..(rim + height) * count * pitch;
        let rows = out[inside.clone()].par_chunks_exact_mut(count * pitch);
        let sums = sum[inside].par_chunks_exact_mut(count * pitch);
        let band = height.div_ceil(4 * rayon::current_num_threads()).max(1);
        rows.zip(sums).with_min_len(band).enumerate().for_each(|(y, (out, sum))| {
            let weights = (&self.weights[..], (y + rim) * (self.offsets.len() + 1) * pitch);
            let maps = (x, (y + rim) * count * pitch);
            Row { layout: self.layout, terms, step, weights, maps, out, sum }.compute(count);
        });
    }
}
