//! Bilinear resizing as PyTorch does it: `align_corners=False`, f32 coordinates, no antialiasing.
//!
//! Both axes are separable: rows are stretched once, then blended in pairs.

use std::ops::Range;

use ndarray::{Array2, Array3, ArrayView3};
use rayon::prelude::*;

/// Height and width.
pub type Size = (usize, usize);

/// Resizes `[C,h,w]` to `[C,H,W]` with `size = (H, W)`.
pub fn resize(maps: ArrayView3<f32>, size: Size) -> Array3<f32> {
    resize_cut(maps, size, size)
}

/// Four times as large, then cut at the right and bottom to `size`.
pub fn upscale4(maps: ArrayView3<f32>, size: Size) -> Array3<f32> {
    let (_, h, w) = maps.dim();
    resize_cut(maps, (4 * h, 4 * w), size)
}

/// Resizes to `full` but computes only the top left part of size `cut`.
///
/// A `cut` beyond `full` is limited to it; an empty map gives zeros.
pub fn resize_cut(maps: ArrayView3<f32>, full: Size, cut: Size) -> Array3<f32> {
    let cut = (cut.0.min(full.0), cut.1.min(full.1));
    let mut out = Array3::zeros((maps.dim().0, cut.0, cut.1));
    if maps.is_empty() || out.is_empty() {
        return out;
    }
    let stretched = Stretched::new(maps, full, cut);
    let target = out.as_slice_mut().expect("fresh arrays are contiguous");
    target.par_chunks_mut(cut.1).with_min_len(16).enumerate().for_each(|(i, line)| {
        let row = stretched.row(i / cut.0, i % cut.0);
        line.iter_mut().zip(row).for_each(|(out, value)| *out = value);
    });
    out
}

/// Maps that have their final width; the rows of the final height are made one by one.
pub struct Stretched {
    rows: Taps,
    maps: Array3<f32>,
    /// `(channel, row)`: the highest value of each row of `maps`; NaN does not count.
    highest: Array2<f32>,
}

impl Stretched {
    /// For results of size `full`, of which only the part `cut` is asked for. The maps are not empty.
    pub fn new(maps: ArrayView3<f32>, full: Size, cut: Size) -> Self {
        let (channels, h, w) = maps.dim();
        let rows = Taps::new(h, full.0, cut.0);
        let columns = Taps::new(w, full.1, cut.1);
        let mut stretched = Array3::zeros((channels, h, cut.1));
        let mut highest = Array2::from_elem((channels, h), f32::NEG_INFINITY);
        let maps = maps.as_standard_layout();
        let sources = maps.as_slice().expect("standard layout").par_chunks_exact(w);
        let targets = stretched.as_slice_mut().expect("fresh arrays are contiguous");
        let highs = highest.as_slice_mut().expect("fresh arrays are contiguous").par_iter_mut();
        let targets = targets.par_chunks_exact_mut(cut.1).zip(highs).with_min_len(32);
        targets.zip(sources).for_each(|((target, highest), row)| {
            for (out, tap) in target.iter_mut().zip(&columns.0) {
                *out = tap.weights[0] * row[tap.low] + tap.weights[1] * row[tap.high];
            }
            // Blends of a row are not above it, but rounding may be.
            let above = |highest: f32, &value: &f32| if value > highest { value } else { highest };
            *highest = row.iter().fold(*highest, above);
        });
        Self { rows, maps: stretched, highest }
    }

    /// How many maps there are.
    pub fn channels(&self) -> usize {
        self.maps.dim().0
    }

    /// No value of row `y` of the result for `channel` is above this, but for rounding.
    pub fn bound(&self, channel: usize, y: usize) -> f32 {
        let Tap { low, high, .. } = self.rows.0[y];
        self.highest[[channel, low]].max(self.highest[[channel, high]])
    }

    /// The columns of row `y` outside of which no value is above `limit`, but for rounding.
    pub fn above(&self, channel: usize, y: usize, limit: f32) -> Range<usize> {
        let Tap { low, high, .. } = self.rows.0[y];
        let part = |row: usize| {
            if self.highest[[channel, row]] <= limit {
                return None;
            }
            let line = self.line(channel, row);
            let first = line.iter().position(|&value| value > limit)?;
            let last = line.iter().rposition(|&value| value > limit)?;
            Some(first..last + 1)
        };
        match (part(low), part(high)) {
            (Some(a), Some(b)) => a.start.min(b.start)..a.end.max(b.end),
            (a, b) => a.or(b).unwrap_or(0..0),
        }
    }

    fn line(&self, channel: usize, row: usize) -> &[f32] {
        let (_, h, w) = self.maps.dim();
        let maps = self.maps.as_slice().expect("fresh arrays are contiguous");
        &maps[(channel * h + row) * w..][..w]
    }

    /// Row `y` of the result for `channel`.
    pub fn row(&self, channel: usize, y: usize) -> impl Iterator<Item = f32> + '_ {
        let ([low, high], weights) = self.blend(channel, y, 0..self.maps.dim().2);
        low.iter().zip(high).map(move |(a, b)| weights[0] * a + weights[1] * b)
    }

    /// The two rows that some columns of row `y` are blended of, and their weights.
    pub fn blend(
        &self,
        channel: usize,
        y: usize,
        columns: Range<usize>,
    ) -> ([&[f32]; 2], [f32; 2]) {
        let Tap { low, high, weights } = self.rows.0[y];
        ([low, high].map(|row| &self.line(channel, row)[columns.clone()]), weights)
    }
}

/// The two source positions of one output position.
#[derive(Clone, Copy)]
struct Tap {
    low: usize,
    high: usize,
    weights: [f32; 2],
}

/// The taps of the first `count` of `output` positions.
struct Taps(Vec<Tap>);

impl Taps {
    fn new(input: usize, output: usize, count: usize) -> Self {
        let scale = input as f32 / output as f32;
        let tap = |position: usize| {
            let source = (scale * (position as f32 + 0.5) - 0.5).max(0.0);
            let low = (source as usize).min(input - 1);
            let fraction = (source - low as f32).clamp(0.0, 1.0);
            Tap { low, high: (low + 1).min(input - 1), weights: [1.0 - fraction, fraction] }
        };
        Self((0..count).map(tap).collect())
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, array, s};

    use super::*;

    #[test]
    fn the_same_size_changes_nothing() {
        let map = Array3::from_shape_fn((2, 3, 5), |(c, y, x)| (c * 17 + y * 5 + x) as f32);
        assert_eq!(resize(map.view(), (3, 5)), map);
    }

    #[test]
    fn doubling_a_row_by_hand() {
        let map = array![[[0.0, 4.0]]];
        assert_eq!(resize(map.view(), (1, 4)), array![[[0.0, 1.0, 3.0, 4.0]]]);
    }

    #[test]
    fn cutting_equals_resizing_then_slicing() {
        let map = Array3::from_shape_fn((2, 5, 4), |(c, y, x)| ((c + 3 * y + 7 * x) % 11) as f32);
        let whole = resize(map.view(), (20, 16));
        assert_eq!(upscale4(map.view(), (18, 13)), whole.slice(s![.., ..18, ..13]));
    }

    #[test]
    fn empty_maps_give_empty_maps() {
        assert_eq!(resize(Array3::zeros((0, 3, 3)).view(), (6, 6)).dim(), (0, 6, 6));
        assert_eq!(
            resize(Array3::zeros((1, 0, 3)).view(), (2, 2)),
            Array3::<f32>::zeros((1, 2, 2))
        );
    }
}
