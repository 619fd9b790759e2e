//! Bilinear enlargement by a whole factor with half-pixel centres (`align_corners=False`).

use rayon::prelude::*;

/// The two inputs an output lies between, and how much of the second it takes.
pub struct Tap {
    low: usize,
    high: usize,
    share: f32,
}

/// Those of every output of an axis.
pub fn taps(size: usize, factor: usize) -> Vec<Tap> {
    let tap = |i: usize| {
        let centre = ((i as f32 + 0.5) / factor as f32 - 0.5).max(0.0);
        let low = (centre as usize).min(size - 1);
        Tap { low, high: (low + 1).min(size - 1), share: centre - low as f32 }
    };
    (0..size * factor).map(tap).collect()
}

/// A plane of `width` columns becomes `y`, which may end before the taps do.
pub fn enlarge(x: &[f32], width: usize, [rows, columns]: [&[Tap]; 2], y: &mut [f32]) {
    // Along the rows first, as PyTorch does: its results round the same way.
    let mut wide = vec![0f32; x.len() / width * columns.len()];
    for (wide, x) in wide.chunks_exact_mut(columns.len()).zip(x.chunks_exact(width)) {
        for (wide, tap) in wide.iter_mut().zip(columns) {
            *wide = x[tap.low] * (1.0 - tap.share) + x[tap.high] * tap.share;
        }
    }
    for (y, tap) in y.chunks_exact_mut(columns.len()).zip(rows) {
        let (low, high) = (&wide[tap.low * columns.len()..], &wide[tap.high * columns.len()..]);
        for ((y, low), high) in y.iter_mut().zip(low).zip(high) {
            *y = low * (1.0 - tap.share) + high * tap.share;
        }
    }
}

/// The transpose of [`enlarge`]: `dx` is increased.
pub fn add_gradient(dy: &[f32], width: usize, [rows, columns]: [&[Tap]; 2], dx: &mut [f32]) {
    let mut line = vec![0f32; width];
    for (dy, tap) in dy.chunks_exact(columns.len()).zip(rows) {
        line.fill(0.0);
        for (dy, tap) in dy.iter().zip(columns) {
            line[tap.low] += dy * (1.0 - tap.share);
            line[tap.high] += dy * tap.share;
        }
        let mut add = |row: usize, share: f32| {
            let dx = &mut dx[row * width..(row + 1) * width];
            dx.iter_mut().zip(&line).for_each(|(dx, line)| *dx += line * share);
        };
        add(tap.low, 1.0 - tap.share);
        add(tap.high, tap.share);
    }
}

/// Planes `x` of a size, enlarged.
pub fn run(x: &[f32], (height, width): (usize, usize), factor: usize, y: &mut [f32]) {
    let [rows, columns] = [taps(height, factor), taps(width, factor)];
    let planes = y.par_chunks_exact_mut(rows.len() * columns.len());
    planes.zip(x.par_chunks_exact(height * width)).for_each(|(y, x)| {
        enlarge(x, width, [&rows, &columns], y);
    });
}

/// The gradient `dx` of planes of a size from that of what they were enlarged to.
pub fn gradient(dy: &[f32], (height, width): (usize, usize), factor: usize, dx: &mut [f32]) {
    let [rows, columns] = [taps(height, factor), taps(width, factor)];
    let planes = dx.par_chunks_exact_mut(height * width);
    planes.zip(dy.par_chunks_exact(rows.len() * columns.len())).for_each(|(dx, dy)| {
        dx.fill(0.0);
        add_gradient(dy, width, [&rows, &columns], dx);
    });
}

#[cfg(test)]
mod tests {
    use crate::FeatureMap;
    use crate::ops::testing::{agree, naive_upsample, var};

    #[test]
    fn agrees_with_plain_operations() {
        for (height, width, factor) in [(1, 1, 2), (1, 5, 4), (7, 3, 2), (5, 6, 4), (4, 3, 3)] {
            let x = var("x", &[2, 3, height, width]);
            agree(&[&x], &[], |x| x[0].upsample(factor), || naive_upsample(&x, factor), 1e-5);
        }
    }
}
