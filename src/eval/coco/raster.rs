//! A COCO polygon back to a mask: a port of cocoapi's `rleFrPoly` (`maskApi.c`), whose five-fold supersampled
//! outline decides which pixels a polygon covers for every COCO tool.

use anyhow::{Result, ensure};
use ndarray::Array2;

use super::rle::Rle;

/// Points per pixel along the outline.
const SCALE: f64 = 5.0;

/// Largest coordinate accepted, in pixels: the outline is walked point by point.
const MAX_COORDINATE: f64 = 1e5;

/// The pixels `[height, width]` that any of `polygons` (x, y, x, y, ...) covers.
///
/// # Errors
/// Those of [`encode`].
pub fn rasterise(polygons: &[Vec<f64>], height: usize, width: usize) -> Result<Array2<bool>> {
    Ok(encode(polygons, height, width)?.mask())
}

/// Run lengths of the pixels that any of `polygons` covers: `merge(frPyObjects(polygons, height, width))`.
///
/// # Errors
/// When a polygon has fewer than three points, an odd number of values, or a coordinate beyond 100 000.
pub fn encode(polygons: &[Vec<f64>], height: usize, width: usize) -> Result<Rle> {
    let mut runs = Vec::new();
    for polygon in polygons {
        let values = polygon.len();
        ensure!(
            values >= 6 && values % 2 == 0,
            "a polygon of {values} values: at least 3 points x, y"
        );
        let usable = polygon.iter().all(|value| value.abs() <= MAX_COORDINATE);
        ensure!(
            usable,
            "a polygon coordinate is not a number between -{MAX_COORDINATE} and {MAX_COORDINATE}"
        );
        let crossings = crossings(&outline(polygon), height, width);
        let end = |pair: &[usize]| pair.get(1).copied().unwrap_or(height * width);
        runs.extend(crossings.chunks(2).map(|pair| (pair[0], end(pair))));
    }
    runs.sort_unstable();
    Ok(Rle::from_runs(height, width, &runs))
}

/// All points along the closed outline, in fifths of a pixel.
fn outline(polygon: &[f64]) -> Vec<(i64, i64)> {
    let fifths = |value: f64| (SCALE * value + 0.5) as i64;
    let corners: Vec<_> = polygon.chunks_exact(2).map(|p| (fifths(p[0]), fifths(p[1]))).collect();
    let ends = corners.iter().cycle().skip(1);
    corners.iter().zip(ends).flat_map(|(&from, &to)| line(from, to)).collect()
}

/// One point per step along the longer axis, always computed from the lower end on.
fn line(from: (i64, i64), to: (i64, i64)) -> Vec<(i64, i64)> {
    let (dx, dy) = ((to.0 - from.0).abs(), (to.1 - from.1).abs());
    let flat = dx >= dy;
    let swap = |(x, y): (i64, i64)| if flat { (x, y) } else { (y, x) };
    let (start, end) = (swap(from), swap(to));
    let flip = start.0 > end.0;
    let (low, high) = if flip { (end, start) } else { (start, end) };
    let steps = high.0 - low.0;
    let slope = if steps > 0 { (high.1 - low.1) as f64 / steps as f64 } else { 0.0 };
    let point = |t: i64| swap((low.0 + t, (low.1 as f64 + slope * t as f64 + 0.5) as i64));
    (0..=steps).map(|step| point(if flip { steps - step } else { step })).collect()
}

/// Column-major positions where the outline passes the middle of a pixel column: inside and outside swap there.
fn crossings(outline: &[(i64, i64)], height: usize, width: usize) -> Vec<usize> {
    let mut found = Vec::new();
    for pair in outline.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        if x0 == x1 {
            continue;
        }
        let x = (x0.min(x1) as f64 + 0.5) / SCALE - 0.5;
        if x.floor() != x || x < 0.0 || x > width as f64 - 1.0 {
            continue;
        }
        let y = ((y0.min(y1) as f64 + 0.5) / SCALE - 0.5).clamp(0.0, height as f64).ceil();
        found.push(x as usize * height + y as usize);
    }
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rectangle_covers_its_pixels() {
        let mask = rasterise(&[vec![1.0, 1.0, 5.0, 1.0, 5.0, 4.0, 1.0, 4.0]], 6, 8).unwrap();
        let expected =
            Array2::from_shape_fn((6, 8), |(y, x)| (1..4).contains(&y) && (1..5).contains(&x));
        assert_eq!(mask, expected);
    }

    #[test]
    fn bad_polygons_are_refused() {
        for polygon in [vec![1.0; 4], vec![1.0; 7], vec![f64::NAN; 6], vec![1e9; 6]] {
            assert!(rasterise(&[polygon], 4, 4).is_err());
        }
    }
}
