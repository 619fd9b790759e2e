//! The classifier's loss: a logistic loss per class, mean over classes and images (PyTorch's
//! `multilabel_soft_margin_loss`).

use candle_core::{D, Result, Tensor, bail};

/// The loss and its gradient.
pub struct SoftMargin {
    /// Mean over classes and images.
    pub loss: f32,
    /// With respect to the logits, of their shape.
    pub gradient: Tensor,
}

/// Image logits `(batch, classes)` from the scores of every cell, `(batch, classes, h, w)`: their mean.
///
/// # Errors
/// A tensor of another rank.
pub fn pool(scores: &Tensor) -> Result<Tensor> {
    scores.flatten_from(2)?.mean(D::Minus1)
}

/// The gradient of scores of `shape` from that of their [`pool`]: every cell has its share.
///
/// # Errors
/// Shapes that do not fit together.
pub fn pool_gradient(shape: &[usize], gradient: &Tensor) -> Result<Tensor> {
    let &[batch, classes, height, width] = shape else { bail!("scores of shape {shape:?}") };
    let share = gradient.affine(1.0 / (height * width) as f64, 0.0)?;
    share.reshape((batch, classes, 1, 1))?.broadcast_as(shape)?.contiguous()
}

/// The loss of logits and targets (1 present, 0 absent), both `(batch, classes)` f32 in main memory.
///
/// Exact for logits of any size.
///
/// # Errors
/// Shapes that differ, or nothing to average.
pub fn soft_margin(logits: &Tensor, targets: &Tensor) -> Result<SoftMargin> {
    if logits.shape() != targets.shape() || logits.elem_count() == 0 {
        bail!("logits {:?} and targets {:?}", logits.shape(), targets.shape());
    }
    let x = logits.flatten_all()?.to_vec1::<f32>()?;
    let y = targets.flatten_all()?.to_vec1::<f32>()?;
    let count = x.len() as f64;
    let pairs = || x.iter().zip(&y).map(|(&x, &y)| (f64::from(x), f64::from(y)));
    let sum: f64 = pairs().map(|(x, y)| y * softplus(-x) + (1.0 - y) * softplus(x)).sum();
    let slope = |(x, y): (f64, f64)| ((sigmoid(x) * (1.0 - y) - sigmoid(-x) * y) / count) as f32;
    let gradient = Tensor::from_vec(pairs().map(slope).collect(), logits.shape(), logits.device())?;
    Ok(SoftMargin { loss: (sum / count) as f32, gradient })
}

/// `ln(1 + exp(x))` without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::ops::testing::{close, numbers, var};

    #[test]
    fn saturated_logits_stay_finite() {
        let logits = Tensor::new(&[[60f32, -60., 0.], [-60., 60., 3.]], &Device::Cpu).unwrap();
        let targets = Tensor::new(&[[1f32, 0., 1.], [1., 0., 0.]], &Device::Cpu).unwrap();
        let SoftMargin { loss, gradient } = soft_margin(&logits, &targets).unwrap();
        let expected = (0f64.exp().ln_1p() + 60. + 60. + 3f64.exp().ln_1p()) / 6.;
        assert!((f64::from(loss) - expected).abs() < 1e-5);
        let gradient = gradient.to_vec2::<f32>().unwrap();
        let sixth = 1. / 6.;
        let expected = [[0., 0., -0.5 * sixth], [-sixth, sixth, 0.952_574_1 * sixth]];
        for (ours, expected) in gradient.iter().flatten().zip(expected.iter().flatten()) {
            assert!((ours - expected).abs() < 1e-6, "{ours} {expected}");
        }
    }

    #[test]
    fn the_gradient_of_pooling_agrees_with_candle() {
        let (scores, along) = (var("scores", &[2, 3, 4, 5]), numbers("along", &[2, 3]));
        let sum = (pool(&scores).unwrap() * &along).unwrap().sum_all().unwrap();
        let theirs = sum.backward().unwrap();
        let ours = pool_gradient(scores.dims(), &along).unwrap();
        close(&ours, theirs.get(&scores).unwrap(), 1e-6);
    }
}
