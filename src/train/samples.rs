//! Samples to batches.

use candle_core::{Device, Result, Tensor};
use ndarray::{Array2, Array3};

/// Stacks images `[3, h, w]` of one size to a tensor `[n, 3, h, w]`.
///
/// # Errors
/// Those of the copy.
pub fn images(images: &[&Array3<f32>], device: &Device) -> Result<Tensor> {
    let (c, h, w) = images.first().map_or((3, 0, 0), |image| image.dim());
    let mut values: Vec<f32> = Vec::with_capacity(images.len() * c * h * w);
    for image in images {
        values.extend(image.iter());
    }
    Tensor::from_vec(values, (images.len(), c, h, w), device)
}

/// Stacks label maps to a tensor `[n, h, w]` of u8.
///
/// # Errors
/// Those of the copy.
pub fn labels(labels: &[&Array2<u8>], device: &Device) -> Result<Tensor> {
    let (h, w) = labels.first().map_or((0, 0), |label| label.dim());
    let mut values: Vec<u8> = Vec::with_capacity(labels.len() * h * w);
    for label in labels {
        values.extend(label.iter());
    }
    Tensor::from_vec(values, (labels.len(), h, w), device)
}

/// Class lists to a multi-hot tensor `[n, classes]`.
///
/// # Errors
/// Those of the copy.
pub fn multi_hot(keys: &[&[usize]], classes: usize, device: &Device) -> Result<Tensor> {
    let mut values = vec![0f32; keys.len() * classes];
    for (row, keys) in values.chunks_exact_mut(classes.max(1)).zip(keys) {
        for &key in *keys {
            row[key] = 1.0;
        }
    }
    Tensor::from_vec(values, (keys.len(), classes), device)
}
