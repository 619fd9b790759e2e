//! COCO's run-length encoding: column-major counts that start with the zeros, and their compressed text (a
//! port of `rleToString` and `rleFrString` of cocoapi's `maskApi.c`).

use anyhow::{Context, Result, ensure};
use ndarray::{Array2, ArrayView2};

/// A mask as run lengths, alternately of zeros and ones, down the columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rle {
    height: usize,
    width: usize,
    counts: Vec<u32>,
}

impl Rle {
    /// Encodes `mask` `[h, w]`.
    pub fn new(mask: ArrayView2<bool>) -> Self {
        let (height, width) = mask.dim();
        let (mut counts, mut run, mut value) = (Vec::new(), 0, false);
        for &pixel in mask.t() {
            if pixel != value {
                counts.push(std::mem::take(&mut run));
                value = pixel;
            }
            run += 1;
        }
        counts.push(run);
        Self { height, width, counts }
    }

    /// Takes run lengths as they are.
    ///
    /// # Errors
    /// When they don't add up to `height * width`.
    pub fn from_counts(height: usize, width: usize, counts: Vec<u32>) -> Result<Self> {
        let pixels: u64 = counts.iter().map(|&run| u64::from(run)).sum();
        let agrees = height.checked_mul(width).is_some_and(|size| size as u64 == pixels);
        ensure!(agrees, "run lengths cover {pixels} pixels, the image has {height} x {width}");
        Ok(Self { height, width, counts })
    }

    /// Takes runs of ones, column-major, ascending; runs that touch are joined, empty ones dropped.
    pub(super) fn from_runs(height: usize, width: usize, runs: &[(usize, usize)]) -> Self {
        let (mut counts, mut end) = (vec![0u32], 0);
        for &(first, last) in runs.iter().filter(|(first, last)| first < last) {
            if first > end || counts.len() == 1 {
                *counts.last_mut().expect("there is a run of zeros at least") +=
                    (first - end) as u32;
                counts.push(0);
                counts.push(0);
            }
            let (first, at) = (first.max(end), counts.len() - 2);
            counts[at] += last.saturating_sub(first) as u32;
            end = end.max(last);
        }
        *counts.last_mut().expect("there is a run of zeros at least") +=
            (height * width - end) as u32;
        if counts.len() > 1 && counts.last() == Some(&0) {
            counts.pop();
        }
        Self { height, width, counts }
    }

    /// Decodes compressed text.
    ///
    /// # Errors
    /// When the text is cut short, holds other characters, or does not cover the image.
    pub fn from_text(height: usize, width: usize, text: &str) -> Result<Self> {
        let mut bytes = text.bytes();
        let mut counts: Vec<u32> = Vec::new();
        while let Some(first) = bytes.next() {
            let mut run = number(first, &mut bytes)?;
            if counts.len() > 2 {
                run += i64::from(counts[counts.len() - 2]);
            }
            counts.push(u32::try_from(run).with_context(|| format!("run length {run}"))?);
        }
        Self::from_counts(height, width, counts)
    }

    /// Compressed text: differences to the run before the last, 5 bits a character.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (at, &run) in self.counts.iter().enumerate() {
            let before = if at > 2 { i64::from(self.counts[at - 2]) } else { 0 };
            push_number(&mut text, i64::from(run) - before);
        }
        text
    }

    /// The run lengths, zeros first (0 if the first pixel is set).
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// Height and width.
    pub fn size(&self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// Number of set pixels.
    pub fn area(&self) -> u64 {
        self.counts.iter().skip(1).step_by(2).map(|&run| u64::from(run)).sum()
    }

    /// Box x, y, width, height in whole pixels; all 0 for an empty mask.
    pub fn bbox(&self) -> [u32; 4] {
        let (mut left, mut right, mut top, mut bottom) = (usize::MAX, 0, usize::MAX, 0);
        for (start, end) in self.runs() {
            let (first, last) = (start / self.height, (end - 1) / self.height);
            (left, right) = (left.min(first), right.max(last + 1));
            if first == last {
                top = top.min(start % self.height);
                bottom = bottom.max((end - 1) % self.height + 1);
            } else {
                (top, bottom) = (0, self.height);
            }
        }
        if right == 0 {
            return [0; 4];
        }
        [left, top, right - left, bottom - top].map(|side| side as u32)
    }

    /// The mask `[h, w]`.
    pub fn mask(&self) -> Array2<bool> {
        let mut columns = vec![false; self.height * self.width];
        for (start, end) in self.runs() {
            columns[start..end].fill(true);
        }
        let mask = Array2::from_shape_vec((self.width, self.height), columns);
        mask.expect("counts cover the image: checked when made").reversed_axes()
    }

    /// Pixels set in both masks, which must have the same size.
    pub fn intersection(&self, other: &Self) -> u64 {
        let (mut ours, mut theirs) = (self.runs().peekable(), other.runs().peekable());
        let mut shared = 0;
        while let (Some(&(start, end)), Some(&(first, last))) = (ours.peek(), theirs.peek()) {
            shared += end.min(last).saturating_sub(start.max(first)) as u64;
            if end <= last {
                ours.next();
            } else {
                theirs.next();
            }
        }
        shared
    }

    /// Gives the pixels of the mask a value in `map`, which must have the mask's size.
    pub fn paint(&self, map: &mut Array2<u8>, value: u8) {
        for at in self.runs().flat_map(|(start, end)| start..end) {
            map[[at % self.height, at / self.height]] = value;
        }
    }

    /// Start and end of the runs of ones, column-major; none is empty.
    fn runs(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let ends = self.counts.iter().scan(0, |end, &run| {
            let start = *end;
            *end += run as usize;
            Some((start, *end))
        });
        ends.skip(1).step_by(2).filter(|(start, end)| start < end)
    }
}

