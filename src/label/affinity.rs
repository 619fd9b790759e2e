//! Affinities of pixel pairs from the boundary map (equation 3 of the paper): 1 - the strongest
//! boundary on the straight line between two pixels, both ends included.

use irn_models::pairs::{Direction, directions};
use ndarray::ArrayView2;

use super::banded::Banded;

/// Affinities of all pairs closer than `radius`, each raised to the power `beta`; 1 on the diagonal.
///
/// `edge` `[h,w]` holds boundary probabilities.
pub fn affinities(edge: ArrayView2<f32>, radius: usize, beta: f64) -> Banded {
    let (height, width) = edge.dim();
    let fits = |d: &Direction| (d.dy as usize) < height && d.dx.unsigned_abs() < width;
    let directions: Vec<_> = directions(radius).into_iter().filter(fits).collect();
    let edge = edge.as_standard_layout();
    let edge = edge.as_slice().expect("standard layout");
    let offsets = directions.iter().map(|d| (d.dy as usize, d.dx)).collect();
    Banded::new((height, width), offsets, |index, y, line| {
        let Direction { dx, path, .. } = &directions[index];
        let first = y * width + usize::try_from(-dx).unwrap_or(0);
        line.fill(f32::NEG_INFINITY);
        for &(down, right) in path {
            let start = first.strict_add_signed(down * width as isize + right);
            for (strongest, &edge) in line.iter_mut().zip(&edge[start..]) {
                // Unlike `f32::max` a single instruction; numbers only.
                *strongest = if edge > *strongest { edge } else { *strongest };
            }
        }
        line.iter_mut().for_each(|strongest| *strongest = 1.0 - *strongest);
        raise(line, beta);
    })
}

/// Raises every value to the power `beta`; whole exponents by squaring, which is many times faster.
fn raise(values: &mut [f32], beta: f64) {
    if beta.fract() != 0.0 || !(1.0..=1024.0).contains(&beta) {
        values.iter_mut().for_each(|value| *value = f64::from(*value).powf(beta) as f32);
        return;
    }
    let bases = values.to_vec();
    // From the highest bit of the exponent downwards; the first one is the base itself.
    let beta = beta as u32;
    for bit in (0..beta.ilog2()).rev() {
        let odd = beta >> bit & 1 == 1;
        for (value, base) in values.iter_mut().zip(&bases) {
            let square = *value * *value;
            *value = if odd { square * base } else { square };
        }
    }
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
            let mut values = [0.0, 0.3, 0.77, 1.0];
            raise(&mut values, beta);
            for (value, base) in values.iter().zip([0.0f32, 0.3, 0.77, 1.0]) {
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
