//! Where feature vectors lie in the permutohedral lattice: the corners of their simplices and their
//! keys (Adams, Baek, Davis 2010, pages 5-10); [`barycentric`](mod@super::barycentric) finds the corners.
//!
//! Points come in blocks, and every loop runs over the points of a block: it compiles to vectors.

#![expect(clippy::needless_range_loop, reason = "lanes by index: the shape that becomes vectors")]

use std::array;

use anyhow::{Result, anyhow};

use super::barycentric::{back_to_the_plane, barycentric, differences, nearest_cells, ranks_of};
use crate::Hint;

/// Points that are looked at together.
pub const BLOCK: usize = 64;

/// A number for each point of a block.
pub type Lanes<T> = [T; BLOCK];

/// The simplices of a block of points: `V` = dimensions + 1 corners each.
///
/// The coordinates of corner `r` of any simplex are `r` modulo `V`, hence corners of different numbers
/// are never the same vertex.
#[derive(Clone, Copy)]
pub struct Simplices<const V: usize> {
    /// By corner: its key.
    pub keys: [Lanes<u64>; V],
    /// By corner: its barycentric weight; those of a point sum to 1.
    pub weights: [Lanes<f32>; V],
}

impl<const V: usize> Simplices<V> {
    /// Not yet any point's.
    pub fn empty() -> Self {
        Self { keys: [[0; BLOCK]; V], weights: [[0.0; BLOCK]; V] }
    }
}

/// Scales of the features and numbering of the vertices.
///
/// A vertex whose coordinates are `r` modulo `V` has the reduced coordinates `(c - r) / V`. The first
/// `D` of them, each within its own range, are the digits of its key; the last follows from them.
pub struct Grid<const D: usize> {
    scales: [f32; D],
    /// Lowest reduced coordinate of each axis.
    lowest: [i32; D],
    /// What a step of 1 along each axis adds to a key.
    strides: [u64; D],
    /// Whether all keys are below 2^32.
    pub narrow: bool,
}

impl<const D: usize> Grid<D> {
    /// For features from 0 to `largest`.
    ///
    /// # Errors
    /// When the features are so large that the keys of vertices need more than 64 bits.
    pub fn new(largest: &[f32; D]) -> Result<Self> {
        let scales = feature_scales::<D>();
        let mut grid = Self { scales, lowest: [0; D], strides: [0; D], narrow: false };
        let scaled: [f32; D] = array::from_fn(|j| largest[j] * scales[j]);
        let mut keys = 1.0;
        for axis in 0..D {
            let above: f32 = scaled[axis..].iter().sum();
            let below = if axis > 0 { -(axis as f32) * scaled[axis - 1] } else { 0.0 };
            // Rounding and moving back to the plane reach one cell further; corners one down and
            // blur neighbours one more either way; and one to be safe.
            let cells = [below, above].map(|end| f64::from(end) / (D + 1) as f64);
            let (lowest, highest) = (cells[0].floor() - 4.0, cells[1].ceil() + 4.0);
            grid.lowest[axis] = lowest as i32;
            grid.strides[axis] = keys as u64;
            keys *= highest - lowest + 1.0;
        }
        let few = keys < 1.8e19;
        let too_many = || anyhow!("the CRF's lattice needs more than 2^64 vertices for this photo");
        few.then_some(()).ok_or_else(too_many).hint("raise the deviations (crf *_xy, *_rgb)")?;
        grid.narrow = keys < f64::from(u32::MAX);
        Ok(grid)
    }

    /// What leads from a vertex of remainder `r` to its neighbour along `axis`, which has the remainder
    /// `r - 1` (of 0: `D`); add it wrapping. Minus 1 everywhere, plus `D` on the axis itself.
    pub fn blur_step(&self, axis: usize, remainder: usize) -> u64 {
        let along = if axis < D { self.strides[axis] } else { 0 };
        match remainder {
            0 => along.wrapping_sub(self.strides.iter().sum()),
            _ => along,
        }
    }

    /// Finds the simplices of a block of points.
    #[inline(always)]
    pub fn enclose<const V: usize>(
        &self,
        features: &[Lanes<f32>; D],
        simplices: &mut Simplices<V>,
    ) {
        const { assert!(V == D + 1, "a simplex has one corner more than dimensions") };
        let elevated = self.elevate(features);
        let mut cells = nearest_cells(&elevated);
        let mut ranks = ranks_of(&differences(&elevated, &cells));
        back_to_the_plane(&mut cells, &mut ranks);
        self.corner_keys(&cells, &ranks, &mut simplices.keys);
        barycentric(&differences(&elevated, &cells), &ranks, &mut simplices.weights);
    }

    /// Lifts the features onto the plane of coordinate sum zero in `V` dimensions (page 5).
    #[inline(always)]
    fn elevate<const V: usize>(&self, features: &[Lanes<f32>; D]) -> [Lanes<f32>; V] {
        let mut elevated = [[0.0; BLOCK]; V];
        let mut sum = [0.0; BLOCK];
        for j in (1..V).rev() {
            for lane in 0..BLOCK {
                let scaled = features[j - 1][lane] * self.scales[j - 1];
                elevated[j][lane] = sum[lane] - j as f32 * scaled;
                sum[lane] += scaled;
            }
        }
        elevated[0] = sum;
        elevated
    }

