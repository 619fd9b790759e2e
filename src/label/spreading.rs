//! A walk's matrix, made symmetric, and what surrounds its power: `x T^n = (x D^1/2) S^n D^-1/2`.

use ndarray::{ArrayView2, ArrayViewMut2};

use super::affinity::affinities;
use super::banded::Banded;
use super::power::{Power, depth};
use super::product::MAPS;
use super::wide::Wide;

/// What all maps have in common.
pub struct Spreading {
    matrix: Banded,
    power: Power,
    /// Square roots of the degrees.
    roots: Vec<Wide<f64>>,
    /// Their inverse, 0 where they are 0.
    inverse: Vec<Wide<f64>>,
}

impl Spreading {
    /// Between the boundaries `edge` `[h,w]`, over `steps` steps; see [`Walk`](super::Walk).
    pub fn new(edge: ArrayView2<f32>, radius: usize, beta: f64, steps: u64) -> Self {
        let mut matrix = affinities(edge, radius, beta);
        let degrees = matrix.degrees();
        let roots: Vec<_> = degrees.iter().map(|wide| Wide(wide.0.map(f64::sqrt))).collect();
        let invert = |root: f64| if root > 0.0 { 1.0 / root } else { 0.0 };
        let inverse: Vec<_> = roots.iter().map(|wide| Wide(wide.0.map(invert))).collect();
        matrix.scale(&inverse);
        let power = Power::new(steps);
        Self { matrix, power, roots, inverse }
    }

    /// Whether threads should share every map. Those with maps of their own need not wait for each
    /// other; but few maps may not be enough, and weights that no cache holds are better read once.
    pub fn is_shared(&self, maps: usize, threads: usize) -> bool {
        threads > 1 && (maps < 2 * threads || depth(&self.matrix, MAPS) < 2)
    }

    /// Replaces up to [`MAPS`] maps by what they become; `alone` by this thread,
    /// else by all.
    pub fn spread(&self, maps: &mut [ArrayViewMut2<f32>], alone: bool) {
        let state = self.power.apply(&self.matrix, maps.len(), self.gather(maps), alone);
        let (strips, count) = (self.matrix.strips, maps.len());
        for (index, map) in maps.iter_mut().enumerate() {
            for (y, mut row) in map.rows_mut().into_iter().enumerate() {
                let factors = &self.inverse[strips.row(1, 0, y)];
                let values = &state[strips.row(count, index, y)];
                for (value, (place, lane)) in row.iter_mut().zip(strips.pixels()) {
                    let scaled = f64::from(values[place].0[lane]) * factors[place].0[lane];
                    *value = scaled as f32;
                }
            }
        }
    }

    /// The maps times the roots, in the layout of the matrix.
    fn gather(&self, maps: &[ArrayViewMut2<f32>]) -> Vec<Wide> {
        let (strips, count) = (self.matrix.strips, maps.len());
        let mut state = vec![Wide::default(); strips.len(count)];
        for (index, map) in maps.iter().enumerate() {
            for (y, row) in map.rows().into_iter().enumerate() {
                let factors = &self.roots[strips.row(1, 0, y)];
                let inside = strips.row(count, index, y);
                let values = &mut state[inside.start - strips.rim..inside.end + strips.rim];
                for (&value, (place, lane)) in row.iter().zip(strips.pixels()) {
                    let scaled = f64::from(value) * factors[place].0[lane];
                    values[strips.rim + place].0[lane] = scaled as f32;
                }
                strips.mirror(values);
            }
        }
        state
    }
}
