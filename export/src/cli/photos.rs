//! Calibration photos from a folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use image::ImageReader;
use irn_models::error::Hint;
use ndarray::Array4;

use crate::info::ModelInfo;

/// More photos change ranges little.
const MOST: usize = 32;
/// Larger photos are reduced to this side, so that all maps of a network fit into memory.
const SIDE: u32 = 512;

/// At most 32 photos of the folder, evenly chosen from its sorted names, normalised for the network.
///
/// # Errors
/// A folder that can't be read or holds no JPEG or PNG file; photos that can't be decoded, when it is
/// their turn.
pub fn normalised(
    folder: &Path,
    info: &ModelInfo,
) -> Result<impl Iterator<Item = Result<Array4<f32>>>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        files.push(entry?.path());
    }
    let photo = |path: &PathBuf| {
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        ["jpg", "jpeg", "png"].iter().any(|known| extension == *known)
    };
    files.retain(photo);
    files.sort();
    if files.is_empty() {
        let error = anyhow::anyhow!("no JPEG or PNG file in {}", folder.display());
        return Err(error).hint("--int8 takes a folder of photos like those the model will see");
    }
    let every = files.len().div_ceil(MOST);
    let (mean, std) = (info.mean, info.std);
    Ok(files.into_iter().step_by(every).map(move |path| {
        decode(&path, mean, std).with_context(|| format!("photo {}", path.display()))
    }))
}

fn decode(path: &Path, mean: [f64; 3], std: [f64; 3]) -> Result<Array4<f32>> {
    let photo = ImageReader::open(path)?.with_guessed_format()?.decode()?;
    let photo = match photo.width().max(photo.height()) > SIDE {
        true => photo.resize(SIDE, SIDE, image::imageops::FilterType::CatmullRom),
        false => photo,
    }
    .to_rgb8();
    let (width, height) = (photo.width() as usize, photo.height() as usize);
    Ok(Array4::from_shape_fn((1, 3, height, width), |(_, c, y, x)| {
        let value = f64::from(photo.get_pixel(x as u32, y as u32).0[c]);
        ((value / 255. - mean[c]) / std[c]) as f32
    }))
}
