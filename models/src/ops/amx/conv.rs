//! The convolution on the matrix unit: weights split once, the input tile by tile.

use std::ops::Range;

use rayon::prelude::*;

use super::scratch::{self, Scratch, part};
use super::split::{self, Rows};
use super::tiles::{BLOCK, BLOCK_LINES, Line, Sums, multiply};
use crate::ops::gemm_conv::{Finish, finish_tile};
use crate::ops::gemm_gradient::{transposed, turned_kernel};
use crate::ops::im2col::{Geometry, gather, scatter};
use crate::ops::slices::{self, Shared};

/// Depth that is multiplied at once: a column panel of it stays in the first-level cache.
const DEPTH: usize = 256;
/// Pixels of a tile, and bytes of its sums: half of a core's second-level cache.
const PIXELS: usize = 256;
const SUM_BYTES: usize = 1 << 20;
/// Tasks that a layer is cut into at least, if its tiles stay wide enough.
const TASKS: usize = 8;

/// An empty line of operands, of sums.
pub const LINE: Line = Line([0; 32]);
pub const SUMS: Sums = Sums([0.0; 16]);

/// Channels whose kernels make up [`DEPTH`].
fn chunk_channels(g: &Geometry) -> usize {
    (DEPTH / (g.kernel * g.kernel)).max(1)
}

/// Output rows of a tile.
fn tile_rows(g: &Geometry) -> usize {
    let fitting = SUM_BYTES / 4 / g.c_out.next_multiple_of(BLOCK);
    let shared = (g.images * g.pixels_out()).div_ceil(TASKS);
    let pixels = PIXELS.min(fitting).min(shared).max(2 * BLOCK);
    let rows = (pixels / g.columns_out()).max(1);
    g.rows_out().div_ceil(g.rows_out().div_ceil(rows))
}

/// The weights by chunks of channels, each as row panels of output channels.
struct Weights {
    lines: Vec<Line>,
    /// Of a whole chunk.
    chunk: usize,
}

impl Weights {
    fn new(g: &Geometry, weights: &[f32]) -> Self {
        let depth = chunk_channels(g) * g.kernel * g.kernel;
        let chunk = split::lines(g.c_out, depth);
        let last = (g.depth() - 1) / depth * depth;
        let total = last / depth * chunk + split::lines(g.c_out, g.depth() - last);
        // SAFETY: the splitting below writes all of it.
        let mut lines = unsafe { slices::uninitialised(total) };
        lines.par_chunks_mut(chunk).enumerate().for_each(|(i, lines)| {
            let columns = depth.min(g.depth() - i * depth);
            let values = &weights[i * depth..];
            let rows = Rows { values, stride: g.depth(), rows: g.c_out, columns };
            // SAFETY: `present` is a condition of this module.
            unsafe { rows.left(lines) };
        });
        Self { lines, chunk }
    }
}

/// See [`crate::ops::gemm_conv::forward`].
pub fn forward(g: &Geometry, x: &[f32], weights: &[f32], finish: Finish, y: &mut [f32]) {
    let weights = Weights::new(g, weights);
    let rows = tile_rows(g);
    let tiles = g.rows_out().div_ceil(rows);
    assert_eq!(y.len(), g.images * g.image_out(), "the output's size");
    let y = Shared::new(y);
    (0..g.images * tiles).into_par_iter().for_each(|task| {
        let (image, tile) = (task / tiles, task % tiles);
        let rows = tile * rows..((tile + 1) * rows).min(g.rows_out());
        let x = &x[image * g.image_in()..(image + 1) * g.image_in()];
        scratch::with(|scratch| {
            let sums = product(g, x, &weights, &rows, scratch);
            // SAFETY: each task has an image and rows of its own.
            unsafe { write_tile(g, image, &rows, sums, y) };
            // SAFETY: as above, and the values are written now.
            unsafe { finish_tile(g, finish, image, &rows, y) };
        });
    });
}

/// The blocks of a tile's product.
fn product<'a>(
    g: &Geometry,
    x: &[f32],
    weights: &Weights,
    rows: &Range<usize>,
    scratch: &'a mut Scratch,
) -> &'a [Sums] {
    let (pixels, plane) = (rows.len() * g.columns_out(), g.height * g.width);
    let (taps, channels) = (g.kernel * g.kernel, chunk_channels(g));
    let Scratch { columns, right, sums, .. } = scratch;
    let blocks = g.c_out.div_ceil(BLOCK) * pixels.div_ceil(BLOCK);
    let sums = part(sums, blocks * BLOCK_LINES, SUMS);
    for (i, (x, weights)) in
        x.chunks(channels * plane).zip(weights.lines.chunks(weights.chunk)).enumerate()
    {
        let depth = x.len() / plane * taps;
        let source = if g.direct() {
            let values = &x[rows.start * g.width..];
            Rows { values, stride: plane, rows: depth, columns: pixels }
        } else {
            let columns = part(columns, depth * pixels, 0.0);
            gather(g, x, rows, columns);
            Rows { values: columns, stride: pixels, rows: depth, columns: pixels }
        };
        let right = part(right, split::lines(pixels, depth), LINE);
        // SAFETY: `present` is a condition of this module.
        unsafe { source.right(right) };
        multiply(weights, right, depth.div_ceil(BLOCK), sums, i == 0);
    }
    sums
}

