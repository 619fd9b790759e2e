//! Mean and variance of each channel.

use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

use super::slices;

/// Mean and population variance of each channel of `x`, `(batch, channels, h, w)`, over batch and space.
///
/// # Errors
/// A tensor of another rank or without values.
pub fn channel_statistics(x: &Tensor) -> Result<(Vec<f32>, Vec<f32>)> {
    let (images, channels, height, width) = x.dims4()?;
    let (plane, count) = (height * width, images * height * width);
    if count == 0 {
        bail!("statistics of {:?}", x.shape());
    }
    slices::with([&x.contiguous()?], |[x]| {
        let of_channel = |channel: usize| {
            let planes = || x.chunks_exact(plane).skip(channel).step_by(channels);
            let mean = planes().map(|x| slices::sum(x, f64::from)).sum::<f64>() / count as f64;
            let square = |x: f32| (f64::from(x) - mean).powi(2);
            let squares = planes().map(|x| slices::sum(x, square)).sum::<f64>();
            (mean as f32, (squares / count as f64) as f32)
        };
        Ok((0..channels).into_par_iter().map(of_channel).unzip())
    })
}
