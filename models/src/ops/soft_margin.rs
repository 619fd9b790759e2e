//! The classifier's loss: a logistic loss per class, mean over classes and images (PyTorch's
//! `multilabel_soft_margin_loss`).

use candle_core::{D, Result, Tensor, bail};

use super::precomputed::Precomputed;

/// Image logits `(batch, classes)` from the scores of every cell, `(batch, classes, h, w)`: their mean.
///
/// # Errors
/// A tensor of another rank.
pub fn pool(scores: &Tensor) -> Result<Tensor> {
    scores.flatten_from(2)?.mean(D::Minus1)
}

/// The loss, a scalar, of logits and targets (1 present, 0 absent), both `(batch, classes)` f32.
///
/// Gradients go to the logits. Exact for logits of any size.
///
/// # Errors
/// Shapes that differ, or nothing to average.
pub fn soft_margin(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    if logits.shape() != targets.shape() || logits.elem_count() == 0 {
        bail!("logits {:?} and targets {:?}", logits.shape(), targets.shape());
    }
    let x = logits.flatten_all()?.to_vec1::<f32>()?;
    let y = targets.flatten_all()?.to_vec1::<f32>()?;
    let count = x.len() as f64;
    let pairs = || x.iter().zip(&y).map(|(&x, &y)| (f64::from(x), f64::from(y)));
    let sum: f64 = pairs().map(|(x, y)| y * softplus(-x) + (1.0 - y) * softplus(x)).sum();
    let slope = |(x, y): (f64, f64)| ((sigmoid(x) * (1.0 - y) - sigmoid(-x) * y) / count) as f32;
    let gradient = pairs().map(slope).collect();
    let gradient = Tensor::from_vec(gradient, logits.shape(), logits.device())?;
    let loss = Precomputed { value: (sum / count) as f32, gradients: [gradient] };
    logits.apply_op1(loss)
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
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn saturated_logits_stay_finite() {
        let logits = Var::new(&[[60f32, -60., 0.], [-60., 60., 3.]], &Device::Cpu).unwrap();
        let targets = Tensor::new(&[[1f32, 0., 1.], [1., 0., 0.]], &Device::Cpu).unwrap();
        let loss = soft_margin(&logits, &targets).unwrap();
        let expected = (0f64.exp().ln_1p() + 60. + 60. + 3f64.exp().ln_1p()) / 6.;
        assert!((f64::from(loss.to_scalar::<f32>().unwrap()) - expected).abs() < 1e-5);
        let gradients = loss.backward().unwrap();
        let gradient = gradients.get(&logits).unwrap().to_vec2::<f32>().unwrap();
        let sixth = 1. / 6.;
        let expected = [[0., 0., -0.5 * sixth], [-sixth, sixth, 0.952_574_1 * sixth]];
        for (ours, expected) in gradient.iter().flatten().zip(expected.iter().flatten()) {
            assert!((ours - expected).abs() < 1e-6, "{ours} {expected}");
        }
    }

    #[test]
    fn pooling_commutes_with_the_gradient() {
        let scores = crate::ops::testing::var("scores", &[2, 3, 4, 5]);
        let targets = Tensor::ones((2, 3), candle_core::DType::F32, &Device::Cpu).unwrap();
        let loss = soft_margin(&pool(&scores).unwrap(), &targets).unwrap();
        let gradients = loss.backward().unwrap();
        assert_eq!(gradients.get(&scores).unwrap().dims(), [2, 3, 4, 5]);
    }
}