/// Sixteen neighbours each of the row `row` of the product, `pixels` in all.
pub fn row_of(
    sums: &[Sums],
    panels: usize,
    row: usize,
    pixels: usize,
) -> impl Iterator<Item = &[f32]> {
    (0..pixels.div_ceil(16))
        .map(move |tile| &sums[line_of(panels, row, tile)].0[..16.min(pixels - tile * 16)])
}

/// Where the sums of a row and of tile `tile` of its pixels lie; those of sixteen rows, from a multiple of
/// 16 on, follow one another.
pub fn line_of(panels: usize, row: usize, tile: usize) -> usize {
    let line = row / BLOCK * BLOCK_LINES + row % BLOCK / 16 * 32 + row % 16;
    line + tile / 2 * panels * BLOCK_LINES + tile % 2 * 16
}

/// # Safety
/// `y` is the whole output, and nobody else touches these rows of this image.
unsafe fn write_tile(g: &Geometry, image: usize, rows: &Range<usize>, sums: &[Sums], y: Shared) {
    let pixels = rows.len() * g.columns_out();
    for channel in 0..g.c_out {
        let start = (image * g.c_out + channel) * g.pixels_out() + rows.start * g.columns_out();
        // SAFETY: the caller's promise.
        let y = unsafe { std::slice::from_raw_parts_mut(y.at(start), pixels) };
        let sums = row_of(sums, g.c_out.div_ceil(BLOCK), channel, pixels);
        y.chunks_mut(16).zip(sums).for_each(|(y, sums)| y.copy_from_slice(sums));
    }
}

/// See [`crate::ops::gemm_gradient::input_gradient`].
pub fn input_gradient(
    g: &Geometry,
    weights: &[f32],
    scale: Option<&[f32]>,
    dy: &[f32],
    dx: &mut [f32],
) {
    let Some(turned) = g.turned() else { return scattered(g, weights, scale, dy, dx) };
    forward(&turned, dy, &turned_kernel(g, weights, scale), Finish::default(), dx);
}

/// The product of the turned weights and the gradient, added up where its columns came from.
fn scattered(g: &Geometry, weights: &[f32], scale: Option<&[f32]>, dy: &[f32], dx: &mut [f32]) {
    let (plane, taps) = (g.height * g.width, g.kernel * g.kernel);
    let transposed = transposed(g, weights, scale);
    let channels = (512 / taps).clamp(1, g.c_in);
    let images = dx.par_chunks_exact_mut(g.image_in()).enumerate();
    let parts = images.flat_map(|(image, dx)| {
        dx.par_chunks_mut(channels * plane).enumerate().map(move |(i, dx)| (image, i, dx))
    });
    // A 1x1 convolution of the gradient, from c_out channels to the columns of some input channels.
    parts.for_each(|(image, i, dx)| {
        dx.fill(0.0);
        let depth = dx.len() / plane * taps;
        let product_of = Geometry {
            images: 1,
            c_in: g.c_out,
            height: g.rows_out(),
            width: g.columns_out(),
            c_out: depth,
            kernel: 1,
            stride: 1,
            padding: 0,
        };
        let values = &transposed[i * channels * taps * g.c_out..];
        let weights = Weights::new(&product_of, values);
        let dy = &dy[image * g.c_out * g.pixels_out()..][..g.c_out * g.pixels_out()];
        let step = tile_rows(&product_of);
        for start in (0..g.rows_out()).step_by(step) {
            let rows = start..(start + step).min(g.rows_out());
            let pixels = rows.len() * g.columns_out();
            scratch::with(|scratch| {
                product(&product_of, dy, &weights, &rows, scratch);
                let Scratch { columns, sums, .. } = scratch;
                let columns = part(columns, depth * pixels, 0.0);
                for (row, columns) in columns.chunks_exact_mut(pixels).enumerate() {
                    let sums = row_of(sums, depth.div_ceil(BLOCK), row, pixels);
                    columns
                        .chunks_mut(16)
                        .zip(sums)
                        .for_each(|(to, from)| to.copy_from_slice(from));
                }
                scatter(g, dx, &rows, columns);
            });
        }
    });
}
