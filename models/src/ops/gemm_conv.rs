//! Convolution as matrix products on tiles.

use std::cell::RefCell;
use std::ops::Range;

use rayon::prelude::*;

use super::im2col::{Geometry, gather};
use super::slices::Shared;

/// A tile's copy of the input: half of a core's second-level cache or so.
const BYTES: usize = 2 << 20;
/// Tasks of a forward pass at least, if each still has [`PIXELS`].
const TASKS: usize = 4;
const PIXELS: usize = 128;

/// What happens to a tile while it is in cache.
#[derive(Clone, Copy, Default)]
pub struct Finish<'a> {
    /// What each channel is multiplied by.
    pub scale: Option<&'a [f32]>,
    /// What is added to each channel.
    pub shift: Option<&'a [f32]>,
    /// Added to each value.
    pub residual: Option<&'a [f32]>,
    /// Whether the positive part is taken last.
    pub relu: bool,
}

/// `(m, n)` at `target` (row stride `stride`) becomes, or is increased by, `(m, k)` times `(k, n)`.
///
/// # Safety
/// All three lie inside their allocations and `target` is nobody else's.
pub unsafe fn product(
    [m, n, k]: [usize; 3],
    (target, stride, add): (*mut f32, usize, bool),
    (a, a_row, a_column): (*const f32, usize, usize),
    (b, b_row, b_column): (*const f32, usize, usize),
) {
    let [stride, a_row, a_column, b_row, b_column] =
        [stride, a_row, a_column, b_row, b_column].map(|stride| stride as isize);
    // SAFETY: the caller's promise.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            target,
            1,
            stride,
            add,
            a,
            a_column,
            a_row,
            b,
            b_column,
            b_row,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// Calls `f` with a buffer of the thread's own, of unspecified content.
pub fn with_buffer<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    thread_local!(static BUFFER: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) });
    BUFFER.with_borrow_mut(|buffer| {
        if buffer.len() < len {
            buffer.resize(len, 0.0);
        }
        f(&mut buffer[..len])
    })
}

/// Output rows of a tile.
fn forward_rows(g: &Geometry) -> usize {
    let shared = (g.images * g.rows_out()).div_ceil(TASKS).max(PIXELS.div_ceil(g.columns_out()));
    let rows = g.tile_rows(BYTES, g.depth()).min(shared);
    g.rows_out().div_ceil(g.rows_out().div_ceil(rows))
}

/// The output `y`, `(images, c_out, rows_out, columns_out)`, for weights `(c_out, depth)`.
pub fn forward(g: &Geometry, x: &[f32], weights: &[f32], finish: Finish, y: &mut [f32]) {
    let rows = forward_rows(g);
    let tiles = g.rows_out().div_ceil(rows);
    assert_eq!(y.len(), g.images * g.image_out(), "the output's size");
    let y = Shared::new(y);
    (0..g.images * tiles).into_par_iter().for_each(|task| {
        let (image, tile) = (task / tiles, task % tiles);
        let rows = tile * rows..((tile + 1) * rows).min(g.rows_out());
        let x = &x[image * g.image_in()..(image + 1) * g.image_in()];
        // SAFETY: each task has an image and rows of its own.
        unsafe { forward_tile(g, x, weights, image, &rows, y) };
        // SAFETY: as above, and the values are written now.
        unsafe { finish_tile(g, finish, image, &rows, y) };
    });
}

/// # Safety
/// `y` is the whole output, and nobody else touches these rows of this image.
unsafe fn forward_tile(
    g: &Geometry,
    x: &[f32],
    weights: &[f32],
    image: usize,
    rows: &Range<usize>,
    y: Shared,
) {
    let (pixels, all, depth) = (rows.len() * g.columns_out(), g.pixels_out(), g.depth());
    let first = rows.start * g.columns_out();
    // SAFETY: the caller's promise; the offset is that of the tile's first pixel.
    let run = |b: *const f32, stride: usize| unsafe {
        let target = y.at(image * g.c_out * all + first);
        let a = (weights.as_ptr(), depth, 1);
        product([g.c_out, pixels, depth], (target, all, false), a, (b, stride, 1));
    };
    if g.direct() {
        return run(x[first..].as_ptr(), all);
    }
    with_buffer(depth * pixels, |columns| {
        gather(g, x, rows, columns);
        run(columns.as_ptr(), pixels);
    });
}

/// What happens to a tile once its products are written.
///
/// # Safety
/// `y` is the whole output, and nobody else touches these rows of this image.
pub unsafe fn finish_tile(
    g: &Geometry,
    finish: Finish,
    image: usize,
    rows: &Range<usize>,
    y: Shared,
) {
    let width = g.columns_out();
    let Finish { scale, shift, residual, relu } = finish;
    if scale.is_none() && shift.is_none() && residual.is_none() && !relu {
        return;
    }
    let lowest = if relu { 0.0 } else { f32::NEG_INFINITY };
    // Unlike `max`, this keeps NaN: a diverged network must not look healthy.
    let clip = |y: f32| if y < lowest { lowest } else { y };
    for channel in 0..g.c_out {
        let start = (image * g.c_out + channel) * g.pixels_out() + rows.start * width;
        let pixels = rows.len() * width;
        // SAFETY: the caller's promise.
        let y = unsafe { std::slice::from_raw_parts_mut(y.at(start), pixels) };
        let scale = scale.map_or(1.0, |scale| scale[channel]);
        let shift = shift.map_or(0.0, |shift| shift[channel]);
        match residual {
            Some(residual) => {
                let residual = &residual[start..start + pixels];
                y.iter_mut().zip(residual).for_each(|(y, r)| *y = clip(*y * scale + (shift + r)));
            }
            None => y.iter_mut().for_each(|y| *y = clip(*y * scale + shift)),
        }
    }
}
