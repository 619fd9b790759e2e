//! Which of the walked maps is highest at every pixel of the photo.
//!
//! The maps are a quarter of the photo's size and mostly far below the threshold. Enlarging is blending of
//! two rows, and a blend is never above both: rows and parts of rows that can't hold the maximum or can't
//! pass the threshold are left out, without any effect. No map is ever stored at full size.

use ndarray::{Array2, ArrayView3, Axis};
use rayon::prelude::*;

use super::interpolate::{Size, Stretched};
use crate::vectors::widest;

/// Maps that are stretched to full width together.
const GROUP: usize = 16;
/// A blend of two values can exceed the larger one by rounding, in the last bit or two.
const ROUNDING: f32 = 1e-5;

/// The highest of the maps and the threshold at every pixel.
#[derive(Clone, Debug, PartialEq)]
pub struct Winners {
    /// `[H,W]`, in `[0, 1]`.
    pub score: Array2<f32>,
    /// `[H,W]`: number of the map from 1; 0 where none is above the threshold.
    pub map: Array2<u32>,
}

/// Compares the walked maps `[n,h,w]` at full size `[H,W]`, divided by their common maximum; the first
/// of equals wins.
///
/// # Panics
/// When four times the maps' size is less than `size`.
pub fn winners(walked: ArrayView3<f32>, size: Size, threshold: f32) -> Winners {
    let mut winners =
        Winners { score: Array2::from_elem(size, threshold), map: Array2::zeros(size) };
    if walked.is_empty() || winners.map.is_empty() {
        return winners;
    }
    let full = (4 * walked.dim().1, 4 * walked.dim().2);
    assert!(size.0 <= full.0 && size.1 <= full.1, "maps of a smaller photo");
    let groups = || walked.axis_chunks_iter(Axis(0), GROUP).map(|g| Stretched::new(g, full, size));
    let maximum = groups().fold(0.0, |highest, group| highest_of(&group, size.0, highest));
    if maximum > 0.0 {
        for (index, group) in groups().enumerate() {
            winners.update(&group, index * GROUP, maximum, threshold);
        }
    }
    winners
}

/// The highest value in the first `height` rows of all maps, or `least` where that is more. The most
/// promising rows are looked at first.
fn highest_of(group: &Stretched, height: usize, least: f32) -> f32 {
    let all = (0..group.channels()).flat_map(|channel| (0..height).map(move |y| (channel, y)));
    let bounded = all.map(|(channel, y)| (group.bound(channel, y), channel, y));
    let mut rows: Vec<_> = bounded.filter(|row| row.0 > least).collect();
    rows.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let mut highest = least;
    for (bound, channel, y) in rows {
        if bound * (1.0 + ROUNDING) <= highest {
            break;
        }
        let values = group.row(channel, y);
        highest =
            values.fold(highest, |highest, value| if value > highest { value } else { highest });
    }
    highest
}

impl Winners {
    /// Lets the maps of `group`, the first of which has the number `first + 1`, compete.
    fn update(&mut self, group: &Stretched, first: usize, maximum: f32, threshold: f32) {
        let limit = threshold * maximum;
        let limit = limit - limit.abs() * ROUNDING;
        let rows = self.score.axis_iter_mut(Axis(0)).into_par_iter();
        let maps = self.map.axis_iter_mut(Axis(0)).into_par_iter();
        rows.zip(maps).with_min_len(8).enumerate().for_each(|(y, (mut best, mut map))| {
            let best = best.as_slice_mut().expect("a row of a fresh array");
            let map = map.as_slice_mut().expect("a row of a fresh array");
            for channel in 0..group.channels() {
                let number = (first + channel + 1) as u32;
                let part = group.above(channel, y, limit);
                let (rows, weights) = group.blend(channel, y, part.clone());
                let (best, map) = (&mut best[part.clone()], &mut map[part]);
                widest!(beat(
                    best: &mut [f32],
                    map: &mut [u32],
                    rows: [&[f32]; 2],
                    weights: [f32; 2],
                    maximum: f32,
                    number: u32,
                ));
            }
        });
    }
}

/// Lets a map's blended rows compete with the best so far.
#[inline(always)]
fn beat(
    best: &mut [f32],
    map: &mut [u32],
    [low, high]: [&[f32]; 2],
    weights: [f32; 2],
    maximum: f32,
    number: u32,
) {
    for (((best, map), low), high) in best.iter_mut().zip(map).zip(low).zip(high) {
        let score = (weights[0] * low + weights[1] * high) / maximum;
        let wins = score > *best;
        *best = if wins { score } else { *best };
        *map = if wins { number } else { *map };
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, s};

    use super::*;
    use crate::label::interpolate::upscale4;

    /// Without leaving anything out.
    fn winners_plainly(walked: &Array3<f32>, size: Size, threshold: f32) -> Winners {
        let full = upscale4(walked.view(), size);
        let maximum = full.iter().copied().fold(0.0, f32::max);
        let (mut score, mut map) = (Array2::from_elem(size, threshold), Array2::zeros(size));
        for (index, channel) in full.outer_iter().enumerate() {
            for (at, &value) in channel.indexed_iter() {
                if value / maximum > score[at] {
                    (score[at], map[at]) = (value / maximum, index as u32 + 1);
                }
            }
        }
        Winners { score, map }
    }

    #[test]
    fn leaving_out_changes_nothing() {
        for (count, seed) in [(1, 1), (5, 2), (40, 3)] {
            let value = |(c, y, x): (usize, usize, usize)| {
                let near = (c * 5 % 11).abs_diff(y) + (c * 7 % 13).abs_diff(x);
                ((c * 31 + y * 17 + x * 13) % (7 + seed)) as f32 / (1 + near * near) as f32
            };
            let walked = Array3::from_shape_fn((count, 11, 13), value);
            for threshold in [-0.5, 0.0, 0.25, 0.9, 1.0] {
                let found = winners(walked.view(), (42, 49), threshold);
                assert_eq!(found, winners_plainly(&walked, (42, 49), threshold), "{threshold}");
            }
        }
    }

    #[test]
    fn without_any_score_nobody_wins() {
        let mut walked = Array3::zeros((3, 4, 5));
        assert_eq!(winners(walked.view(), (16, 20), 0.25).map.sum(), 0);
        walked.slice_mut(s![1, .., ..]).fill(f32::NAN);
        assert_eq!(winners(walked.view(), (16, 20), 0.25).map.sum(), 0);
    }
}
