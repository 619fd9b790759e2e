//! The stem's 3x3 maximum with stride 2 and padding 1.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::slices;

/// See [`crate::FeatureMap::max_pool`].
pub fn max_pool(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(MaxPool)
}

struct MaxPool;

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "max-pool"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, c, height, width) = layout.shape().dims4()?;
        if height * width == 0 {
            bail!("max-pool of {:?}", layout.shape());
        }
        let (rows, columns) = (height.div_ceil(2), width.div_ceil(2));
        let x = slices::argument(storage, layout)?;
        let mut y = vec![0f32; n * c * rows * columns];
        let planes = y.par_chunks_exact_mut(rows * columns).zip(x.par_chunks_exact(height * width));
        planes.for_each(|(y, x)| pool_plane(x, (height, width), y));
        Ok((CpuStorage::F32(y), (n, c, rows, columns).into()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        if !x.track_op() {
            return Ok(None);
        }
        let (_, _, height, width) = x.dims4()?;
        let dx = slices::with([x, &dy.contiguous()?], |[x_values, dy]| {
            let mut dx = vec![0f32; x_values.len()];
            let planes = dx.par_chunks_exact_mut(height * width);
            let pooled = height.div_ceil(2) * width.div_ceil(2);
            planes
                .zip(x_values.par_chunks_exact(height * width))
                .zip(dy.par_chunks_exact(pooled))
                .for_each(|((dx, x), dy)| scatter_plane(x, (height, width), dy, dx));
            Ok(dx)
        })?;
        Tensor::from_vec(dx, x.shape(), x.device()).map(Some)
    }
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
    use super::*;
    use crate::ops::testing::{naive_max_pool, numbers};

    #[test]
    fn agrees_with_plain_operations() {
        for (height, width) in [(1, 1), (2, 5), (7, 4), (9, 9), (6, 8)] {
            // All negative: a padding with zeros would show.
            let x = (numbers("x", &[2, 3, height, width]) - 5.0).unwrap();
            let (ours, naive) = (max_pool(&x).unwrap(), naive_max_pool(&x).unwrap());
            assert_eq!(ours.dims(), naive.dims());
            let flat = |x: Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(flat(ours), flat(naive));
        }
    }

    #[test]
    fn the_gradient_goes_to_the_first_maximum() {
        let x = [1f32, 5.0, 5.0, 0.0, 2.0, 5.0, 3.0, 9.0, 4.0, 4.0, 4.0, 4.0];
        let x = candle_core::Var::from_vec(x.to_vec(), (1, 1, 3, 4), &candle_core::Device::Cpu)
            .unwrap();
        let weights = Tensor::new(&[[[[1f32, 10.0], [100.0, 1000.0]]]], x.device()).unwrap();
        let loss = (max_pool(&x).unwrap() * weights).unwrap().sum_all().unwrap();
        let dx = loss.backward().unwrap().get(&x).unwrap().flatten_all().unwrap();
        let expected = [0., 1., 0., 0., 0., 100., 0., 1010., 0., 0., 0., 0.];
        assert_eq!(dx.to_vec1::<f32>().unwrap(), expected);
    }
}