/// 5 bits a character from the lowest on, bit 5 says that more follow, the last bit 4 is the sign.
fn push_number(text: &mut String, mut value: i64) {
    loop {
        let bits = (value & 0x1f) as u8;
        value >>= 5;
        let more = value != if bits & 0x10 != 0 { -1 } else { 0 };
        text.push(char::from(48 + bits + if more { 0x20 } else { 0 }));
        if !more {
            return;
        }
    }
}

fn number(first: u8, rest: &mut impl Iterator<Item = u8>) -> Result<i64> {
    let (mut value, mut shift, mut byte) = (0i64, 0, first);
    loop {
        ensure!((48..112).contains(&byte), "character {byte:#x} is not part of an RLE text");
        ensure!(shift < 40, "a run length of more than 40 bits");
        let bits = i64::from(byte - 48);
        value |= (bits & 0x1f) << shift;
        shift += 5;
        if bits & 0x20 == 0 {
            return Ok(if bits & 0x10 != 0 { value | (-1 << shift) } else { value });
        }
        byte = rest.next().context("the RLE text ends within a number")?;
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn columns_first_zeros_first() {
        let rle = Rle::new(array![[true, false, false], [true, true, false]].view());
        assert_eq!((rle.counts(), rle.area(), rle.bbox()), (&[0, 2, 1, 1, 2][..], 3, [0, 0, 2, 2]));
        assert_eq!(Rle::new(array![[false, false]].view()).bbox(), [0; 4]);
    }

    #[test]
    fn broken_text_is_an_error() {
        for text in ["", "\u{7f}", "P", "PPPPPPPPPPPPPPPPPPP", "1", "O"] {
            assert!(Rle::from_text(3, 3, text).is_err(), "{text:?}");
        }
        assert!(Rle::from_counts(usize::MAX, 2, vec![1]).is_err());
    }

    proptest! {
        #[test]
        fn text_and_mask_survive(
            height in 1usize..20, width in 1usize..20, bits in prop::collection::vec(any::<bool>(), 400),
        ) {
            let mask = Array2::from_shape_fn((height, width), |(y, x)| bits[y * 20 + x]);
            let rle = Rle::new(mask.view());
            prop_assert_eq!(&rle.mask(), &mask);
            prop_assert_eq!(&Rle::from_text(height, width, &rle.text()).unwrap(), &rle);
            let area = mask.iter().filter(|set| **set).count() as u64;
            prop_assert_eq!(rle.area(), area);
            let runs: Vec<_> = rle.runs().collect();
            prop_assert_eq!(&Rle::from_runs(height, width, &runs), &rle);
        }

        #[test]
        fn intersections_are_shared_pixels(bits in prop::collection::vec(any::<(bool, bool)>(), 35)) {
            let first = Array2::from_shape_fn((5, 7), |(y, x)| bits[y * 7 + x].0);
            let second = Array2::from_shape_fn((5, 7), |(y, x)| bits[y * 7 + x].1);
            let shared = bits.iter().filter(|(a, b)| *a && *b).count() as u64;
            let (first, second) = (Rle::new(first.view()), Rle::new(second.view()));
            prop_assert_eq!(first.intersection(&second), shared);
        }
    }
}
