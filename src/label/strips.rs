//! Where the pixels of a map stand in vectors: each row is cut into sixteen strips, one for each lane.
//!
//! So the right neighbours of all pixels of a vector are the next vector: shifted slices stay aligned.
//! A row has a rim at both sides, where the neighbouring strips' first and last columns are repeated;
//! rows of zeros lie above and below.

use ndarray::ArrayView2;

use super::wide::{LANES, Wide};

/// Size of the maps, and where a pixel is.
#[derive(Clone, Copy, Debug)]
pub struct Strips {
    /// Rows of a map.
    pub height: usize,
    /// Columns of a map.
    pub width: usize,
    /// Width of the rims: the largest distance of neighbours in one direction.
    pub rim: usize,
    /// Columns of a strip, at least the rim's.
    pub columns: usize,
}

impl Strips {
    /// Of maps of this size.
    pub fn new((height, width): (usize, usize), rim: usize) -> Self {
        Self { height, width, rim, columns: width.div_ceil(LANES).max(rim).max(1) }
    }

    /// Vectors in a row with its rims.
    pub fn pitch(&self) -> usize {
        self.columns + 2 * self.rim
    }

    /// Vectors of `count` maps that are interleaved row by row, with rows above and below.
    pub fn len(&self, count: usize) -> usize {
        (self.height + 2 * self.rim) * count * self.pitch()
    }

    /// The vectors of row `y` of map `index` of `count` maps, without its rims.
    pub fn row(&self, count: usize, index: usize, y: usize) -> std::ops::Range<usize> {
        let start = ((y + self.rim) * count + index) * self.pitch() + self.rim;
        start..start + self.columns
    }

    /// The place and the lane of each pixel of a row.
    pub fn pixels(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let columns = self.columns;
        (0..LANES).flat_map(move |lane| (0..columns).map(move |place| (place, lane)))
    }

    /// Repeats the strips' ends in the rims of a row; `row` has these.
    pub fn mirror<T: Copy + Default>(&self, row: &mut [Wide<T>]) {
        let moved = |from: Wide<T>, by: isize| {
            let lane = |lane: usize| lane.checked_add_signed(by).and_then(|lane| from.0.get(lane));
            Wide(std::array::from_fn(|index| lane(index).copied().unwrap_or_default()))
        };
        for place in 0..self.rim {
            row[place] = moved(row[self.columns + place], -1);
            row[self.rim + self.columns + place] = moved(row[self.rim + place], 1);
        }
    }

    /// One map in strips, rims and all; `outside` stands beyond the map's borders.
    pub fn spread(&self, map: ArrayView2<f32>, outside: f32) -> Vec<Wide> {
        let mut all = vec![Wide([outside; LANES]); self.len(1)];
        let rows = all.chunks_exact_mut(self.pitch()).skip(self.rim);
        for (to, from) in rows.zip(map.rows()) {
            for (place, wide) in to.iter_mut().enumerate() {
                for (lane, value) in wide.0.iter_mut().enumerate() {
                    let column = (lane * self.columns + place).checked_sub(self.rim);
                    *value = column.and_then(|x| from.get(x)).copied().unwrap_or(outside);
                }
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    #[test]
    fn neighbours_are_the_next_vectors() {
        let map = Array2::from_shape_fn((3, 37), |(y, x)| (100 * y + x) as f32);
        let strips = Strips::new(map.dim(), 4);
        let all = strips.spread(map.view(), -1.0);
        for ((y, x), &value) in map.indexed_iter() {
            let (lane, place) = (x / strips.columns, x % strips.columns);
            for (dy, dx) in [(0, 0), (1, -4), (2, 4), (-1, 1)] {
                let other = (y.checked_add_signed(dy), x.checked_add_signed(dx));
                let other = other.0.zip(other.1).and_then(|at| map.get(at));
                let at = strips.row(1, 0, y).start + place;
                let at = at.strict_add_signed(dy * strips.pitch() as isize + dx);
                assert_eq!(all[at].0[lane], *other.unwrap_or(&-1.0), "{value} {dy} {dx}");
            }
        }
    }
}
