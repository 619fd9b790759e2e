//! Where a feature vector lies in the permutohedral lattice: the corners of its simplex and their
//! barycentric weights (Adams, Baek, Davis 2010, pages 5-10), with the roundings and the tie rules of
//! Kraehenbuehl's SSE implementation.

use std::array;

/// Bits of one lattice coordinate in a packed key; five of them fit in 128 bits. Magnitudes must stay
/// below 2^24: so they do for photos and settings that `DenseCrf::new` accepts.
const FIELD: u32 = 25;
/// Added to each coordinate so that a packed field is never negative.
const BIAS: i32 = 1 << (FIELD - 1);

/// A lattice vertex: its first `dimensions` coordinates, packed (the last one follows from them).
pub type Key = u128;

/// The step that adds 1 to coordinate `axis`; nothing for the last coordinate, which is not stored.
fn unit(axis: usize, dimensions: usize) -> Key {
    if axis < dimensions { 1 << (FIELD * axis as u32) } else { 0 }
}

/// The step that adds 1 to every coordinate.
fn all_ones(dimensions: usize) -> Key {
    (0..dimensions).map(|axis| unit(axis, dimensions)).sum()
}

/// What leads from a vertex to its neighbour along `axis`: minus 1 everywhere, plus `dimensions` on
/// the axis itself. Add it (wrapping) for the first neighbour, subtract it for the second.
pub fn blur_step(axis: usize, dimensions: usize) -> Key {
    (unit(axis, dimensions) * (dimensions as Key + 1)).wrapping_sub(all_ones(dimensions))
}

/// The simplex around one point: `V` = dimensions + 1 corners and their weights, which sum to 1.
pub struct Simplex<const V: usize> {
    /// Packed coordinates of the corners; corner `r` is the one whose coordinates are `r` modulo `V`.
    pub keys: [Key; V],
    /// Barycentric weight of each corner.
    pub weights: [f32; V],
}

/// Scales of the `D` features that give the lattice's blur a standard deviation of 1 (page 6).
pub fn feature_scales<const D: usize>() -> [f32; D] {
    let deviation = ((2.0f64 / 3.0).sqrt() * (D + 1) as f64) as f32;
    array::from_fn(|j| (1.0 / (((j + 2) * (j + 1)) as f64).sqrt() * f64::from(deviation)) as f32)
}

/// Finds the simplex of `feature`; `scales` come from [`feature_scales`].
pub fn enclosing_simplex<const D: usize, const V: usize>(
    feature: &[f32; D],
    scales: &[f32; D],
) -> Simplex<V> {
    const { assert!(V == D + 1, "a simplex has one corner more than dimensions") };
    let elevated = elevate::<D, V>(feature, scales);
    let mut cells = elevated.map(|coordinate| round_half_even(coordinate * (1.0 / V as f32)));
    let excess = cells.iter().sum::<f32>() as i32;
    let mut ranks = ranks_of::<V>(array::from_fn(|i| elevated[i] - cells[i] * V as f32));
    // Rounding may leave the plane of coordinate sum zero: move the outermost coordinates back.
    for (cell, rank) in cells.iter_mut().zip(&mut ranks) {
        *rank += excess;
        if *rank < 0 {
            *rank += V as i32;
            *cell += 1.0;
        } else if *rank >= V as i32 {
            *rank -= V as i32;
            *cell -= 1.0;
        }
    }
    let origin = cells.map(|cell| cell * V as f32);
    let (mut sorted, mut by_rank) = ([0f32; V], [0usize; V]);
    for i in 0..V {
        let rank = ranks[i] as usize;
        sorted[rank] = (elevated[i] - origin[i]) * (1.0 / V as f32);
        by_rank[rank] = i;
    }
    Simplex { keys: corner_keys::<D, V>(&origin, &by_rank), weights: barycentric(&sorted) }
}

/// Lifts the feature onto the plane of coordinate sum zero in `V` dimensions (page 5).
fn elevate<const D: usize, const V: usize>(feature: &[f32; D], scales: &[f32; D]) -> [f32; V] {
    let (mut elevated, mut sum) = ([0f32; V], 0f32);
    for j in (1..V).rev() {
        let scaled = feature[j - 1] * scales[j - 1];
        elevated[j] = sum - j as f32 * scaled;
        sum += scaled;
    }
    elevated[0] = sum;
    elevated
}

