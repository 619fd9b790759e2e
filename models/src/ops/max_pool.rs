//! The stem's 3x3 maximum with stride 2 and padding 1.

use rayon::prelude::*;

/// Rows and columns of the output.
pub fn size((height, width): (usize, usize)) -> (usize, usize) {
    (height.div_ceil(2), width.div_ceil(2))
}

/// The maxima `y` of planes `x` of a size.
pub fn run(x: &[f32], from: (usize, usize), y: &mut [f32]) {
    let (rows, columns) = size(from);
    let planes = y.par_chunks_exact_mut(rows * columns).zip(x.par_chunks_exact(from.0 * from.1));
    planes.for_each(|(y, x)| pool_plane(x, from, y));
}

/// The gradient `dx` of planes `x` of a size from that of their maxima.
pub fn gradient(x: &[f32], from: (usize, usize), dy: &[f32], dx: &mut [f32]) {
    let (rows, columns) = size(from);
    let planes = dx.par_chunks_exact_mut(from.0 * from.1).zip(x.par_chunks_exact(from.0 * from.1));
    planes.zip(dy.par_chunks_exact(rows * columns)).for_each(|((dx, x), dy)| {
        dx.fill(0.0);
        scatter_plane(x, from, dy, dx);
    });
}

/// Each output's gradient goes to the first maximum of its window, in raster order.
fn scatter_plane(x: &[f32], (height, width): (usize, usize), dy: &[f32], dx: &mut [f32]) {
    for (row, dy) in dy.chunks_exact(width.div_ceil(2)).enumerate() {
        for (column, dy) in dy.iter().enumerate() {
            let (top, left) = ((2 * row).saturating_sub(1), (2 * column).saturating_sub(1));
            let (bottom, right) = ((2 * row + 1).min(height - 1), (2 * column + 1).min(width - 1));
            let mut at = top * width + left;
            for y in top..=bottom {
                for candidate in y * width + left..=y * width + right {
                    if x[candidate] > x[at] {
                        at = candidate;
                    }
                }
            }
            dx[at] += dy;
        }
    }
}

fn pool_plane(x: &[f32], (height, width): (usize, usize), y: &mut [f32]) {
    let mut line = vec![0f32; width];
    for (row, y) in y.chunks_exact_mut(width.div_ceil(2)).enumerate() {
        // Rows outside the map are replaced by one inside: a repeated value never changes a maximum.
        let rows = [(2 * row).saturating_sub(1), 2 * row, (2 * row + 1).min(height - 1)];
        let [above, middle, below] = rows.map(|row| &x[row * width..(row + 1) * width]);
        for (((line, a), b), c) in line.iter_mut().zip(above).zip(middle).zip(below) {
            *line = a.max(*b).max(*c);
        }
        for (column, y) in y.iter_mut().enumerate() {
            let first = (2 * column).saturating_sub(1);
            let last = (2 * column + 1).min(width - 1);
            *y = line[first..=last].iter().copied().fold(f32::NEG_INFINITY, f32::max);
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Tensor;

    use super::*;
    use crate::FeatureMap;
    use crate::ops::testing::{naive_max_pool, numbers};

    #[test]
    fn agrees_with_plain_operations() {
        for (height, width) in [(1, 1), (2, 5), (7, 4), (9, 9), (6, 8)] {
            // All negative: a padding with zeros would show.
            let x = (numbers("x", &[2, 3, height, width]) - 5.0).unwrap();
            let (ours, naive) = (x.max_pool().unwrap(), naive_max_pool(&x).unwrap());
            assert_eq!(ours.dims(), naive.dims());
            let flat = |x: Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(flat(ours), flat(naive));
        }
    }

    #[test]
    fn the_gradient_goes_to_the_first_maximum() {
        let x = [1f32, 5.0, 5.0, 0.0, 2.0, 5.0, 3.0, 9.0, 4.0, 4.0, 4.0, 4.0];
        let mut dx = [7f32; 12];
        gradient(&x, (3, 4), &[1.0, 10.0, 100.0, 1000.0], &mut dx);
        assert_eq!(dx, [0., 1., 0., 0., 0., 100., 0., 1010., 0., 0., 0., 0.]);
    }
}
