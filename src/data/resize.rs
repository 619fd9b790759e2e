//! Pillow's resizing, bit for bit: bicubic of `Resample.c`, nearest of `Geometry.c` (10.4).
//!
//! The quality of the CAMs depends on it (ALGORITHMS section 12). Bicubic is two passes in 22-bit
//! fixed point with rounding to u8 in between; the horizontal pass comes first.

use std::borrow::Cow;

use ndarray::{Array2, Array3, ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;

use crate::vectors::widest;

/// Fixed-point precision of the weights.
const PRECISION: u32 = 22;
/// Values of one pixel that are worked on together.
const LANES: usize = 4;

/// `(h, w)` times `scale`, each rounded half to even as numpy does; a side can become 0.
pub fn scaled_size((h, w): (usize, usize), scale: f64) -> (usize, usize) {
    let scaled = |side: usize| (side as f64 * scale).round_ties_even() as usize;
    (scaled(h), scaled(w))
}

/// The size of a photo whose long side becomes `long`, sides in proportion (upstream's
/// `random_resize_long`), at least one pixel each.
pub fn size_with_long_side((h, w): (usize, usize), long: usize) -> (usize, usize) {
    let short = |a: usize, b: usize| {
        let exact = (a * long) as f64 / b.max(1) as f64;
        (exact.round_ties_even() as usize).max(1)
    };
    if w < h { (long, short(w, h)) } else { (short(h, w), long) }
}

/// Bicubic resize of a photo `[H, W, 3]` by `scale`; a side never gets shorter than one pixel.
pub fn rescale(photo: ArrayView3<u8>, scale: f64) -> Array3<u8> {
    let (h, w, _) = photo.dim();
    let (h, w) = scaled_size((h, w), scale);
    bicubic(photo, (h.max(1), w.max(1)))
}

/// Bicubic resize of `[H, W, C]` to `(h, w)`, antialiased when shrinking; C is at most 4.
///
/// # Panics
/// When C is larger.
pub fn bicubic(picture: ArrayView3<u8>, (h, w): (usize, usize)) -> Array3<u8> {
    let (in_h, in_w, channels) = picture.dim();
    assert!(channels <= LANES, "a picture has at most {LANES} channels, not {channels}");
    if picture.is_empty() {
        return Array3::zeros((h, w, channels));
    }
    let picture = picture.as_standard_layout();
    let mut values = Cow::from(picture.as_slice().expect("standard layout"));
    if w != in_w {
        values = Cow::from(horizontal(&values, channels, &Weights::new(in_w, w)));
    }
    if h != in_h {
        values = Cow::from(vertical(&values, w * channels, &Weights::new(in_h, h)));
    }
    let values = values.into_owned();
    Array3::from_shape_vec((h, w, channels), values).expect("the passes make h x w pixels")
}

/// Bicubic resize of a single channel `[H, W]` to `(h, w)`.
pub fn bicubic_grey(picture: ArrayView2<u8>, size: (usize, usize)) -> Array2<u8> {
    bicubic(picture.insert_axis(Axis(2)), size).index_axis_move(Axis(2), 0)
}

/// Nearest-neighbour resize of `[H, W]` to `(h, w)`: the source coordinate starts at half a step
/// and is accumulated, so rounding errors fall where Pillow's do.
pub fn nearest(label: ArrayView2<u8>, (h, w): (usize, usize)) -> Array2<u8> {
    let (rows, columns) = (sources(label.nrows(), h), sources(label.ncols(), w));
    if label.is_empty() {
        return Array2::zeros((h, w));
    }
    Array2::from_shape_fn((h, w), |(y, x)| label[[rows[y], columns[x]]])
}

/// The source index of every output index along one axis.
fn sources(length: usize, out: usize) -> Vec<usize> {
    let step = length as f64 / out as f64;
    let mut at = step * 0.5;
    let next = |_| {
        let index = (at as usize).min(length.saturating_sub(1));
        at += step;
        index
    };
    (0..out).map(next).collect()
}

/// For every output index the range of source indices and their weights.
struct Weights {
    length: usize,
    ranges: Vec<(usize, usize)>,
    /// All weights, one output index after the other.
    taps: Vec<i32>,
    /// Where those of each output index start.
    starts: Vec<usize>,
}

impl Weights {
    fn new(length: usize, out: usize) -> Self {
        let scale = length as f64 / out as f64;
        let mut weights = Self { length, ranges: vec![], taps: vec![], starts: vec![] };
        for index in 0..out {
            let (first, taps) = taps_of(index, scale, scale.max(1.0), length);
            weights.ranges.push((first, taps.len()));
            weights.starts.push(weights.taps.len());
            weights.taps.extend(taps);
        }
        weights
    }

    fn of(&self, index: usize) -> (usize, &[i32]) {
        let (first, count) = self.ranges[index];
        (first, &self.taps[self.starts[index]..][..count])
    }

    fn out(&self) -> usize {
        self.ranges.len()
    }
}

/// First source index and fixed-point weights of output `index`.
fn taps_of(index: usize, scale: f64, stretch: f64, length: usize) -> (usize, Vec<i32>) {
    let support = 2.0 * stretch;
    let center = (index as f64 + 0.5) * scale;
    let start = (center - support + 0.5).max(0.0) as usize;
    let end = ((center + support + 0.5) as usize).min(length);
    let per_pixel = 1.0 / stretch;
    let weight = |i: usize| cubic((i as f64 - center + 0.5) * per_pixel);
    let weights: Vec<f64> = (start..end).map(weight).collect();
    let sum: f64 = weights.iter().sum();
    let fixed = |weight: f64| {
        let scaled = if sum == 0.0 { weight } else { weight / sum } * f64::from(1 << PRECISION);
        (scaled + 0.5f64.copysign(scaled)) as i32
    };
    (start, weights.into_iter().map(fixed).collect())
}

/// Keys' cubic with a = -0.5, in Pillow's order of operations.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

const HALF: i32 = 1 << (PRECISION - 1);

fn to_u8(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

fn horizontal(values: &[u8], channels: usize, weights: &Weights) -> Vec<u8> {
    let (in_row, out_row) = (weights.length * channels, weights.out() * channels);
    let mut out = vec![0; values.len() / in_row * out_row];
    let rows = out.par_chunks_exact_mut(out_row.max(1)).zip(values.par_chunks_exact(in_row));
    rows.with_min_len(8).for_each_init(
        // Every pixel is read as LANES values, whatever the channels: the last ones need company.
        || vec![0; in_row + LANES],
        |padded, (out, row)| {
            padded[..in_row].copy_from_slice(row);
            widest!(horizontal_row(padded: &[u8], out: &mut [u8], channels: usize, weights: &Weights));
        },
    );
    out
}

#[inline(always)]
fn horizontal_row(padded: &[u8], out: &mut [u8], channels: usize, weights: &Weights) {
    for (index, out) in out.chunks_exact_mut(channels).enumerate() {
        let (first, taps) = weights.of(index);
        let mut sums = [HALF; LANES];
        for (at, &tap) in (first * channels..).step_by(channels).zip(taps) {
            let Some(pixel) = padded[at..].first_chunk::<LANES>() else { break };
            for (sum, &value) in sums.iter_mut().zip(pixel) {
                *sum += i32::from(value) * tap;
            }
        }
        out.copy_from_slice(&sums.map(to_u8)[..channels]);
    }
}

/// Rows of `row` values each are summed with the weights of their output row.
fn vertical(values: &[u8], row: usize, weights: &Weights) -> Vec<u8> {
    let mut out = vec![0; weights.out() * row];
    let rows = out.par_chunks_exact_mut(row.max(1)).enumerate().with_min_len(8);
    rows.for_each_init(
        || vec![0; row],
        |sums, (index, out)| {
            let (first, taps) = weights.of(index);
            let sources = &values[first * row..];
            widest!(vertical_row(sources: &[u8], out: &mut [u8], sums: &mut [i32], taps: &[i32]));
        },
    );
    out
}

#[inline(always)]
fn vertical_row(sources: &[u8], out: &mut [u8], sums: &mut [i32], taps: &[i32]) {
    sums.fill(HALF);
    for (source, &tap) in sources.chunks_exact(sums.len()).zip(taps) {
        for (sum, &value) in sums.iter_mut().zip(source) {
            *sum += i32::from(value) * tap;
        }
    }
    for (out, &sum) in out.iter_mut().zip(sums.iter()) {
        *out = to_u8(sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_round_half_to_even() {
        assert_eq!(scaled_size((375, 333), 0.5), (188, 166));
        assert_eq!(scaled_size((5, 1), 0.5), (2, 0));
        assert_eq!(size_with_long_side((500, 375), 423), (423, 317));
        assert_eq!(size_with_long_side((1, 2000), 320), (1, 320));
    }

    #[test]
    fn a_flat_picture_stays_flat() {
        for value in [0, 1, 127, 255] {
            let flat = Array3::from_elem((31, 17, 3), value);
            for size in [(64, 64), (5, 3), (31, 40), (1, 1)] {
                assert!(bicubic(flat.view(), size).iter().all(|&v| v == value));
            }
        }
    }

    #[test]
    fn one_pixel_wide_pictures_resize() {
        let thin = Array3::from_shape_fn((9, 1, 3), |(y, _, _)| 20 * y as u8);
        assert_eq!(rescale(thin.view(), 0.5).dim(), (4, 1, 3));
        assert_eq!(rescale(thin.view(), 2.0).dim(), (18, 2, 3));
    }

    #[test]
    fn a_quarter_takes_pixel_4i_plus_2() {
        let label = Array2::from_shape_fn((128, 128), |(y, x)| (3 * y + x) as u8);
        let quarter = nearest(label.view(), (32, 32));
        assert_eq!(quarter[[3, 5]], label[[14, 22]]);
        assert_eq!(quarter[[31, 0]], label[[126, 2]]);
    }
}
