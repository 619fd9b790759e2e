//! Reads photos of any usual format as RGB, as Pillow's `Image.open(path).convert("RGB")` does.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use ndarray::Array3;
use serde::{Deserialize, Serialize};

use super::jpeg_end;
use crate::Hint;

/// Pictures with more pixels are refused, as by Pillow: a small file can claim any size.
const MAX_PIXELS: u64 = 178_956_970;
/// Files longer than this are no photos.
const MAX_FILE: u64 = 1 << 30;
/// What a decoder may allocate besides the picture itself.
const MAX_ALLOCATION: u64 = 2 << 30;

/// What to do with the orientation a camera notes in its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExifRule {
    /// Turn the photo upright, as viewers show it.
    #[default]
    Apply,
    /// Take the pixels as stored: what upstream does, and right where masks were drawn on them.
    Ignore,
}

/// Reads a JPEG, PNG, BMP, WebP or TIFF photo as `[H, W, 3]` RGB.
///
/// Grey is repeated, alpha dropped, CMYK converted; of 16-bit samples the high byte is kept.
///
/// # Errors
/// A file that is missing, truncated, damaged, too large or no picture; the path is named.
pub fn read_photo(path: &Path, exif: ExifRule) -> Result<Array3<u8>> {
    let bytes = read_file(path)?;
    decode(&bytes, exif)
        .with_context(|| format!("failed to read photo {}", path.display()))
        .hint("open the file in a viewer: a damaged or partly copied file must be replaced")
}

/// Height and width of a photo as [`read_photo`] would return it, from its header.
///
/// # Errors
/// As [`read_photo`], as far as the header shows it.
pub fn size_of(path: &Path, exif: ExifRule) -> Result<(usize, usize)> {
    let bytes = read_file(path)?;
    let size = || -> Result<(usize, usize)> {
        let mut decoder = decoder_of(&bytes)?;
        let (width, height) = decoder.dimensions();
        let (height, width) = (height as usize, width as usize);
        let turned = exif == ExifRule::Apply && swaps_sides(orientation_of(&mut decoder));
        Ok(if turned { (width, height) } else { (height, width) })
    };
    size()
        .with_context(|| format!("failed to read the size of photo {}", path.display()))
        .hint("open the file in a viewer: a damaged or partly copied file must be replaced")
}

fn read_file(path: &Path) -> Result<Vec<u8>> {
    let hint = "check the data set's folder and the image list";
    let length = fs_err::metadata(path).hint(hint)?.len();
    ensure!(length <= MAX_FILE, "photo {} has {length} bytes", path.display());
    fs_err::read(path).hint(hint)
}

fn decode(bytes: &[u8], exif: ExifRule) -> Result<Array3<u8>> {
    let mut decoder = decoder_of(bytes)?;
    if image::guess_format(bytes)? == ImageFormat::Jpeg && !jpeg_end::reaches_end(bytes) {
        bail!("truncated: the JPEG data stops before its end marker");
    }
    let orientation = orientation_of(&mut decoder);
    let mut picture = DynamicImage::from_decoder(decoder)?;
    if exif == ExifRule::Apply {
        picture.apply_orientation(orientation);
    }
    let shape = (picture.height() as usize, picture.width() as usize, 3);
    Ok(Array3::from_shape_vec(shape, rgb_of(picture))?)
}

fn decoder_of(bytes: &[u8]) -> Result<impl ImageDecoder + '_> {
    let format = image::guess_format(bytes).context("not a JPEG, PNG, BMP, WebP or TIFF file")?;
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_ALLOCATION);
    reader.limits(limits);
    let decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    ensure!(width > 0 && height > 0, "empty picture of {width} x {height} pixels");
    let pixels = u64::from(width) * u64::from(height);
    ensure!(pixels <= MAX_PIXELS, "{width} x {height} pixels are more than {MAX_PIXELS}");
    Ok(decoder)
}

/// A photo with unreadable metadata is taken as it is.
fn orientation_of(decoder: &mut impl ImageDecoder) -> Orientation {
    decoder.orientation().unwrap_or(Orientation::NoTransforms)
}

fn swaps_sides(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

fn rgb_of(picture: DynamicImage) -> Vec<u8> {
    match picture {
        DynamicImage::ImageRgb8(pixels) => pixels.into_raw(),
        DynamicImage::ImageRgba8(pixels) => picked(pixels.as_raw(), 4, [0, 1, 2], |v| v),
        DynamicImage::ImageLuma8(pixels) => picked(pixels.as_raw(), 1, [0, 0, 0], |v| v),
        DynamicImage::ImageLumaA8(pixels) => picked(pixels.as_raw(), 2, [0, 0, 0], |v| v),
        DynamicImage::ImageRgb16(pixels) => picked(pixels.as_raw(), 3, [0, 1, 2], high_byte),
        DynamicImage::ImageRgba16(pixels) => picked(pixels.as_raw(), 4, [0, 1, 2], high_byte),
        DynamicImage::ImageLuma16(pixels) => picked(pixels.as_raw(), 1, [0, 0, 0], high_byte),
        DynamicImage::ImageLumaA16(pixels) => picked(pixels.as_raw(), 2, [0, 0, 0], high_byte),
        other => other.into_rgb8().into_raw(),
    }
}

/// Pillow strips the low byte of 16-bit colour; rounding would differ from it by one.
fn high_byte(value: u16) -> u8 {
    (value >> 8) as u8
}

/// Three of the samples of every pixel.
fn picked<T: Copy>(
    samples: &[T],
    per_pixel: usize,
    which: [usize; 3],
    to_u8: fn(T) -> u8,
) -> Vec<u8> {
    samples.chunks_exact(per_pixel).flat_map(|pixel| which.map(|i| to_u8(pixel[i]))).collect()
}
