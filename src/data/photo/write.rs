//! Writes pictures, each complete or not at all.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};
use ndarray::{ArrayView2, ArrayView3};
use png::{BitDepth, ColorType, Compression};

use crate::data::atomic::write_atomically;

/// One RGB colour per label value.
pub type Palette = [[u8; 3]; 256];

/// The colours VOC gives its label values: the bits of the value, dealt to the three channels in
/// turn from the highest bit of each down. 0 is black, 255 the cream of "void".
pub fn voc_palette() -> Palette {
    std::array::from_fn(|value| {
        let bit = |position: usize| ((value >> position) & 1) as u8;
        std::array::from_fn(|channel| (0..3).fold(0, |c, i| c | bit(3 * i + channel) << (7 - i)))
    })
}

/// Writes label values `[H, W]` as a palette PNG: viewers show colours, and programs that read the
/// indices (mode P) get the values back.
///
/// # Errors
/// An empty map, or a file that can't be written.
pub fn write_palette_png(path: &Path, label: ArrayView2<u8>, palette: &Palette) -> Result<()> {
    let (height, width) = label.dim();
    let values = label.as_standard_layout();
    let values = values.as_slice().context("standard layout")?;
    write_png(path, (height, width), values, Some(palette))
}

/// Writes an RGB picture `[H, W, 3]` as PNG.
///
/// # Errors
/// An empty picture, or a file that can't be written.
pub fn write_rgb_png(path: &Path, picture: ArrayView3<u8>) -> Result<()> {
    let (height, width, channels) = picture.dim();
    ensure!(channels == 3, "{channels} channels are not RGB: {}", path.display());
    let values = picture.as_standard_layout();
    write_png(path, (height, width), values.as_slice().context("standard layout")?, None)
}

/// Writes an RGB picture `[H, W, 3]` as JPEG of `quality` 1..=100.
///
/// # Errors
/// An empty picture, or a file that can't be written.
pub fn write_jpeg(path: &Path, picture: ArrayView3<u8>, quality: u8) -> Result<()> {
    let (height, width, channels) = picture.dim();
    ensure!(channels == 3, "{channels} channels are not RGB: {}", path.display());
    let values = picture.as_standard_layout();
    let values = values.as_slice().context("standard layout")?;
    let (width, height) = sides(height, width)?;
    write_atomically(path, |writer| {
        let encoder = JpegEncoder::new_with_quality(writer, quality);
        Ok(encoder.write_image(values, width, height, ExtendedColorType::Rgb8)?)
    })
}

fn write_png(
    path: &Path,
    (height, width): (usize, usize),
    values: &[u8],
    palette: Option<&Palette>,
) -> Result<()> {
    let (width, height) = sides(height, width)?;
    write_atomically(path, |writer| {
        let mut encoder = png::Encoder::new(writer, width, height);
        encoder.set_depth(BitDepth::Eight);
        encoder.set_color(palette.map_or(ColorType::Rgb, |_| ColorType::Indexed));
        match palette {
            Some(palette) => encoder.set_palette(palette.as_flattened()),
            // Two thirds of the time of `draw` went into making photos a little smaller.
            None => encoder.set_compression(Compression::Fast),
        }
        let mut picture = encoder.write_header()?;
        picture.write_image_data(values)?;
        Ok(picture.finish()?)
    })
}

/// Width and height as picture files store them.
fn sides(height: usize, width: usize) -> Result<(u32, u32)> {
    ensure!(height > 0 && width > 0, "a picture of {height} x {width} pixels can't be written");
    Ok((u32::try_from(width)?, u32::try_from(height)?))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array3};

    use super::*;
    use crate::data::photo::{ExifRule, read_label, read_photo, size_of};

    #[test]
    fn voc_colours_are_those_of_the_devkit() {
        let palette = voc_palette();
        assert_eq!(palette[0], [0, 0, 0]);
        assert_eq!(palette[1], [128, 0, 0]);
        assert_eq!(palette[15], [192, 128, 128]);
        assert_eq!(palette[20], [0, 64, 128]);
        assert_eq!(palette[255], [224, 224, 192]);
    }

    #[test]
    fn label_values_come_back_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a name with spaces.png");
        let label = Array2::from_shape_fn((7, 300), |(y, x)| ((x + y) % 256) as u8);
        write_palette_png(&path, label.view(), &voc_palette()).unwrap();
        assert_eq!(read_label(&path).unwrap(), label);
        write_palette_png(&path, label.t(), &voc_palette()).unwrap();
        assert_eq!(read_label(&path).unwrap(), label.t());
    }

    #[test]
    fn pictures_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let picture = Array3::from_shape_fn((9, 13, 3), |(y, x, c)| (20 * y + 3 * x + c) as u8);
        let png = folder.path().join("a.png");
        write_rgb_png(&png, picture.view()).unwrap();
        assert_eq!(read_photo(&png, ExifRule::Apply).unwrap(), picture);
        assert_eq!(size_of(&png, ExifRule::Apply).unwrap(), (9, 13));
        let jpeg = folder.path().join("a.jpg");
        write_jpeg(&jpeg, picture.view(), 95).unwrap();
        let back = read_photo(&jpeg, ExifRule::Apply).unwrap();
        let worst = picture.iter().zip(&back).map(|(&a, &b)| a.abs_diff(b)).max();
        assert!(worst <= Some(30), "{worst:?}");
    }

    #[test]
    fn an_rgb_picture_is_no_label_map() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        write_rgb_png(&path, Array3::zeros((2, 2, 3)).view()).unwrap();
        let message = format!("{:#}", read_label(&path).unwrap_err());
        assert!(message.contains("a.png") && message.contains("Rgb"), "{message}");
    }

    #[test]
    fn an_empty_picture_is_refused() {
        let path = Path::new("never-written.png");
        assert!(write_palette_png(path, Array2::zeros((0, 4)).view(), &voc_palette()).is_err());
        assert!(!path.exists());
    }
}
