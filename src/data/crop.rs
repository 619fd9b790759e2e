//! Square crops: which part of a picture goes where in the frame (upstream's `random_crop`,
//! `top_left_crop`). A picture smaller than the frame leaves the rest to a fill value.

use std::ops::Range;

use ndarray::{Array, ArrayView, ArrayViewMut, Dimension};
use rand::{Rng, RngExt};

/// A rectangle of the picture and, of the same size, its place in the frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crop {
    /// Side of the square frame.
    pub side: usize,
    /// Rows and columns of the frame that show the picture.
    pub frame: [Range<usize>; 2],
    /// Rows and columns of the picture that are shown.
    pub picture: [Range<usize>; 2],
}

impl Crop {
    /// The picture's top left corner in the frame's top left corner.
    pub fn top_left((h, w): (usize, usize), side: usize) -> Self {
        Self::at((h, w), side, [(0, 0); 2])
    }

    /// A uniformly drawn position, of a too small picture inside the frame too; the horizontal
    /// position is drawn first.
    pub fn random((h, w): (usize, usize), side: usize, rng: &mut impl Rng) -> Self {
        let mut offsets = |length: usize| match length > side {
            true => (0, rng.random_range(0..=length - side)),
            false => (rng.random_range(0..=side - length), 0),
        };
        let columns = offsets(w);
        let rows = offsets(h);
        Self::at((h, w), side, [rows, columns])
    }

    /// From the offsets in (frame, picture) of rows and columns.
    fn at((h, w): (usize, usize), side: usize, [rows, columns]: [(usize, usize); 2]) -> Self {
        let shown = |start: usize, length: usize| start..start + length.min(side);
        Self {
            side,
            frame: [shown(rows.0, h), shown(columns.0, w)],
            picture: [shown(rows.1, h), shown(columns.1, w)],
        }
    }

    /// The crop of a picture `[H, W]` or `[H, W, C]`; what it does not cover is `fill`.
    pub fn cut<T: Copy, D: Dimension>(&self, picture: ArrayView<T, D>, fill: T) -> Array<T, D> {
        let mut shape = picture.raw_dim();
        shape[0] = self.side;
        shape[1] = self.side;
        let mut out = Array::from_elem(shape, fill);
        let mut place = out.view_mut();
        narrow(&mut place, &self.frame);
        place.assign(&self.shown(picture));
        out
    }

    /// The part of a picture `[H, W, ..]` that is shown.
    pub fn shown<'a, T, D: Dimension>(
        &self,
        mut picture: ArrayView<'a, T, D>,
    ) -> ArrayView<'a, T, D> {
        for (axis, range) in self.picture.iter().enumerate() {
            picture.slice_axis_inplace(ndarray::Axis(axis), range.clone().into());
        }
        picture
    }
}

fn narrow<T, D: Dimension>(view: &mut ArrayViewMut<T, D>, ranges: &[Range<usize>; 2]) {
    for (axis, range) in ranges.iter().enumerate() {
        view.slice_axis_inplace(ndarray::Axis(axis), range.clone().into());
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn every_position_is_drawn_and_fits() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..300 {
            let crop = Crop::random((3, 8), 5, &mut rng);
            assert!(crop.frame[0].end <= 5 && crop.frame[1] == (0..5));
            assert!(crop.picture[0] == (0..3) && crop.picture[1].end <= 8);
            seen.insert((crop.frame[0].start, crop.picture[1].start));
        }
        assert_eq!(seen.len(), 3 * 4);
    }

    #[test]
    fn a_small_picture_is_padded_at_the_bottom_right() {
        let label = Array2::from_elem((2, 3), 7u8);
        let out = Crop::top_left((2, 3), 4).cut(label.view(), 255);
        assert_eq!(out.iter().filter(|&&v| v == 7).count(), 6);
        assert_eq!((out[[1, 2]], out[[2, 2]], out[[1, 3]]), (7, 255, 255));
    }
}
