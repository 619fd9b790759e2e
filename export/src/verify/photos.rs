//! Photos to compare networks on: the same numbers on every machine.

use anyhow::{Result, ensure};
use irn_models::weights::splitmix;
use ndarray::Array4;

use crate::form::Input;
use crate::info::ModelInfo;

/// A batch as a model takes it.
pub enum Photos {
    /// f32 `(batch, 3, height, width)`.
    Normalised(Array4<f32>),
    /// u8 `(batch, height, width, 3)`.
    Rgb8(Array4<u8>),
}

impl Photos {
    /// `[batch, height, width]` photos in the form that the model takes.
    ///
    /// # Errors
    /// An empty or a huge batch.
    pub fn new(size: [usize; 3], info: &ModelInfo) -> Result<Self> {
        Ok(match info.form.input {
            Input::Normalised => Self::Normalised(normal(size)?),
            Input::Rgb8 => Self::Rgb8(pixels(size)?),
        })
    }

    /// What the network itself gets, f32 `(batch, 3, height, width)`.
    pub fn normalised(&self, info: &ModelInfo) -> Array4<f32> {
        let pixels = match self {
            Self::Normalised(photos) => return photos.clone(),
            Self::Rgb8(pixels) => pixels,
        };
        let (n, h, w, _) = pixels.dim();
        Array4::from_shape_fn((n, 3, h, w), |(n, c, y, x)| {
            ((f64::from(pixels[[n, y, x, c]]) / 255. - info.mean[c]) / info.std[c]) as f32
        })
    }
}

/// Photos as they are decoded.
fn pixels(size: [usize; 3]) -> Result<Array4<u8>> {
    let planes = normal(size)?.mapv(|value| ((value + 2.) * 63.75) as u8);
    Ok(planes.permuted_axes([0, 2, 3, 1]))
}

/// Numbers as they occur in normalised photos.
pub fn normal([n, h, w]: [usize; 3]) -> Result<Array4<f32>> {
    ensure!(n > 0 && h > 0 && w > 0, "photos of size {n} of {h}x{w}");
    ensure!(n.saturating_mul(h).saturating_mul(w) <= 1 << 24, "{n} of {h}x{w} is too large");
    let state = splitmix::state(1, "verify");
    let values = (0u64..).map(|i| (splitmix::uniform(state, i) * 4. - 2.) as f32);
    Ok(Array4::from_shape_vec((n, 3, h, w), values.take(n * 3 * h * w).collect())?)
}
