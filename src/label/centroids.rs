//! Following the displacement field: where each pixel ends (section 4.2 of the paper; upstream's
//! `find_centroids_with_refinement`).
//!
//! Results on a limit cycle depend on the number of steps and on every rounding, so both are
//! upstream's: state in f32, the arithmetic of one step in f64, 300 steps. A step depends on nothing
//! but the state: where a state returns, whole rounds are left out, which changes nothing. Most pixels
//! come to rest long before 300 steps; the next pixel takes their lane.

use std::ops::Range;

use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;

use super::field::{Field, LANES, State};

/// Upstream's number of steps.
pub const STEPS: usize = 300;

/// Steps between two looks at whether a state has returned; longer rounds are walked to the end.
const ROUND: usize = 16;
/// Groups of lanes that move side by side: one's arithmetic hides how long another's memory takes.
const GROUPS: usize = 2;
/// The pixel of a lane that has none.
const NOTHING: usize = usize::MAX;
/// Pixels of one task.
const TASK: usize = 1024;

/// The pixel `[2,h,w]` (row, column) that each pixel reaches after `steps` steps along the field
/// `dp` `[2,h,w]` (down, right; in pixels).
pub fn settle(dp: ArrayView3<f32>, steps: usize) -> Array3<usize> {
    let field = Field::new(dp);
    let (_, h, w) = dp.dim();
    let mut ends = vec![[0f32; 2]; field.pixels()];
    ends.par_chunks_mut(TASK).enumerate().for_each(|(task, ends)| {
        follow_fast(&field, task * TASK, steps, ends);
    });
    Array3::from_shape_fn((2, h, w), |(axis, y, x)| round(ends[y * w + x][axis]))
}

/// Half to even, as numpy rounds.
fn round(position: f32) -> usize {
    position.round_ties_even() as usize
}

/// [`follow`] with the best way of taking a step.
fn follow_fast(field: &Field, first: usize, steps: usize, ends: &mut [[f32; 2]]) {
    #[cfg(target_arch = "x86_64")]
    if field.has_avx512() {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2")]
        fn with_avx512(field: &Field, first: usize, steps: usize, ends: &mut [[f32; 2]]) {
            // SAFETY: the processor has AVX-512; `follow` begins with pixels.
            follow(field, first, steps, ends, |state| unsafe { field.step_avx512(state) });
        }
        // SAFETY: the processor has AVX-512.
        return unsafe { with_avx512(field, first, steps, ends) };
    }
    follow(field, first, steps, ends, |state| field.step(state));
}

/// Where the pixels from `first` on are after `steps` steps. A lane that is done takes the next pixel.
#[inline(always)]
fn follow(
    field: &Field,
    first: usize,
    steps: usize,
    ends: &mut [[f32; 2]],
    step: impl Fn(&State) -> State,
) {
    let mut waiting = 0..ends.len();
    let mut groups: [Group; GROUPS] = std::array::from_fn(|_| Group::IDLE);
    for group in &mut groups {
        let mut next = State::START;
        (0..LANES)
            .for_each(|lane| group.take(lane, &mut next, &mut waiting, steps, (field, first)));
        group.history[0] = next;
    }
    while groups.iter().any(Group::busy) {
        for i in 0..ROUND {
            for group in &mut groups {
                group.history[i + 1] = step(&group.history[i]);
            }
        }
        for group in &mut groups {
            let mut next = group.history[ROUND];
            for lane in 0..LANES {
                let (pixel, left) = group.work[lane];
                if pixel == NOTHING {
                    continue;
                }
                if let Some(end) = end(&group.history, lane, left) {
                    ends[pixel] = end;
                    group.take(lane, &mut next, &mut waiting, steps, (field, first));
                } else {
                    group.work[lane].1 = left - ROUND;
                }
            }
            group.history[0] = next;
        }
    }
}

/// A few pixels on their way.
struct Group {
    /// Where they were at the last look, and after each step since.
    history: [State; ROUND + 1],
    /// Of each lane: its pixel, or [`NOTHING`], and the steps that were left at the last look.
    work: [(usize, usize); LANES],
}

impl Group {
    const IDLE: Self = Self { history: [State::START; ROUND + 1], work: [(NOTHING, 0); LANES] };

    fn busy(&self) -> bool {
        self.work.iter().any(|&(pixel, _)| pixel != NOTHING)
    }

    /// Gives `lane` the next of the waiting pixels.
    fn take(
        &mut self,
        lane: usize,
        state: &mut State,
        waiting: &mut Range<usize>,
        steps: usize,
        (field, first): (&Field, usize),
    ) {
        self.work[lane] = (waiting.next().unwrap_or(NOTHING), steps);
        if self.work[lane].0 != NOTHING {
            state.put(lane, first + self.work[lane].0, field.width);
        }
    }
}

/// Where the pixel of `lane` ends that has `left` steps to go from the first state, if that can be
/// told: it arrives, or it has come back to the first state and goes round.
fn end(history: &[State; ROUND + 1], lane: usize, left: usize) -> Option<[f32; 2]> {
    if left <= ROUND {
        return Some(history[left].of(lane));
    }
    let period = (1..=ROUND).find(|&step| history[step].same(&history[0], lane))?;
    Some(history[left % period].of(lane))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without any shortcut, and without wide vectors.
    fn settle_plainly(dp: &Array3<f32>, steps: usize) -> Array3<usize> {
        let field = Field::new(dp.view());
        let w = field.width;
        let mut out = Array3::zeros(dp.dim());
        for pixel in 0..field.pixels() {
            let mut state = State::START;
            state.put(0, pixel, w);
            let end = (0..steps).fold(state, |state, _| field.step(&state)).of(0);
            (out[[0, pixel / w, pixel % w]], out[[1, pixel / w, pixel % w]]) =
                (round(end[0]), round(end[1]));
        }
        out
    }

    #[test]
    fn shortcuts_change_nothing() {
        for (seed, strength) in [(1, 0.4), (2, 3.0), (3, 30.0)] {
            let noise = |i: usize| ((i * 7919 + seed * 104729) % 1000) as f32 / 500.0 - 1.0;
            let dp = Array3::from_shape_fn((2, 41, 29), |(c, y, x)| {
                strength * noise(c * 1189 + y * 29 + x)
            });
            for steps in [0, 1, 16, 17, 300] {
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