    /// Corner `r` is the origin `V cells` plus `r` everywhere, minus `V` where the rank exceeds
    /// `D - r`. Reduced: the cells, minus 1 there.
    #[inline(always)]
    fn corner_keys<const V: usize>(
        &self,
        cells: &[Lanes<i32>; V],
        ranks: &[Lanes<i32>; V],
        keys: &mut [Lanes<u64>; V],
    ) {
        let mut key = [0; BLOCK];
        for axis in 0..D {
            for lane in 0..BLOCK {
                let digit = (cells[axis][lane] - self.lowest[axis]) as u32;
                key[lane] += u64::from(digit) * self.strides[axis];
            }
        }
        for (r, corner) in keys.iter_mut().enumerate() {
            *corner = key;
            for axis in 0..D {
                for lane in 0..BLOCK {
                    let next = ranks[axis][lane] == (D - r) as i32;
                    key[lane] -= if next { self.strides[axis] } else { 0 };
                }
            }
        }
    }
}

/// Scales of the `D` features that give the lattice's blur a standard deviation of 1 (page 6).
fn feature_scales<const D: usize>() -> [f32; D] {
    let deviation = ((2.0f64 / 3.0).sqrt() * (D + 1) as f64) as f32;
    array::from_fn(|j| (1.0 / (((j + 2) * (j + 1)) as f64).sqrt() * f64::from(deviation)) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGEST: [f32; 5] = [10.0, 7.5, 51.0, 51.0, 51.0];

    /// Features all over the place, some on borders of cells.
    fn features(seed: usize) -> [Lanes<f32>; 5] {
        array::from_fn(|axis| {
            array::from_fn(|lane| {
                let step = (lane + BLOCK * seed) * (axis * 31 + 7) % 102;
                LARGEST[axis] * step as f32 / 102.0
            })
        })
    }

    fn enclosed(features: &[Lanes<f32>; 5]) -> (Grid<5>, Simplices<6>) {
        let (grid, mut simplices) = (Grid::new(&LARGEST).unwrap(), Simplices::empty());
        grid.enclose(features, &mut simplices);
        (grid, simplices)
    }

    /// Coordinate `axis` of a vertex of remainder `r`.
    fn coordinate(grid: &Grid<5>, key: u64, axis: usize, r: usize) -> i64 {
        let above = grid.strides.get(axis + 1).map_or(key, |stride| key % stride);
        6 * ((above / grid.strides[axis]) as i64 + i64::from(grid.lowest[axis])) + r as i64
    }

    #[test]
    fn weights_reproduce_the_elevated_points() {
        for seed in 0..8 {
            let features = features(seed);
            let (grid, simplices) = enclosed(&features);
            let elevated: [Lanes<f32>; 6] = grid.elevate(&features);
            for lane in 0..BLOCK {
                let weights = simplices.weights.map(|weights| weights[lane]);
                assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-5);
                assert!(weights.iter().all(|&weight| weight > -1e-4));
                for (axis, expected) in elevated[..5].iter().enumerate() {
                    let corner = |r: usize| coordinate(&grid, simplices.keys[r][lane], axis, r);
                    let mean: f32 = (0..6).map(|r| corner(r) as f32 * weights[r]).sum();
                    assert!((mean - expected[lane]).abs() < 1e-3, "{mean}, not {}", expected[lane]);
                }
            }
        }
    }

    #[test]
    fn corners_are_blur_neighbours_in_a_ring() {
        let (grid, simplices) = enclosed(&features(3));
        for lane in 0..BLOCK {
            let mut axes: Vec<usize> = (0..6)
                .map(|r| {
                    let (key, next) = (simplices.keys[r][lane], simplices.keys[(r + 5) % 6][lane]);
                    let leads = |axis: &usize| key.wrapping_add(grid.blur_step(*axis, r)) == next;
                    (0..6).find(leads).expect("a step along an axis")
                })
                .collect();
            axes.sort_unstable();
            assert_eq!(axes, [0, 1, 2, 3, 4, 5]);
        }
    }

    #[test]
    fn a_blur_step_takes_one_of_each_coordinate_and_adds_the_dimension_to_its_own() {
        let (grid, simplices) = enclosed(&features(5));
        for (r, keys) in simplices.keys.iter().enumerate() {
            for axis in 0..6 {
                let next = keys[7].wrapping_add(grid.blur_step(axis, r));
                for other in 0..5 {
                    let step = coordinate(&grid, next, other, (r + 5) % 6)
                        - coordinate(&grid, keys[7], other, r);
                    assert_eq!(step, if other == axis { 5 } else { -1 });
                }
            }
        }
    }

    #[test]
    fn keys_are_narrow_for_usual_photos_and_refused_for_absurd_ones() {
        assert!(Grid::new(&LARGEST).unwrap().narrow);
        assert!(!Grid::new(&LARGEST.map(|most| 10.0 * most)).unwrap().narrow);
        assert!(Grid::new(&LARGEST.map(|most| 1e4 * most)).is_err());
    }
}