/// Nearest integer, halves to even, for magnitudes below 2^22: the addition itself rounds, which is
/// one instruction everywhere, where `round_ties_even` is a library call on plain x86-64.
fn round_half_even(value: f32) -> f32 {
    const SHIFT: f32 = (3 << 22) as f32;
    (value + SHIFT) - SHIFT
}

/// Position of each coordinate in descending order; of two equal ones the later has the higher rank.
fn ranks_of<const V: usize>(differences: [f32; V]) -> [i32; V] {
    let mut ranks = [0; V];
    for i in 0..V {
        for j in i + 1..V {
            let raised = i32::from(differences[i] < differences[j]);
            ranks[i] += raised;
            ranks[j] += 1 - raised;
        }
    }
    ranks
}

/// Corner `r + 1` is corner `r` plus 1 everywhere, minus `V` on the coordinate of rank `D - r`.
fn corner_keys<const D: usize, const V: usize>(
    origin: &[f32; V],
    by_rank: &[usize; V],
) -> [Key; V] {
    let fields = origin[..D].iter().enumerate();
    let mut key = fields
        .map(|(axis, &coordinate)| ((coordinate as i32 + BIAS) as Key) << (FIELD * axis as u32))
        .sum::<Key>();
    array::from_fn(|r| {
        let corner = key;
        key = key.wrapping_sub(blur_step(by_rank[D - r], D));
        corner
    })
}

/// Barycentric weights (page 10) from the differences in order of their rank.
fn barycentric<const V: usize>(sorted: &[f32; V]) -> [f32; V] {
    array::from_fn(|r| match r {
        0 => sorted[V - 1] + (1.0 - sorted[0]),
        _ => sorted[V - 1 - r] - sorted[V - r],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Unpacks the `D` stored coordinates.
    fn coordinates<const D: usize>(key: Key) -> [i32; D] {
        array::from_fn(|axis| ((key >> (FIELD * axis as u32)) as i32 & ((1 << FIELD) - 1)) - BIAS)
    }

    #[test]
    fn weights_reproduce_the_elevated_point() {
        let scales = feature_scales::<5>();
        for step in 0..500 {
            let t = step as f32;
            let feature = [t * 0.02, 7.5 - t * 0.01, (t * 0.7).sin() * 25.0 + 25.0, t / 10.0, 51.0];
            let simplex = enclosing_simplex::<5, 6>(&feature, &scales);
            assert!((simplex.weights.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            assert!(simplex.weights.iter().all(|&weight| weight > -1e-4));
            let elevated = elevate::<5, 6>(&feature, &scales);
            for (axis, &expected) in elevated[..5].iter().enumerate() {
                let corners = simplex.keys.iter().map(|&key| coordinates::<5>(key)[axis] as f32);
                let mean: f32 = corners.zip(&simplex.weights).map(|(c, w)| c * w).sum();
                assert!((mean - expected).abs() < 1e-3, "{mean} instead of {expected}");
            }
        }
    }

    #[test]
    fn corners_have_the_remainder_of_their_number() {
        let simplex = enclosing_simplex::<2, 3>(&[4.3, -2.1], &feature_scales());
        for (r, &key) in simplex.keys.iter().enumerate() {
            assert!(coordinates::<2>(key).iter().all(|c| c.rem_euclid(3) == r as i32));
        }
    }

    #[test]
    fn halves_round_to_even_and_the_later_of_two_equals_ranks_higher() {
        let rounded = [0.5, 1.5, 2.5, -0.5, -1.5, 1e6 + 0.5].map(round_half_even);
        assert_eq!(rounded, [0.0, 2.0, 2.0, 0.0, -2.0, 1e6]);
        assert_eq!(ranks_of([0.0, 0.0, 0.0]), [0, 1, 2]);
        assert_eq!(ranks_of([0.1, 0.3, 0.2]), [2, 0, 1]);
    }

    #[test]
    fn a_blur_step_there_and_back_ends_where_it_began() {
        let key = enclosing_simplex::<2, 3>(&[0.0, 0.0], &feature_scales()).keys[0];
        assert_eq!(coordinates::<2>(key.wrapping_add(blur_step(0, 2))), [2, -1]);
        assert_eq!(coordinates::<2>(key.wrapping_sub(blur_step(0, 2))), [-2, 1]);
        assert_eq!(coordinates::<2>(key.wrapping_add(blur_step(2, 2))), [-1, -1]);
    }
}
