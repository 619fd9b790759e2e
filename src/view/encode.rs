//! Bytes of pictures: JPEG for photographs, PNG for flat colours, base64 for the page.

use std::borrow::Cow;

use anyhow::{Context, Result};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::imageops::{FilterType, resize};
use image::{ExtendedColorType, ImageEncoder, RgbImage};
use ndarray::ArrayRef3;

use super::{Picture, canvas};

/// JPEG bytes, `quality` in 1..=100.
///
/// # Errors
/// A picture without pixels, or one too large for the format (65 535 a side).
pub fn jpeg(picture: &ArrayRef3<u8>, quality: u8) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    encode(picture, JpegEncoder::new_with_quality(&mut bytes, quality.clamp(1, 100)))
        .context("failed to encode a picture as JPEG")?;
    Ok(bytes)
}

/// PNG bytes.
///
/// # Errors
/// A picture without pixels.
pub fn png(picture: &ArrayRef3<u8>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    encode(picture, PngEncoder::new(&mut bytes)).context("failed to encode a picture as PNG")?;
    Ok(bytes)
}

/// Hands the pixels to an encoder.
fn encode(picture: &ArrayRef3<u8>, encoder: impl ImageEncoder) -> Result<()> {
    let (height, width) = canvas::size(picture);
    anyhow::ensure!(height > 0 && width > 0, "a picture of {width}x{height} has no pixels");
    let (width, height) = (u32::try_from(width)?, u32::try_from(height)?);
    encoder.write_image(&pixels(picture), width, height, ExtendedColorType::Rgb8)?;
    Ok(())
}

/// The picture scaled down, by area, so that no side is longer than `most`.
pub fn thumbnail(picture: &ArrayRef3<u8>, most: usize) -> Picture {
    let (height, width) = canvas::size(picture);
    let longest = height.max(width);
    let most = most.max(1);
    let raw = pixels(picture).into_owned();
    let image = match (u32::try_from(width), u32::try_from(height)) {
        (Ok(width), Ok(height)) if longest > most => RgbImage::from_raw(width, height, raw),
        _ => None,
    };
    let Some(image) = image else { return picture.to_owned() };
    let scaled = |side: usize| u32::try_from((side * most / longest).max(1)).unwrap_or(1);
    let small = resize(&image, scaled(width), scaled(height), FilterType::Triangle);
    let (width, height) = (small.width() as usize, small.height() as usize);
    Picture::from_shape_vec((height, width, 3), small.into_raw())
        .expect("an RGB image has three bytes a pixel")
}

/// The bytes row by row.
fn pixels(picture: &ArrayRef3<u8>) -> Cow<'_, [u8]> {
    match picture.as_slice() {
        Some(bytes) => Cow::Borrowed(bytes),
        None => Cow::Owned(picture.iter().copied().collect()),
    }
}

/// Base64 (RFC 4648, padded).
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = DIGITS[(group >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_rfc_4648() {
        let vectors =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (plain, coded) in vectors {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(base64(&[255, 254, 253]), "//79");
    }

    #[test]
    fn bytes_decode_to_the_same_picture() {
        let picture = canvas::from_fn((5, 7), |row, column| [row as u8 * 9, column as u8 * 9, 77]);
        let back = image::load_from_memory(&png(&picture).unwrap()).unwrap().to_rgb8();
        assert_eq!(back.as_raw().as_slice(), picture.as_slice().unwrap());
        let back = image::load_from_memory(&jpeg(&picture, 90).unwrap()).unwrap();
        assert_eq!((back.width(), back.height()), (7, 5));
        assert!(png(&canvas::filled((0, 3), [0; 3])).is_err());
    }

    #[test]
    fn thumbnails_keep_the_aspect() {
        let picture = canvas::filled((100, 400), [1, 2, 3]);
        let small = thumbnail(&picture, 100);
        assert_eq!(small, canvas::filled((25, 100), [1, 2, 3]));
        assert_eq!(thumbnail(&picture, 1000), picture);
        assert_eq!(canvas::size(&thumbnail(&canvas::filled((1, 900), [0; 3]), 3)), (1, 3));
    }
}
