//! The gradients of a convolution as matrix products on tiles: of its weights, and of its input.

use std::ops::Range;

use rayon::prelude::*;

use super::gemm_conv::{Finish, forward, product, with_buffer};
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

/// The gradient of the weights, `(c_out, depth)`.
pub fn weight_gradient(g: &Geometry, x: &[f32], dy: &[f32], gradient: &mut [f32]) {
    let (size, count) = blocks(g.c_in);
    assert_eq!(gradient.len(), g.c_out * g.depth(), "the weights' size");
    let target = Shared::new(gradient);
    (0..count).into_par_iter().for_each(|block| {
        let channels = block * size..((block + 1) * size).min(g.c_in);
        // SAFETY: each task has columns of its own.
        unsafe { weight_block(g, x, dy, channels, target) };
    });
}

/// # Safety
/// `target` is the whole gradient, and nobody else touches the columns of `channels`.
unsafe fn weight_block(
    g: &Geometry,
    x: &[f32],
    dy: &[f32],
    channels: Range<usize>,
    target: Shared,
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
                product([g.c_out, depth, pixels], (target, g.depth(), add), a, b);
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

/// The gradient of the input, for weights times `scale` of each output channel.
pub fn input_gradient(
    g: &Geometry,
    weights: &[f32],
    scale: Option<&[f32]>,
    dy: &[f32],
    dx: &mut [f32],
) {
    let Some(turned) = g.turned() else { return scattered(g, weights, scale, dy, dx) };
    let kernel = turned_kernel(g, weights, scale);
    forward(&turned, dy, &kernel, Finish::default(), dx);
}

/// `(c_in, c_out * kernel^2)`, every kernel scaled and turned by half a turn. Input channels go by sixteen: a
/// single one's weights lie far apart.
pub fn turned_kernel(g: &Geometry, weights: &[f32], scale: Option<&[f32]>) -> Vec<f32> {
    const CHANNELS: usize = 16;
    let taps = g.kernel * g.kernel;
    let row = g.c_out * taps;
    // SAFETY: the rows are written from end to end.
    let mut turned = unsafe { slices::uninitialised(g.c_in * row) };
    turned.par_chunks_mut(CHANNELS * row).enumerate().for_each(|(block, rows)| {
        let first = block * CHANNELS * taps;
        let len = rows.len() / row * taps;
        for c_out in 0..g.c_out {
            let scale = scale.map_or(1.0, |scale| scale[c_out]);
            let source = &weights[c_out * g.depth() + first..][..len];
            match taps {
                1 => turn::<1>(source, scale, rows, c_out, row),
                9 => turn::<9>(source, scale, rows, c_out, row),
                49 => turn::<49>(source, scale, rows, c_out, row),
                _ => turn_any(source, scale, rows, c_out * taps..(c_out + 1) * taps, row),
            }
        }
    });
    turned
}

/// The kernels of an output channel go to the rows of their input channels.
fn turn<const TAPS: usize>(source: &[f32], scale: f32, rows: &mut [f32], c_out: usize, row: usize) {
    let (kernels, _) = source.as_chunks::<TAPS>();
    for (kernel, row) in kernels.iter().zip(rows.chunks_exact_mut(row)) {
        let target = &mut row.as_chunks_mut::<TAPS>().0[c_out];
        *target = std::array::from_fn(|tap| kernel[TAPS - 1 - tap] * scale);
    }
}

/// The same for kernels of a size that no network has.
fn turn_any(source: &[f32], scale: f32, rows: &mut [f32], place: Range<usize>, row: usize) {
    for (kernel, row) in source.chunks_exact(place.len()).zip(rows.chunks_exact_mut(row)) {
        let turned = kernel.iter().rev();
        row[place.clone()].iter_mut().zip(turned).for_each(|(to, from)| *to = from * scale);
    }
}

/// `(c_in * kernel^2, c_out)`, scaled.
pub fn transposed(g: &Geometry, weights: &[f32], scale: Option<&[f32]>) -> Vec<f32> {
    let mut transposed = vec![0f32; g.depth() * g.c_out];
    transposed.par_chunks_exact_mut(g.c_out).enumerate().for_each(|(column, row)| {
        let values = weights[column..].iter().step_by(g.depth());
        row.iter_mut().zip(values).for_each(|(to, from)| *to = *from);
        if let Some(scale) = scale {
            row.iter_mut().zip(scale).for_each(|(to, scale)| *to *= scale);
        }
    });
    transposed
}

/// The product of the turned weights and the gradient, added up where its columns came from.
fn scattered(g: &Geometry, weights: &[f32], scale: Option<&[f32]>, dy: &[f32], dx: &mut [f32]) {
    let (plane, all, taps) = (g.height * g.width, g.pixels_out(), g.kernel * g.kernel);
    let weights = transposed(g, weights, scale);
    let (size, _) = blocks(g.c_in);
    let images = dx.par_chunks_exact_mut(g.image_in()).enumerate();
    let parts = images.flat_map(|(image, dx)| {
        dx.par_chunks_mut(size * plane).enumerate().map(move |(block, dx)| (image, block, dx))
    });
    parts.for_each(|(image, block, dx)| {
        dx.fill(0.0);
        let depth = dx.len() / plane * taps;
        let step = g.tile_rows(BYTES, depth);
        for start in (0..g.rows_out()).step_by(step) {
            let rows = start..(start + step).min(g.rows_out());
            let pixels = rows.len() * g.columns_out();
            let dy = &dy[image * g.c_out * all + start * g.columns_out()..];
            let weights = &weights[block * size * taps * g.c_out..];
            with_buffer(depth * pixels, |columns| {
                let (a, b) = ((weights.as_ptr(), g.c_out, 1), (dy.as_ptr(), all, 1));
                // SAFETY: the buffer is this thread's own.
                unsafe {
                    product([depth, pixels, g.c_out], (columns.as_mut_ptr(), pixels, false), a, b);
                }
                scatter(g, dx, &rows, columns);
            });
        }
    });
}
