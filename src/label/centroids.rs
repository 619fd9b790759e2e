//! Following the displacement field: where each pixel ends (section 4.2 of the paper; upstream's
//! `find_centroids_with_refinement`).
//!
//! Results on a limit cycle depend on the number of steps and on every rounding, so both are
//! upstream's: state in f32, the arithmetic of one step in f64, 300 steps.

use ndarray::{Array2, Array3, ArrayView3};
use rayon::prelude::*;

/// Upstream's number of steps.
pub const STEPS: usize = 300;

/// Pixels that are moved together, so that one's arithmetic hides another's memory access.
const LANES: usize = 8;

/// The pixel `[2,h,w]` (row, column) that each pixel reaches after `steps` steps along the field
/// `dp` `[2,h,w]` (down, right; in pixels).
pub fn settle(dp: ArrayView3<f32>, steps: usize) -> Array3<usize> {
    let field = Field::new(dp);
    let (h, w) = (field.height, field.width);
    let mut ends = vec![[0usize; 2]; h * w];
    ends.par_chunks_mut(LANES).with_min_len(16).enumerate().for_each(|(chunk, ends)| {
        let start = std::array::from_fn(|lane| (chunk * LANES + lane).min(h * w - 1));
        let state = field.follow(State::at(start, w), steps);
        for (lane, end) in ends.iter_mut().enumerate() {
            *end = [round(state.y[lane]), round(state.x[lane])];
        }
    });
    Array3::from_shape_fn((2, h, w), |(axis, y, x)| ends[y * w + x][axis])
}

/// Half to even, as numpy rounds.
fn round(position: f32) -> usize {
    position.round_ties_even() as usize
}

/// Positions of a few pixels.
#[derive(Clone, Copy, PartialEq)]
struct State {
    y: [f32; LANES],
    x: [f32; LANES],
}

impl State {
    fn at(pixels: [usize; LANES], width: usize) -> Self {
        Self { y: pixels.map(|p| (p / width) as f32), x: pixels.map(|p| (p % width) as f32) }
    }
}

/// The displacement field, both components of a pixel side by side.
struct Field {
    height: usize,
    width: usize,
    shifts: Vec<[f32; 2]>,
}

impl Field {
    fn new(dp: ArrayView3<f32>) -> Self {
        let (_, height, width) = dp.dim();
        let at = |(y, x)| [dp[[0, y, x]], dp[[1, y, x]]];
        let shifts = Array2::from_shape_fn((height, width), at).into_raw_vec_and_offset().0;
        Self { height, width, shifts }
    }

    /// `steps` steps from `state`. A step depends on nothing but the state, so when an earlier state
    /// returns, whole rounds can be left out without any effect (Brent's cycle detection; a fixed
    /// point is a round of one step).
    fn follow(&self, mut state: State, steps: usize) -> State {
        let mut earlier = state;
        let (mut since, mut limit) = (0, 1);
        let mut left = steps;
        while left > 0 {
            state = self.step(state);
            left -= 1;
            since += 1;
            if state == earlier {
                left %= since;
            } else if since == limit {
                earlier = state;
                (since, limit) = (0, 2 * limit);
            }
        }
        state
    }

    fn step(&self, state: State) -> State {
        let mut next = state;
        for lane in 0..LANES {
            let (y, x) = (state.y[lane], state.x[lane]);
            let [down, right] = self.shift(y, x);
            next.y[lane] = ((f64::from(y) + down) as f32).clamp(0.0, (self.height - 1) as f32);
            next.x[lane] = ((f64::from(x) + right) as f32).clamp(0.0, (self.width - 1) as f32);
        }
        next
    }

    /// The field between four pixels; terms in upstream's order, factors from left to right.
    fn shift(&self, y: f32, x: f32) -> [f64; 2] {
        let (y0, x0) = (y as u32 as usize, x as u32 as usize);
        let (a, b) = (f64::from(y) - y0 as f64, f64::from(x) - x0 as f64);
        let (y1, x1) = (y0 + usize::from(a > 0.0), x0 + usize::from(b > 0.0));
        let at = |y: usize, x: usize| self.shifts[y * self.width + x].map(f64::from);
        let (both, right, below, here) = (at(y1, x1), at(y0, x1), at(y1, x0), at(y0, x0));
        std::array::from_fn(|i| {
            both[i] * a * b
                + right[i] * (1.0 - a) * b
                + below[i] * a * (1.0 - b)
                + here[i] * (1.0 - a) * (1.0 - b)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without any shortcut.
    fn settle_plainly(dp: &Array3<f32>, steps: usize) -> Array3<usize> {
        let field = Field::new(dp.view());
        let w = field.width;
        let mut out = Array3::zeros(dp.dim());
        for pixel in 0..field.height * w {
            let state = (0..steps).fold(State::at([pixel; LANES], w), |s, _| field.step(s));
            out[[0, pixel / w, pixel % w]] = round(state.y[0]);
            out[[1, pixel / w, pixel % w]] = round(state.x[0]);
        }
        out
    }

    #[test]
    fn shortcuts_change_nothing() {
        for (seed, strength) in [(1, 0.4), (2, 3.0), (3, 30.0)] {
            let noise = |i: usize| ((i * 7919 + seed * 104729) % 1000) as f32 / 500.0 - 1.0;
            let dp = Array3::from_shape_fn((2, 13, 11), |(c, y, x)| {
                strength * noise(c * 143 + y * 11 + x)
            });
            for steps in [0, 1, 7, 300] {
                assert_eq!(settle(dp.view(), steps), settle_plainly(&dp, steps), "{seed} {steps}");
            }
        }
    }

    #[test]
    fn a_field_towards_one_pixel_ends_there() {
        let aim = [4.0, 6.0];
        let dp = Array3::from_shape_fn((2, 9, 10), |(c, y, x)| 0.5 * (aim[c] - [y, x][c] as f32));
        let ends = settle(dp.view(), STEPS);
        assert!(ends.index_axis(ndarray::Axis(0), 0).iter().all(|&y| y == 4));
        assert!(ends.index_axis(ndarray::Axis(0), 1).iter().all(|&x| x == 6));
    }

    #[test]
    fn numbers_that_are_none_do_no_harm() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let ends = settle(Array3::from_elem((2, 3, 4), value).view(), STEPS);
            assert!(ends.iter().all(|&p| p < 4));
        }
        assert!(settle(Array3::zeros((2, 0, 4)).view(), STEPS).is_empty());
    }
}
