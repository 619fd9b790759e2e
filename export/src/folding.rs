//! A convolution and the normalisation after it as one convolution.

use candle_core::{Result, Tensor};
use irn_models::{BatchNorm, Conv};

/// Weight and bias of the convolution that does both, computed in f64 and rounded once.
pub fn fold(conv: &Conv, norm: &BatchNorm) -> Result<(Vec<f32>, Vec<f32>)> {
    let weight = values(&conv.weight.tensor())?;
    let [gain, shift, mean, variance] =
        [&norm.weight, &norm.bias, &norm.running_mean, &norm.running_var]
            .map(|p| values(&p.tensor()));
    let (gain, shift, mean, variance) = (gain?, shift?, mean?, variance?);
    let scale: Vec<f64> = gain
        .iter()
        .zip(&variance)
        .map(|(&gain, &variance)| f64::from(gain) / (f64::from(variance) + norm.eps).sqrt())
        .collect();
    let each = weight.len() / scale.len();
    let folded = weight.chunks_exact(each).zip(&scale);
    let folded = folded.flat_map(|(row, s)| row.iter().map(move |&w| (f64::from(w) * s) as f32));
    let bias = shift.iter().zip(&mean).zip(&scale);
    let bias = bias.map(|((&shift, &mean), s)| (f64::from(shift) - f64::from(mean) * s) as f32);
    Ok((folded.collect(), bias.collect()))
}

/// The numbers of a tensor, row by row.
pub fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1::<f32>()
}
