//! Convolution as matrix products on tiles: forward, and the gradients of matrix and input.

use std::cell::RefCell;
use std::ops::Range;

use rayon::prelude::*;

use super::im2col::{Geometry, gather, scatter};
use super::slices::{self, Shared};

/// A tile's copy of the input in the forward pass: half of a core's second-level cache or so.
const FORWARD_BYTES: usize = 2 << 20;
/// The same in the backward pass, where longer products pay.
const BACKWARD_BYTES: usize = 4 << 20;
/// Tasks of a forward pass at least, if each still has [`PIXELS`].
const TASKS: usize = 4;
const PIXELS: usize = 128;
/// Tasks that share the input channels in the backward pass.
const CHANNEL_BLOCKS: usize = 8;

/// A read-only matrix with both strides.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    pub values: &'a [f32],
    pub row: usize,
    pub column: usize,
}

/// What happens to a tile while it is in cache.
#[derive(Clone, Copy, Default)]
pub struct Finish<'a> {
    /// Added to each channel: the column after the matrix's last.
    pub shift: bool,
    /// Added to each value.
    pub residual: Option<&'a [f32]>,
    /// Whether the positive part is taken last.
    pub relu: bool,
}

/// `(m, n)` at `target` (row stride `stride`) becomes, or is increased by, `(m, k)` times `(k, n)`.
///
/// # Safety
/// All three lie inside their allocations and `target` is nobody else's.
unsafe fn product(
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
fn with_buffer<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
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
    let rows = g.tile_rows(FORWARD_BYTES, g.depth()).min(shared);
    g.rows_out().div_ceil(g.rows_out().div_ceil(rows))
}

/// The output, `(images, c_out, rows_out, columns_out)`, for a matrix of `(c_out, depth)`.
pub fn forward(g: &Geometry, x: &[f32], matrix: Matrix, finish: Finish) -> Vec<f32> {
    let rows = forward_rows(g);
    let tiles = g.rows_out().div_ceil(rows);
    let fill = |y: Shared| {
        (0..g.images * tiles).into_par_iter().for_each(|task| {
            let (image, tile) = (task / tiles, task % tiles);
            let rows = tile * rows..((tile + 1) * rows).min(g.rows_out());
            let x = &x[image * g.image_in()..(image + 1) * g.image_in()];
            // SAFETY: each task has an image and rows of its own.
            unsafe { forward_tile(g, x, matrix, image, &rows, y) };
            // SAFETY: as above, and the values are written now.
            unsafe { finish_tile(g, matrix, finish, image, &rows, y) };
        });
    };
    // SAFETY: the tiles cover the output.
    unsafe { slices::filled(g.images * g.c_out * g.pixels_out(), fill) }
}

/// # Safety
/// `y` is the whole output, and nobody else touches these rows of this image.
unsafe fn forward_tile(
    g: &Geometry,
    x: &[f32],
    matrix: Matrix,
    image: usize,
    rows: &Range<usize>,
    y: Shared,
) {
    let (pixels, all, depth) = (rows.len() * g.columns_out(), g.pixels_out(), g.depth());
    let first = rows.start * g.columns_out();
    // SAFETY: the caller's promise; the offset is that of the tile's first pixel.
    let run = |b: *const f32, stride: usize| unsafe {
        let target = y.at(image * g.c_out * all + first);
        let a = (matrix.values.as_ptr(), matrix.row, matrix.column);
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

/// # Safety
/// As [`forward_tile`], whose values are written.
unsafe fn finish_tile(
    g: &Geometry,
    matrix: Matrix,
    finish: Finish,
    image: usize,
    rows: &Range<usize>,
    y: Shared,
) {
    let width = g.columns_out();
    for channel in 0..g.c_out {
        let start = (image * g.c_out + channel) * g.pixels_out() + rows.start * width;
        let pixels = rows.len() * width;
        // SAFETY: the caller's promise.
        let y = unsafe { std::slice::from_raw_parts_mut(y.at(start), pixels) };
        let shift =
            if finish.shift { matrix.values[channel * matrix.row + g.depth()] } else { 0.0 };
        let lowest = if finish.relu { 0.0 } else { f32::NEG_INFINITY };
        // Unlike `max`, this keeps NaN: a diverged network must not look healthy.
        let clip = |y: f32| if y < lowest { lowest } else { y };
        match finish.residual {
            Some(residual) => {
                let residual = &residual[start..start + pixels];
                y.iter_mut().zip(residual).for_each(|(y, r)| *y = clip(*y + shift + r));
            }
            None if finish.shift || finish.relu => {
                y.iter_mut().for_each(|y| *y = clip(*y + shift));
            }
            None => {}
        }
    }
}

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
    let step = if g.direct() { g.rows_out() } else { g.tile_rows(BACKWARD_BYTES, depth) };
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

/// `(c_in, c_out * kernel^2)`, every kernel turned by half a turn.
pub fn turned_kernel(g: &Geometry, matrix: &[f32], stride: usize) -> Vec<f32> {
    let taps = g.kernel * g.kernel;
    let mut turned = vec![0f32; g.c_in * g.c_out * taps];
    turned.par_chunks_exact_mut(g.c_out * taps).enumerate().for_each(|(c_in, row)| {
        for (c_out, target) in row.chunks_exact_mut(taps).enumerate() {
            let source = &matrix[c_out * stride + c_in * taps..][..taps];
            target
                .iter_mut()
                .zip(source.iter().rev())
                .for_each(|(target, source)| *target = *source);
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
        let step = g.tile_rows(BACKWARD_BYTES, depth);
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
