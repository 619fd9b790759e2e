//! Masks as packed bits: the intersection of two is a handful of `popcount`s, none at all when their bounding
//! boxes do not meet.

use std::ops::Range;

use ndarray::ArrayView2;

/// One mask, row after row, 64 pixels a word.
#[derive(Clone, Debug)]
pub struct BitMask {
    width: usize,
    words: Vec<u64>,
    area: u64,
    rows: Range<usize>,
    columns: Range<usize>,
}

impl BitMask {
    /// Packs `mask` `[h, w]`.
    pub fn new(mask: ArrayView2<bool>) -> Self {
        let (height, width) = mask.dim();
        let mut words = vec![0u64; (height * width).div_ceil(64)];
        let (mut rows, mut columns) = (0..0, 0..0);
        for ((y, x), _) in mask.indexed_iter().filter(|(_, set)| **set) {
            let at = y * width + x;
            words[at / 64] |= 1 << (at % 64);
            extend(&mut rows, y);
            extend(&mut columns, x);
        }
        let area = words.iter().map(|word| u64::from(word.count_ones())).sum();
        Self { width, words, area, rows, columns }
    }

    /// Number of set pixels.
    pub fn area(&self) -> u64 {
        self.area
    }

    /// Pixels set in both masks, which must have the same shape.
    pub fn intersection(&self, other: &Self) -> u64 {
        let rows = shared(&self.rows, &other.rows);
        if rows.is_empty() || shared(&self.columns, &other.columns).is_empty() {
            return 0;
        }
        let words = rows.start * self.width / 64..(rows.end * self.width).div_ceil(64);
        let pairs = self.words[words.clone()].iter().zip(&other.words[words]);
        pairs.map(|(a, b)| u64::from((a & b).count_ones())).sum()
    }

    /// Intersection over union, divided in f64 and rounded to f32 as chainercv does; NaN for two empty masks.
    pub fn iou(&self, other: &Self) -> f32 {
        let both = self.intersection(other);
        let union = self.area + other.area - both;
        (both as f64 / union as f64) as f32
    }
}

fn extend(range: &mut Range<usize>, at: usize) {
    let start = if range.end == 0 { at } else { range.start.min(at) };
    *range = start..range.end.max(at + 1);
}

fn shared(a: &Range<usize>, b: &Range<usize>) -> Range<usize> {
    a.start.max(b.start)..a.end.min(b.end)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Zip};

    use super::*;

    #[test]
    fn agrees_with_counting_pixels() {
        let mask = |seed: usize| {
            Array2::from_shape_fn((13, 17), |(y, x)| {
                (seed..seed + 6).contains(&y) && (y * 31 + x * 17) % (seed + 2) < 2
            })
        };
        for (a, b) in [(0, 0), (0, 3), (1, 5), (2, 8), (5, 4)] {
            let (a, b) = (mask(a), mask(b));
            let count = |f: fn(bool, bool) -> bool| {
                Zip::from(&a).and(&b).fold(0u64, |n, &a, &b| n + u64::from(f(a, b)))
            };
            let (packed_a, packed_b) = (BitMask::new(a.view()), BitMask::new(b.view()));
            let expected = (count(|a, b| a && b) as f64 / count(|a, b| a || b) as f64) as f32;
            assert_eq!(packed_a.iou(&packed_b), expected);
        }
    }

    #[test]
    fn empty_masks_have_no_iou() {
        let empty = BitMask::new(Array2::from_elem((3, 4), false).view());
        let full = BitMask::new(Array2::from_elem((3, 4), true).view());
        assert!(empty.iou(&empty).is_nan());
        assert_eq!(empty.iou(&full), 0.0);
        assert_eq!((full.area(), full.iou(&full)), (12, 1.0));
    }
}
