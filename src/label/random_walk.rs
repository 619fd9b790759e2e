//! The random walk that spreads class maps over whole objects (section 4.3 of the paper; upstream's
//! `propagate_to_edge`).
//!
//! Upstream squares the dense transition matrix `T = A D^-1` `exp_times` times. A few row vectors need
//! no such matrix: with `S = D^-1/2 A D^-1/2`, `x T^n = (x D^1/2) S^n D^-1/2`, `S` is symmetric and
//! banded with eigenvalues in `[-1, 1]`, and `S^n` is a short sum of Chebyshev polynomials.

use anyhow::{Result, ensure};
use ndarray::{Array3, ArrayView2, ArrayView3, ArrayViewMut2};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::product::MAPS;
use super::spreading::Spreading;

/// How far and how willingly scores spread.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Walk {
    /// Pixels of the map that are closer than this are neighbours.
    pub radius: usize,
    /// Affinities are raised to this power: the higher, the more a weak boundary holds back.
    pub beta: f64,
    /// The walk takes `2^exp_times` steps.
    pub exp_times: u32,
}

impl Default for Walk {
    fn default() -> Self {
        Self { radius: 5, beta: 10.0, exp_times: 8 }
    }
}

impl Walk {
    /// Most doublings of the number of steps; what lies beyond differs from the limit nowhere.
    const MOST_TIMES: u32 = 24;
    /// Largest radius; the memory grows with its square.
    const MOST_RADIUS: usize = 64;

    /// Settings that can be computed.
    ///
    /// # Errors
    /// A value out of range.
    pub fn validate(&self) -> Result<()> {
        let Self { radius, beta, exp_times } = *self;
        ensure!(
            (1..=Self::MOST_RADIUS).contains(&radius),
            "radius is {radius}, it must be from 1 to {}",
            Self::MOST_RADIUS
        );
        ensure!(beta.is_finite() && beta >= 0.0, "beta is {beta}, it must be 0 or more");
        ensure!(
            exp_times <= Self::MOST_TIMES,
            "exp_times is {exp_times}, it must be at most {}",
            Self::MOST_TIMES
        );
        Ok(())
    }
}

