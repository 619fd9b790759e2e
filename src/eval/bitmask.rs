//! Masks as packed bits: the intersection of two is a handful of `popcount`s, over the words where both have
//! any.

use std::ops::Range;

use ndarray::ArrayView2;

use crate::vectors::widest;

/// One mask, row after row, 64 pixels a word.
#[derive(Clone, Debug)]
pub struct BitMask {
    words: Vec<u64>,
    area: u64,
    /// From the first word that is not zero to behind the last.
    used: Range<usize>,
}

impl BitMask {
    /// Packs `mask` `[h, w]`.
    pub fn new(mask: ArrayView2<bool>) -> Self {
        let mask = mask.as_standard_layout();
        let words = packed(mask.as_slice().expect("standard layout"));
        let start = words.iter().position(|&word| word != 0).unwrap_or(0);
        let end = words.iter().rposition(|&word| word != 0).map_or(0, |last| last + 1);
        let area = words[start..end].iter().map(|word| u64::from(word.count_ones())).sum();
        Self { words, area, used: start..end }
    }

    /// Number of set pixels.
    pub fn area(&self) -> u64 {
        self.area
    }

    /// Pixels set in both masks, which must have the same shape.
    pub fn intersection(&self, other: &Self) -> u64 {
        let start = self.used.start.max(other.used.start);
        let end = self.used.end.min(other.used.end).max(start);
        let (ours, theirs) = (&self.words[start..end], &other.words[start..end]);
        widest!(common(ours: &[u64], theirs: &[u64]) -> u64)
    }

    /// Intersection over union, divided in f64 and rounded to f32 as chainercv does; NaN for two empty masks.
    pub fn iou(&self, other: &Self) -> f32 {
        let both = self.intersection(other);
        let union = self.area + other.area - both;
        (both as f64 / union as f64) as f32
    }
}

#[inline(always)]
fn common(a: &[u64], b: &[u64]) -> u64 {
    a.iter().zip(b).map(|(a, b)| u64::from((a & b).count_ones())).sum()
}

fn packed(mask: &[bool]) -> Vec<u64> {
    let (words, rest) = mask.as_chunks::<64>();
    let mut packed: Vec<u64> = words.iter().map(word).collect();
    if !rest.is_empty() {
        let mut last = [false; 64];
        last[..rest.len()].copy_from_slice(rest);
        packed.push(word(&last));
    }
    packed
}

/// 64 pixels as bits, the first lowest.
fn word(pixels: &[bool; 64]) -> u64 {
    let (eights, _) = pixels.as_chunks::<8>();
    eights.iter().rev().fold(0, |word, eight| word << 8 | bits(*eight))
}

/// Eight pixels as eight bits, the first lowest: the multiplication moves the low bit of byte `i` to bit
/// `56 + i`, and no two meet.
fn bits(pixels: [bool; 8]) -> u64 {
    u64::from_le_bytes(pixels.map(u8::from)).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Zip};

    use super::*;

    #[test]
    fn agrees_with_counting_pixels() {
        let mask = |seed: usize| {
            Array2::from_shape_fn((13, 37), |(y, x)| {
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
