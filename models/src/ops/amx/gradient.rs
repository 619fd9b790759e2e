//! The gradient of the weights on the matrix unit: columns of the input by the output's gradient, summed
//! over all pixels.

use std::ops::Range;

use rayon::prelude::*;

use super::conv::{LINE, SUMS, line_of};
use super::scratch::{self, Scratch, part};
use super::split::{self, Rows};
use super::tiles::{BLOCK, BLOCK_LINES, Sums, multiply};
use crate::ops::im2col::{Geometry, gather};
use crate::ops::slices::Shared;

/// Pixels that are summed over at once.
const PIXELS: usize = 256;
/// Rows and columns of a task's product at most.
const EXTENT: usize = 512;
/// Tasks that a layer is cut into at least, if its products stay large enough.
const TASKS: usize = 4;

/// Input and output channels of a task.
fn extents(g: &Geometry) -> [usize; 2] {
    let taps = g.kernel * g.kernel;
    let mut channels = [(EXTENT / taps).clamp(1, g.c_in), EXTENT.min(g.c_out)];
    let tasks = |[c_in, c_out]: [usize; 2]| g.c_in.div_ceil(c_in) * g.c_out.div_ceil(c_out);
    while tasks(channels) < TASKS {
        let [c_in, c_out] = channels;
        let longer = usize::from(c_in * taps < c_out);
        if [c_in * taps, c_out][longer] <= 4 * BLOCK || channels[longer] == 1 {
            break;
        }
        channels[longer] = channels[longer].div_ceil(2);
    }
    channels
}

/// See [`crate::ops::gemm_gradient::weight_gradient`].
pub fn weight_gradient(g: &Geometry, x: &[f32], dy: &[f32], gradient: &mut [f32]) {
    let [c_in, c_out] = extents(g);
    assert_eq!(gradient.len(), g.c_out * g.depth(), "the weights' size");
    let target = Shared::new(gradient);
    let across = g.c_in.div_ceil(c_in);
    (0..across * g.c_out.div_ceil(c_out)).into_par_iter().for_each(|task| {
        let (i, o) = (task % across * c_in, task / across * c_out);
        let inputs = i..(i + c_in).min(g.c_in);
        let outputs = o..(o + c_out).min(g.c_out);
        scratch::with(|scratch| {
            let sums = product(g, x, dy, &inputs, &outputs, scratch);
            // SAFETY: each task has rows and columns of its own.
            unsafe { write(g, sums, &inputs, &outputs, target) };
        });
    });
}

/// The blocks of `(inputs * kernel^2, outputs)`.
fn product<'a>(
    g: &Geometry,
    x: &[f32],
    dy: &[f32],
    inputs: &Range<usize>,
    outputs: &Range<usize>,
    scratch: &'a mut Scratch,
) -> &'a [Sums] {
    let (plane, all) = (g.height * g.width, g.pixels_out());
    let depth = inputs.len() * g.kernel * g.kernel;
    let Scratch { columns, left, right, sums } = scratch;
    let blocks = depth.div_ceil(BLOCK) * outputs.len().div_ceil(BLOCK);
    let sums = part(sums, blocks * BLOCK_LINES, SUMS);
    let step = (PIXELS / g.columns_out()).max(1);
    let mut fresh = true;
    for image in 0..g.images {
        let x = &x[image * g.image_in()..][inputs.start * plane..inputs.end * plane];
        for start in (0..g.rows_out()).step_by(step) {
            let rows = start..(start + step).min(g.rows_out());
            let (first, pixels) = (start * g.columns_out(), rows.len() * g.columns_out());
            let by = if g.direct() {
                Rows { values: &x[first..], stride: plane, rows: depth, columns: pixels }
            } else {
                let columns = part(columns, depth * pixels, 0.0);
                gather(g, x, &rows, columns);
                Rows { values: columns, stride: pixels, rows: depth, columns: pixels }
            };
            let values = &dy[(image * g.c_out + outputs.start) * all + first..];
            let dy = Rows { values, stride: all, rows: outputs.len(), columns: pixels };
            let left = part(left, split::lines(depth, pixels), LINE);
            let right = part(right, split::lines(outputs.len(), pixels), LINE);
            // SAFETY: `present` is a condition of this module.
            unsafe {
                by.left(left);
                dy.right_turned(right);
            }
            multiply(left, right, pixels.div_ceil(BLOCK), sums, fresh);
            fresh = false;
        }
    }
    sums
}

/// Writes the turned product.
///
/// # Safety
/// `target` is the whole gradient, and nobody else touches these rows and columns.
unsafe fn write(
    g: &Geometry,
    sums: &[Sums],
    inputs: &Range<usize>,
    outputs: &Range<usize>,
    target: Shared,
) {
    let taps = g.kernel * g.kernel;
    let depth = inputs.len() * taps;
    // Tile by tile, so that what is turned lies in the nearest cache.
    for (place, output) in outputs.clone().enumerate() {
        let at = output * g.depth() + inputs.start * taps;
        for first in (0..depth).step_by(16) {
            let line = line_of(depth.div_ceil(BLOCK), first, place / 16);
            for (row, sums) in sums[line..][..16.min(depth - first)].iter().enumerate() {
                // SAFETY: the caller's promise.
                unsafe { target.at(at + first + row).write(sums.0[place % 16]) };
            }
        }
    }
}