/// Spreads the maps `x` `[C,h,w]` along the affinities that the boundary map `edge` `[h,w]` leaves.
///
/// Every result is a weighted mean over the scores around its pixel, those on boundaries reduced by
/// their probability. Scores are expected around 1: below 1e-24 they count as 0. The result does not
/// depend on the number of threads.
///
/// # Panics
/// When the sizes of `x` and `edge` differ.
pub fn random_walk(x: ArrayView3<f32>, edge: ArrayView2<f32>, walk: &Walk) -> Array3<f32> {
    assert_eq!((x.dim().1, x.dim().2), edge.dim(), "maps and boundaries have one size");
    let mut maps = &x * &edge.map(|edge| 1.0 - edge);
    let busy = |map: &ArrayViewMut2<f32>| map.iter().any(|&value| value != 0.0);
    let mut busy: Vec<_> = maps.outer_iter_mut().filter(busy).collect();
    if busy.is_empty() || walk.radius < 2 {
        return maps;
    }
    let spreading =
        Spreading::new(edge, walk.radius, walk.beta, 1 << walk.exp_times.min(Walk::MOST_TIMES));
    let threads = rayon::current_num_threads();
    let groups = busy.len().div_ceil(MAPS);
    if spreading.is_shared(busy.len(), threads) {
        let size = busy.len().div_ceil(groups);
        busy.chunks_mut(size).for_each(|group| spreading.spread(group, false));
    } else {
        let size = busy.len().div_ceil(groups.next_multiple_of(threads));
        busy.par_chunks_mut(size).for_each(|group| spreading.spread(group, true));
    }
    maps
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Axis};
    use proptest::prelude::*;

    use super::*;

    /// Upstream's computation, with dense matrices in f64.
    fn dense(x: &Array3<f32>, edge: &Array2<f32>, walk: &Walk) -> Array3<f64> {
        let (h, w) = edge.dim();
        let mut matrix = Array2::<f64>::eye(h * w);
        for direction in irn_models::pairs::directions(walk.radius) {
            for (y, x) in ndarray::indices((h, w)) {
                let cell = |&(dy, dx): &(isize, isize)| {
                    let cell = (y.checked_add_signed(dy)?, x.checked_add_signed(dx)?);
                    edge.get(cell).map(|&edge| (cell.0 * w + cell.1, f64::from(edge)))
                };
                let Some(path) = direction.path.iter().map(cell).collect::<Option<Vec<_>>>() else {
                    continue;
                };
                let strongest = path.iter().map(|cell| cell.1).fold(0.0, f64::max);
                let affinity = (1.0 - strongest).powf(walk.beta);
                matrix[[path[0].0, y * w + x]] = affinity;
                matrix[[y * w + x, path[0].0]] = affinity;
            }
        }
        let sums = matrix.sum_axis(Axis(0));
        matrix /= &sums;
        for _ in 0..walk.exp_times {
            matrix = matrix.dot(&matrix);
        }
        let start = (x * &edge.map(|edge| 1.0 - edge)).mapv(f64::from);
        let rows = start.into_shape_with_order((x.dim().0, h * w)).unwrap();
        rows.dot(&matrix).into_shape_with_order(x.dim()).unwrap()
    }

    /// Repeatable numbers in `[0, 1)`.
    fn noise(seed: u64) -> impl FnMut() -> f32 {
        let mut state = seed;
        move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 24) as f32
        }
    }

    fn scene(seed: u64, channels: usize, (h, w): (usize, usize)) -> (Array3<f32>, Array2<f32>) {
        let mut noise = noise(seed);
        let x = Array3::from_shape_simple_fn((channels, h, w), &mut noise);
        let strength = 1 + (seed % 4) as i32;
        (x, Array2::from_shape_simple_fn((h, w), || noise().powi(strength)))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

        #[test]
        fn equals_the_dense_computation(
            seed: u64,
            channels in 1usize..12,
            size in prop_oneof![(1usize..13, 1usize..13), (Just(1), 1usize..60), (1usize..60, Just(1))],
            radius in 1usize..8,
            beta in prop_oneof![Just(0.0), Just(1.0), Just(2.5), Just(4.0), Just(10.0)],
            exp_times in 0u32..11,
        ) {
            let walk = Walk { radius, beta, exp_times };
            let (x, edge) = scene(seed, channels, size);
            let ours = random_walk(x.view(), edge.view(), &walk);
            let theirs = dense(&x, &edge, &walk);
            let largest = theirs.iter().copied().fold(0.0, f64::max);
            // A weight's rounding error counts once a step.
            let limit = largest * (1e-5 + f64::from(exp_times).exp2() * f64::from(f32::EPSILON) / 2.0);
            for (a, b) in ours.iter().zip(&theirs) {
                prop_assert!((f64::from(*a) - b).abs() <= limit, "{a} {b} {walk:?} {size:?}");
            }
        }
    }

    #[test]
    fn threads_do_not_matter() {
        let (mut x, edge) = scene(5, 11, (47, 35));
        x.index_axis_mut(Axis(0), 3).fill(0.0);
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| random_walk(x.view(), edge.view(), &Walk::default()))
        };
        let one = run(1);
        // Two have maps of their own, many share each map.
        assert_eq!(one, run(2));
        assert_eq!(one, run(5));
        assert_eq!(one, run(9));
        assert!(one.index_axis(Axis(0), 3).iter().all(|&value| value == 0.0));
    }

    #[test]
    fn maps_do_not_influence_each_other() {
        let (x, edge) = scene(6, 9, (20, 31));
        let all = random_walk(x.view(), edge.view(), &Walk::default());
        for (map, alone) in all.outer_iter().zip(x.outer_iter()) {
            let alone = alone.insert_axis(Axis(0));
            assert_eq!(
                map,
                random_walk(alone, edge.view(), &Walk::default()).index_axis(Axis(0), 0)
            );
        }
    }

    #[test]
    fn nothing_crosses_a_full_boundary() {
        let edge = Array2::from_shape_fn((20, 30), |(_, x)| f32::from(x == 15));
        let x = Array3::from_shape_fn((1, 20, 30), |(_, _, x)| f32::from(x < 15));
        let walked = random_walk(x.view(), edge.view(), &Walk::default());
        for ((_, _, x), value) in walked.indexed_iter() {
            assert!((value - f32::from(x < 15)).abs() < 1e-5, "{x} {value}");
        }
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        assert!(Walk::default().validate().is_ok());
        assert!(Walk { radius: 0, ..Walk::default() }.validate().is_err());
        assert!(Walk { beta: f64::NAN, ..Walk::default() }.validate().is_err());
        assert!(Walk { exp_times: 60, ..Walk::default() }.validate().is_err());
        assert!(serde_json::from_str::<Walk>(r#"{"radus": 3}"#).is_err());
    }
}
