//! Affinities of pixel pairs from the boundary map (equation 3 of the paper): 1 - the strongest
//! boundary on the straight line between two pixels, both ends included.

use irn_models::pairs::{Direction, directions};
use ndarray::ArrayView2;

use super::banded::{Banded, Filling};
use super::strips::Strips;
use super::wide::{LANES, Wide};
use crate::vectors::widest;

/// Stands for the boundary outside the map.
const OUTSIDE: f32 = f32::INFINITY;

/// Affinities of all pairs closer than `radius`, each raised to the power `beta`; 1 on the diagonal.
///
/// `edge` `[h,w]` holds boundary probabilities.
pub fn affinities(edge: ArrayView2<f32>, radius: usize, beta: f64) -> Banded {
    let (height, width) = edge.dim();
    let fits = |d: &Direction| (d.dy as usize) < height && d.dx.unsigned_abs() < width;
    let directions: Vec<_> = directions(radius).into_iter().filter(fits).collect();
    let mut offsets: Vec<_> = directions.iter().map(|d| (d.dy as usize, d.dx)).collect();
    let rim = offsets.iter().map(|&(dy, dx)| dy.max(dx.unsigned_abs())).max().unwrap_or(0);
    offsets.push((0, 0));
    let strips = Strips::new((height, width), rim);
    let edge = &strips.spread(edge, OUTSIDE)[..];
    Banded::new(strips, &offsets, |Filling { index, place, weights }| {
        let path = directions.get(index).map_or(&[(0, 0)][..], |direction| &direction.path);
        let cell = |&(down, right): &(isize, isize)| {
            let start = place.strict_add_signed(down * strips.pitch() as isize + right);
            &edge[start..][..weights.len()]
        };
        let (cells, power): (Vec<&[Wide]>, f64) =
            (path.iter().map(cell).collect(), if index < directions.len() { beta } else { 0.0 });
        let cells = &cells[..];
        widest!(weigh(cells: &[&[Wide]], power: f64, weights: &mut [Wide]));
    })
}

/// The affinities of pairs whose `cells` on the way have these boundaries, to the power `beta`.
#[inline(always)]
fn weigh(cells: &[&[Wide]], beta: f64, weights: &mut [Wide]) {
    for (index, Wide(weights)) in weights.iter_mut().enumerate() {
        let mut strongest = [f32::NEG_INFINITY; LANES];
        for cell in cells {
            for (strongest, &edge) in strongest.iter_mut().zip(&cell[index].0) {
                // Unlike `f32::max` a single instruction; numbers only.
                *strongest = if edge > *strongest { edge } else { *strongest };
            }
        }
        let raised = raise(strongest.map(|strongest| 1.0 - strongest), beta);
        *weights =
            std::array::from_fn(|lane| if strongest[lane] == OUTSIDE { 0.0 } else { raised[lane] });
    }
}

/// Raises every value to the power `beta`; whole exponents by squaring, which is many times faster.
#[inline(always)]
fn raise<const N: usize>(bases: [f32; N], beta: f64) -> [f32; N] {
    if beta == 0.0 {
        return [1.0; N];
    }
    if beta.fract() != 0.0 || !(1.0..=1024.0).contains(&beta) {
        return bases.map(|value| f64::from(value).powf(beta) as f32);
    }
    // From the highest bit of the exponent downwards; the first one is the base itself.
    let (mut values, beta) = (bases, beta as u32);
    for bit in (0..beta.ilog2()).rev() {
        values = values.map(|value| value * value);
        if beta >> bit & 1 == 1 {
            values = std::array::from_fn(|i| values[i] * bases[i]);
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn the_strongest_boundary_on_the_way_decides() {
        let pairs = affinities(array![[0.0, 0.5, 0.25]].view(), 3, 1.0);
        // Pairs 0.5, 0.5 and, over both, 0.5; each in both directions; three pixels with themselves.
        assert_eq!(pairs.census(), (9, 6.0));
    }

    #[test]
    fn whole_and_broken_exponents_agree() {
        for beta in [1.0, 2.0, 3.0, 4.0, 10.0, 13.0] {
            let bases = [0.0f32, 0.3, 0.77, 1.0];
            for (value, base) in raise(bases, beta).iter().zip(bases) {
                assert!((value - base.powf(beta as f32)).abs() < 1e-6, "{base} {beta}");
            }
        }
    }

    #[test]
    fn a_map_smaller_than_the_radius_keeps_what_fits() {
        assert_eq!(affinities(Array2::zeros((1, 1)).view(), 5, 10.0).census(), (1, 1.0));
        assert_eq!(affinities(Array2::zeros((2, 1)).view(), 5, 10.0).census(), (4, 4.0));
    }
}
