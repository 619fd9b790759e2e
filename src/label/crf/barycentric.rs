//! The simplex around a point of the plane, and the point's barycentric weights (Adams, Baek, Davis
//! 2010, pages 5-10), with the roundings and the tie rules of Kraehenbuehl's SSE implementation.
//!
//! Points come in blocks, and every loop runs over the points of a block: it compiles to vectors.

#![expect(clippy::needless_range_loop, reason = "lanes by index: the shape that becomes vectors")]

use super::simplex::{BLOCK, Lanes};

/// The nearest multiple of `V` of each coordinate, divided by `V`; halves to even.
///
/// For magnitudes below 2^22 the addition itself rounds, in one instruction everywhere; the bits of the
/// sum then count in ones.
#[inline(always)]
pub fn nearest_cells<const V: usize>(elevated: &[Lanes<f32>; V]) -> [Lanes<i32>; V] {
    const SHIFT: f32 = (3 << 22) as f32;
    let mut cells = [[0; BLOCK]; V];
    for axis in 0..V {
        for lane in 0..BLOCK {
            let shifted = elevated[axis][lane] * (1.0 / V as f32) + SHIFT;
            cells[axis][lane] = shifted.to_bits().wrapping_sub(SHIFT.to_bits()) as i32;
        }
    }
    cells
}

/// How far the coordinates are above their cells.
#[inline(always)]
pub fn differences<const V: usize>(
    elevated: &[Lanes<f32>; V],
    cells: &[Lanes<i32>; V],
) -> [Lanes<f32>; V] {
    let mut differences = [[0.0; BLOCK]; V];
    for axis in 0..V {
        for lane in 0..BLOCK {
            differences[axis][lane] = elevated[axis][lane] - cells[axis][lane] as f32 * V as f32;
        }
    }
    differences
}

/// Position of each coordinate in descending order; of two equal ones the later has the higher rank.
#[inline(always)]
pub fn ranks_of<const V: usize>(differences: &[Lanes<f32>; V]) -> [Lanes<i32>; V] {
    let mut ranks = [[0; BLOCK]; V];
    for i in 0..V {
        for j in i + 1..V {
            for lane in 0..BLOCK {
                let raised = i32::from(differences[i][lane] < differences[j][lane]);
                ranks[i][lane] += raised;
                ranks[j][lane] += 1 - raised;
            }
        }
    }
    ranks
}

/// Rounding may leave the plane of coordinate sum zero: moves the outermost coordinates back.
#[inline(always)]
pub fn back_to_the_plane<const V: usize>(cells: &mut [Lanes<i32>; V], ranks: &mut [Lanes<i32>; V]) {
    let mut excess = [0; BLOCK];
    for axis in 0..V {
        for lane in 0..BLOCK {
            excess[lane] += cells[axis][lane];
        }
    }
    for axis in 0..V {
        for lane in 0..BLOCK {
            let rank = ranks[axis][lane] + excess[lane];
            let turn = i32::from(rank < 0) - i32::from(rank >= V as i32);
            ranks[axis][lane] = rank + turn * V as i32;
            cells[axis][lane] += turn;
        }
    }
}

/// Barycentric weights (page 10) from the differences in order of their rank.
#[inline(always)]
pub fn barycentric<const V: usize>(
    differences: &[Lanes<f32>; V],
    ranks: &[Lanes<i32>; V],
    weights: &mut [Lanes<f32>; V],
) {
    let mut sorted = [[0.0; BLOCK]; V];
    for (rank, sorted) in sorted.iter_mut().enumerate() {
        for axis in 0..V {
            for lane in 0..BLOCK {
                let here = ranks[axis][lane] == rank as i32;
                let value = differences[axis][lane] * (1.0 / V as f32);
                sorted[lane] = if here { value } else { sorted[lane] };
            }
        }
    }
    for lane in 0..BLOCK {
        weights[0][lane] = sorted[V - 1][lane] + (1.0 - sorted[0][lane]);
    }
    for r in 1..V {
        for lane in 0..BLOCK {
            weights[r][lane] = sorted[V - 1 - r][lane] - sorted[V - r][lane];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_to_even_and_the_later_of_two_equals_ranks_higher() {
        let cells = |value: f32| nearest_cells(&[[value * 3.0; BLOCK]; 3])[0][0];
        assert_eq!([0.5, 1.5, 2.5, -0.5, -1.5, 1e6 + 0.5].map(cells), [0, 2, 2, 0, -2, 1_000_000]);
        let ranks = |values: [f32; 3]| ranks_of(&values.map(|v| [v; BLOCK])).map(|ranks| ranks[9]);
        assert_eq!(ranks([0.0, 0.0, 0.0]), [0, 1, 2]);
        assert_eq!(ranks([0.1, 0.3, 0.2]), [2, 0, 1]);
    }
}
