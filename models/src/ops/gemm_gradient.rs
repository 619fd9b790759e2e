//! The gradients of a convolution as matrix products on tiles: of its matrix, and of its input.

use std::ops::Range;

use rayon::prelude::*;

use super::gemm_conv::{Finish, Matrix, forward, product, with_buffer};
use super::im2col::{Geometry, gather, scatter};
use super::slices::{self, Shared};

/// A tile's copy of the input, longer than in the forward pass: longer products pay.
const BYTES: usize = 4 << 20;
/// Tasks that share the input channels.
const CHANNEL_BLOCKS: usize = 8;

/// Ranges of channels, a block each.
fn blocks(channels: usize) -> (usize, usize) {
    let size = channels.div_ceil(CHANNEL_BLOCKS).max(1);
    (size, channels.div_ceil(size))
}

/// The gradient of the matrix, `(c_out, stride)`; where `stride` exceeds the depth, the column after the
/// weights is that of the shift.
pub fn matrix_gradient(g: &Geometry, x: &[f32], dy: &[f32], stride: usize) -> Vec<f32> {
    let (size, count) = blocks(g.c_in);
    let mut gradient = vec![0f32; g.c_out * stride];
    let target = Shared::new(&mut gradient);
    (0..count).into_par_iter().for_each(|block| {
        let channels = block * size..((block + 1) * size).min(g.c_in);
        // SAFETY: each task has columns of its own.
        unsafe { matrix_block(g, x, dy, channels, target, stride) };
    });
    if stride > g.depth() {
        let rows = gradient.par_chunks_exact_mut(stride).enumerate();
        rows.for_each(|(channel, row)| row[g.depth()] = channel_sum(g, dy, channel));
    }
    gradient
}

pub fn channel_sum(g: &Geometry, dy: &[f32], channel: usize) -> f32 {
    let start = |image| (image * g.c_out + channel) * g.pixels_out();
    let image = |image| slices::sum(&dy[start(image)..start(image) + g.pixels_out()], f64::from);
    (0..g.images).map(image).sum::<f64>() as f32
}

/// # Safety
/// `target` is the whole gradient, and nobody else touches the columns of `channels`.
unsafe fn matrix_block(
    g: &Geometry,
    x: &[f32],
    dy: &[f32],
    channels: Range<usize>,
    target: Shared,
    stride: usize,
) {
    let (plane, all, taps) = (g.height * g.width, g.pixels_out(), g.kernel * g.kernel);
    let depth = channels.len() * taps;
    let step = if g.direct() { g.rows_out() } else { g.tile_rows(BYTES, depth) };
    let mut add = false;
    for image in 0..g.images {
        let x = &x[image * g.image_in()..][channels.start * plane..channels.end * plane];
        for start in (0..g.rows_out()).step_by(step) {
            let rows = start..(start + step).min(g.rows_out());
            let pixels = rows.len() * g.columns_out();
            let dy = &dy[image * g.c_out * all + start * g.columns_out()..];
            // SAFETY: the caller's promise.
            let run = |b: *const f32, b_stride: usize| unsafe {
                let target = target.at(channels.start * taps);
                let (a, b) = ((dy.as_ptr(), all, 1), (b, 1, b_stride));
                product([g.c_out, depth, pixels], (target, stride, add), a, b);
            };
            if g.direct() {
                run(x.as_ptr(), all);
            } else {
                with_buffer(depth * pixels, |columns| {
                    gather(g, x, &rows, columns);
                    run(columns.as_ptr(), pixels);
                });
            }
            add = true;
        }
    }
}

/// The gradient of the input; `stride` is the matrix's row stride.
pub fn input_gradient(g: &Geometry, matrix: &[f32], stride: usize, dy: &[f32]) -> Vec<f32> {
    let Some(turned) = g.turned() else { return scattered_gradient(g, matrix, stride, dy) };
    if g.direct() {
        let transposed = Matrix { values: matrix, row: 1, column: stride };
        forward(&turned, dy, transposed, Finish::default())
    } else {
        let kernel = turned_kernel(g, matrix, stride);
        let kernel = Matrix { values: &kernel, row: turned.depth(), column: 1 };
        forward(&turned, dy, kernel, Finish::default())
    }
}

/// `(c_in, c_out * kernel^2)`, every kernel turned by half a turn. Input channels go by sixteen: a single
/// one's weights lie far apart.
pub fn turned_kernel(g: &Geometry, matrix: &[f32], stride: usize) -> Vec<f32> {
    const CHANNELS: usize = 16;
    let taps = g.kernel * g.kernel;
    let row = g.c_out * taps;
    let mut turned = vec![0f32; g.c_in * row];
    turned.par_chunks_mut(CHANNELS * row).enumerate().for_each(|(block, rows)| {
        let first = block * CHANNELS * taps;
        for c_out in 0..g.c_out {
            let source = matrix[c_out * stride + first..].chunks_exact(taps);
            for (row, source) in rows.chunks_exact_mut(row).zip(source) {
                let target = &mut row[c_out * taps..][..taps];
                for (target, &source) in target.iter_mut().zip(source.iter().rev()) {
                    *target = source;
                }
            }
        }
    });
    turned
}

fn scattered_gradient(g: &Geometry, matrix: &[f32], stride: usize, dy: &[f32]) -> Vec<f32> {
    let (plane, all, taps) = (g.height * g.width, g.pixels_out(), g.kernel * g.kernel);
    let (size, _) = blocks(g.c_in);
    let mut dx = vec![0f32; g.images * g.image_in()];
    let images = dx.par_chunks_exact_mut(g.image_in()).enumerate();
    let parts = images.flat_map(|(image, dx)| {
        dx.par_chunks_mut(size * plane).enumerate().map(move |(block, dx)| (image, block, dx))
    });
    parts.for_each(|(image, block, dx)| {
        let depth = dx.len() / plane * taps;
        let step = g.tile_rows(BYTES, depth);
        for start in (0..g.rows_out()).step_by(step) {
            let rows = start..(start + step).min(g.rows_out());
            let pixels = rows.len() * g.columns_out();
            let dy = &dy[image * g.c_out * all + start * g.columns_out()..];
            let matrix = &matrix[block * size * taps..];
            with_buffer(depth * pixels, |columns| {
                let (a, b) = ((matrix.as_ptr(), 1, stride), (dy.as_ptr(), all, 1));
                // SAFETY: the buffer is this thread's own.
                unsafe {
                    product([depth, pixels, g.c_out], (columns.as_mut_ptr(), pixels, false), a, b);
                }
                scatter(g, dx, &rows, columns);
            });
        }
    });
    dx
}
