//! Reads label maps: pictures whose pixel values are class or object numbers.

use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use ndarray::Array2;
use png::{BitDepth, ColorType, Transformations};

use crate::Hint;

/// As for photos: a small file can claim any size.
const MAX_PIXELS: u64 = 178_956_970;

/// Reads a PNG label map as `[H, W]`: palette indices, or the values of a grey picture.
///
/// Palette indices come raw at any bit depth, as `numpy.asarray(Image.open(path))` gives them; grey
/// of less than 8 bits is widened to 0..=255, as the PNG standard defines it.
///
/// # Errors
/// A file that is missing, truncated, or no palette or 8-bit grey PNG; the path is named.
pub fn read_label(path: &Path) -> Result<Array2<u8>> {
    decode(path)
        .with_context(|| format!("failed to read label map {}", path.display()))
        .hint("label maps are PNG files with a palette or 8-bit grey values (class numbers)")
}

fn decode(path: &Path) -> Result<Array2<u8>> {
    let mut decoder = png::Decoder::new(BufReader::new(fs_err::File::open(path)?));
    decoder.set_transformations(Transformations::IDENTITY);
    let mut reader = decoder.read_info()?;
    let info = reader.info();
    let (width, height) = (info.width as usize, info.height as usize);
    let (color, depth) = (info.color_type, info.bit_depth);
    if !matches!(color, ColorType::Indexed | ColorType::Grayscale) || depth == BitDepth::Sixteen {
        bail!("{color:?} with {depth:?} bits a sample has no class numbers");
    }
    ensure!(info.width as u64 * info.height as u64 <= MAX_PIXELS, "{width} x {height} pixels");
    let size = reader.output_buffer_size().context("the picture is too large")?;
    let mut packed = vec![0; size];
    let frame = reader.next_frame(&mut packed)?;
    let rows = packed.chunks_exact(frame.line_size).take(height);
    let factor = if color == ColorType::Grayscale { widening(depth) } else { 1 };
    let mut values = Vec::with_capacity(width * height);
    for row in rows {
        values.extend((0..width).map(|x| sample(row, x, depth) * factor));
    }
    Ok(Array2::from_shape_vec((height, width), values)?)
}

/// Sample `x` of a row in which the leftmost sample has the highest bits.
fn sample(row: &[u8], x: usize, depth: BitDepth) -> u8 {
    let bits = depth as usize;
    let first = x * bits;
    let shift = 8 - bits - first % 8;
    let mask = ((1u16 << bits) - 1) as u8;
    (row[first / 8] >> shift) & mask
}

fn widening(depth: BitDepth) -> u8 {
    match depth {
        BitDepth::One => 255,
        BitDepth::Two => 85,
        BitDepth::Four => 17,
        BitDepth::Eight | BitDepth::Sixteen => 1,
    }
}
