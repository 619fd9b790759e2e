//! The shape of a convolution, and the copy of its input that makes it a matrix product.
//!
//! The copy is made for a tile of output rows and a range of input channels at a time, so that it stays
//! in cache.

use std::ops::Range;

use candle_core::{Result, bail};

use crate::tape::Shape;

/// Sizes of a square convolution in NCHW order.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    pub images: usize,
    pub c_in: usize,
    pub height: usize,
    pub width: usize,
    pub c_out: usize,
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
}

impl Geometry {
    /// Fails where no output pixel exists.
    pub fn checked(self) -> Result<Self> {
        let smallest = self.height.min(self.width) + 2 * self.padding;
        if smallest < self.kernel || self.stride == 0 {
            bail!("a map of {} x {} is too small for {self:?}", self.height, self.width);
        }
        Ok(self)
    }

    pub fn rows_out(&self) -> usize {
        (self.height + 2 * self.padding - self.kernel) / self.stride + 1
    }

    pub fn columns_out(&self) -> usize {
        (self.width + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// Input values per image.
    pub fn image_in(&self) -> usize {
        self.c_in * self.height * self.width
    }

    /// Output pixels per image and channel.
    pub fn pixels_out(&self) -> usize {
        self.rows_out() * self.columns_out()
    }

    /// Shape of the output.
    pub fn shape_out(&self) -> Shape {
        [self.images, self.c_out, self.rows_out(), self.columns_out()]
    }

    /// Output values per image.
    pub fn image_out(&self) -> usize {
        self.c_out * self.pixels_out()
    }

    /// Products per output value.
    pub fn depth(&self) -> usize {
        self.c_in * self.kernel * self.kernel
    }

    /// Whether the input already is the matrix.
    pub fn direct(&self) -> bool {
        self.kernel == 1 && self.stride == 1 && self.padding == 0
    }

    /// With stride 1 the input's gradient is a convolution of the output's, by the turned kernel.
    pub fn turned(&self) -> Option<Self> {
        (self.stride == 1 && self.padding < self.kernel).then(|| Self {
            c_in: self.c_out,
            c_out: self.c_in,
            height: self.rows_out(),
            width: self.columns_out(),
            padding: self.kernel - 1 - self.padding,
            ..*self
        })
    }

    /// Output rows per tile, evenly spread, so that `depth` values per pixel fill `bytes` at most.
    pub fn tile_rows(&self, bytes: usize, depth: usize) -> usize {
        let rows = (bytes / 4 / (depth * self.columns_out()).max(1)).max(1);
        let tiles = self.rows_out().div_ceil(rows);
        self.rows_out().div_ceil(tiles)
    }

    /// Output columns whose input column under kernel column `kx` exists, and the first such input.
    fn columns_under(&self, kx: usize) -> (Range<usize>, usize) {
        let first = self.padding.saturating_sub(kx).div_ceil(self.stride).min(self.columns_out());
        let limit = (self.width + self.padding).saturating_sub(kx).div_ceil(self.stride);
        let range = first..limit.clamp(first, self.columns_out());
        let start = (first * self.stride + kx).saturating_sub(self.padding);
        (range, start)
    }

    /// Calls `f(matrix row, input row, kernel column)` for each row of the tile's copy: the input row
    /// counts from the first of `channels`, and is missing in the padding.
    fn walk(
        &self,
        channels: usize,
        rows: &Range<usize>,
        mut f: impl FnMut(usize, Option<usize>, usize),
    ) {
        let mut line = 0;
        for channel in 0..channels {
            for (ky, kx) in (0..self.kernel).flat_map(|ky| (0..self.kernel).map(move |kx| (ky, kx)))
            {
                for row in rows.clone() {
                    let y = (row * self.stride + ky).checked_sub(self.padding);
                    let y = y.filter(|&y| y < self.height);
                    f(line, y.map(|y| channel * self.height + y), kx);
                    line += 1;
                }
            }
        }
    }
}

/// Copies `x`, some channels of one image, to `columns`, `(channels * kernel^2, rows * columns_out)`.
pub fn gather(g: &Geometry, x: &[f32], rows: &Range<usize>, columns: &mut [f32]) {
    let width_out = g.columns_out();
    if g.stride == 1 && width_out == g.width && g.padding < g.width {
        return gather_same(g, x, rows, columns);
    }
    g.walk(x.len() / (g.height * g.width), rows, |line, input, kx| {
        let target = &mut columns[line * width_out..(line + 1) * width_out];
        let Some(input) = input else { return target.fill(0.0) };
        let (inside, start) = g.columns_under(kx);
        target[..inside.start].fill(0.0);
        target[inside.end..].fill(0.0);
        if inside.is_empty() {
            return;
        }
        let source = &x[input * g.width..(input + 1) * g.width][start..];
        if g.stride == 1 {
            target[inside.clone()].copy_from_slice(&source[..inside.len()]);
        } else {
            let source = source.iter().step_by(g.stride);
            target[inside].iter_mut().zip(source).for_each(|(target, source)| *target = *source);
        }
    });
}

/// [`gather`] where output rows are as long as input rows: all rows under a weight are one piece of the plane,
/// of which what came around the edges is padding.
fn gather_same(g: &Geometry, x: &[f32], rows: &Range<usize>, columns: &mut [f32]) {
    let (width, pixels) = (g.width, rows.len() * g.width);
    let mut lines = columns.chunks_exact_mut(pixels);
    for plane in x.chunks_exact(g.height * width) {
        for (ky, kx) in (0..g.kernel).flat_map(|ky| (0..g.kernel).map(move |kx| (ky, kx))) {
            let Some(line) = lines.next() else { return };
            // Input rows of this weight: the first output row's lies `ky - padding` below it.
            let above = (g.padding.saturating_sub(rows.start + ky)).min(rows.len());
            let last = (g.height + g.padding).saturating_sub(rows.start + ky);
            let inside = above..last.clamp(above, rows.len());
            line[..above * width].fill(0.0);
            line[inside.end * width..].fill(0.0);
            shift_rows(
                &plane[(rows.start + inside.start + ky).saturating_sub(g.padding) * width..],
                (kx, g.padding, width),
                &mut line[inside.start * width..inside.end * width],
            );
        }
    }
}

/// Rows of `width` values of `source` by `kx - padding` to the left; zeros where they end.
fn shift_rows(source: &[f32], (kx, padding, width): (usize, usize, usize), line: &mut [f32]) {
    let len = line.len();
    if kx <= padding {
        let shift = padding - kx;
        if len > 0 {
            line[shift..].copy_from_slice(&source[..len - shift]);
        }
        line.chunks_exact_mut(width).for_each(|row| row[..shift].fill(0.0));
    } else {
        let shift = kx - padding;
        if len > 0 {
            line[..len - shift].copy_from_slice(&source[shift..len]);
        }
        line.chunks_exact_mut(width).for_each(|row| row[width - shift..].fill(0.0));
    }
}

/// The transpose of [`gather`]: adds `columns` to `dx`.
pub fn scatter(g: &Geometry, dx: &mut [f32], rows: &Range<usize>, columns: &[f32]) {
    let width_out = g.columns_out();
    g.walk(dx.len() / (g.height * g.width), rows, |line, input, kx| {
        let (inside, start) = g.columns_under(kx);
        let Some(input) = input.filter(|_| !inside.is_empty()) else { return };
        let source = &columns[line * width_out..(line + 1) * width_out][inside];
        let target = &mut dx[input * g.width..(input + 1) * g.width][start..];
        let target = target.iter_mut().step_by(g.stride);
        target.zip(source).for_each(|(target, source)| *target += source);
    });
}
