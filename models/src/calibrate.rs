//! Stored statistics for a start from scratch.
//!
//! Normalisation here is by stored statistics, in training as well. Freshly drawn weights have none, so
//! activations would grow or vanish with depth. One pass over a batch of images, layer by layer, stores
//! what each convolution gives; later layers see earlier ones already calibrated (the idea of
//! layer-sequential unit-variance initialisation, Mishkin and Matas 2016).

use candle_core::{Result, Tensor, bail};

use crate::layers::{BatchNorm, Conv, ConvNorm, GroupNorm};
use crate::{FeatureMap, ResNet, ops};

/// Sets every running mean and variance of `resnet` to the statistics of `images`,
/// `(batch, 3, height, width)`.
///
/// # Errors
/// Images that are no such batch, or none.
pub fn calibrate(resnet: &ResNet, images: &Tensor) -> Result<()> {
    if images.elem_count() == 0 {
        bail!("calibration needs an image, not {:?}", images.shape());
    }
    resnet.forward(&Calibrating(images.detach()))?;
    Ok(())
}

/// A tensor that calibrates each layer before it passes.
#[derive(Clone)]
struct Calibrating(Tensor);

impl FeatureMap for Calibrating {
    fn conv_norm(&self, layer: &ConvNorm, residual: Option<&Self>) -> Result<Self> {
        store_statistics(&layer.norm, &self.0.conv(&layer.conv)?)?;
        self.0.conv_norm(layer, residual.map(|residual| &residual.0)).map(|x| Self(x.detach()))
    }

    fn conv(&self, layer: &Conv) -> Result<Self> {
        self.0.conv(layer).map(Self)
    }

    fn group_norm(&self, layer: &GroupNorm) -> Result<Self> {
        self.0.group_norm(layer).map(Self)
    }

    fn relu(&self) -> Result<Self> {
        FeatureMap::relu(&self.0).map(Self)
    }

    fn concat(maps: &[Self]) -> Result<Self> {
        let maps: Vec<Tensor> = maps.iter().map(|map| map.0.clone()).collect();
        FeatureMap::concat(&maps).map(Self)
    }

    fn max_pool(&self) -> Result<Self> {
        self.0.max_pool().map(Self)
    }

    fn upsample(&self, factor: usize) -> Result<Self> {
        self.0.upsample(factor).map(Self)
    }

    fn crop_like(&self, other: &Self) -> Result<Self> {
        self.0.crop_like(&other.0).map(Self)
    }

    fn detach(&self) -> Self {
        Self(self.0.detach())
    }
}

/// Mean and (population) variance of each channel over batch and space.
fn store_statistics(norm: &BatchNorm, x: &Tensor) -> Result<()> {
    let (mean, variance) = ops::channel_statistics(&x.detach())?;
    let channels = mean.len();
    norm.running_mean.var().set(&Tensor::from_vec(mean, channels, x.device())?)?;
    norm.running_var.var().set(&Tensor::from_vec(variance, channels, x.device())?)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::Weights;
    use crate::ops::testing::{close, numbers};
    use crate::resnet::BACKBONES;

    #[test]
    fn layers_give_mean_zero_and_variance_one() {
        for backbone in [BACKBONES[0], BACKBONES[2]] {
            let mut w = Weights::seeded(3, &Device::Cpu);
            let resnet = ResNet::new(&mut w, "resnet50", backbone, 0.125, 3).unwrap();
            let images = (numbers("images", &[4, 3, 64, 48]) * 3.0).unwrap();
            calibrate(&resnet, &images).unwrap();
            let mut stem = None;
            resnet.visit_units(&mut |unit| stem = stem.or(Some(unit)));
            let stem = ConvNorm { relu: false, ..stem.unwrap().clone() };
            let y = images.conv_norm(&stem, None).unwrap();
            let (mean, variance) = ops::channel_statistics(&y).unwrap();
            assert!(mean.iter().all(|mean| mean.abs() < 1e-4), "{mean:?}");
            assert!(variance.iter().all(|variance| (variance - 1.0).abs() < 1e-3), "{variance:?}");

            // The same images again change nothing: every layer saw calibrated ones before it.
            let statistics = |resnet: &ResNet| {
                let mut all = Vec::new();
                resnet.visit_units(&mut |unit| {
                    all.push(unit.norm.running_mean.var().as_tensor().copy().unwrap());
                    all.push(unit.norm.running_var.var().as_tensor().copy().unwrap());
                });
                all
            };
            let first = statistics(&resnet);
            calibrate(&resnet, &images).unwrap();
            for (a, b) in statistics(&resnet).iter().zip(&first) {
                close(a, b, 1e-5);
            }
            let outputs = resnet.forward(&images).unwrap();
            for stage in outputs {
                let (_, variance) = ops::channel_statistics(&stage).unwrap();
                let mean = variance.iter().sum::<f32>() / variance.len() as f32;
                assert!((0.05..30.0).contains(&mean), "variance {mean}");
            }
        }
    }

    #[test]
    fn no_image_is_an_error() {
        let mut w = Weights::seeded(3, &Device::Cpu);
        let resnet = ResNet::new(&mut w, "resnet50", BACKBONES[0], 0.125, 3).unwrap();
        assert!(calibrate(&resnet, &numbers("none", &[0, 3, 32, 32])).is_err());
    }
}
