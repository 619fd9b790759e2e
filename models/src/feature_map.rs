//! What a network may ask of a feature map, and what a Candle tensor answers.

use candle_core::{Result, Tensor};

use crate::layers::{Conv, ConvNorm, GroupNorm};
use crate::ops;

/// A map of shape `(batch, channels, height, width)`, computed or merely described.
pub trait FeatureMap: Clone {
    /// Convolution without bias, then normalisation by stored statistics (scale and shift still
    /// learn), then `+ residual`, then ReLU where the layer says so.
    fn conv_norm(&self, layer: &ConvNorm, residual: Option<&Self>) -> Result<Self>;
    /// Convolution with an optional bias.
    fn conv(&self, layer: &Conv) -> Result<Self>;
    /// Group normalisation by the statistics of each image.
    fn group_norm(&self, layer: &GroupNorm) -> Result<Self>;
    /// The positive part.
    fn relu(&self) -> Result<Self>;
    /// Concatenates along the channels; `maps` holds at least one map.
    fn concat(maps: &[Self]) -> Result<Self>;
    /// 3x3 maximum, stride 2, padding 1: the ResNet stem.
    fn max_pool(&self) -> Result<Self>;
    /// Bilinear enlargement by a whole factor, half-pixel centres.
    fn upsample(&self, factor: usize) -> Result<Self>;
    /// Drops the rows and columns (bottom, right) that `other` does not have.
    fn crop_like(&self, other: &Self) -> Result<Self>;
    /// Stops gradients; the identity elsewhere.
    fn detach(&self) -> Self;
}

impl FeatureMap for Tensor {
    fn conv_norm(&self, layer: &ConvNorm, residual: Option<&Self>) -> Result<Self> {
        ops::conv_norm(self, layer, residual)
    }

    fn conv(&self, layer: &Conv) -> Result<Self> {
        ops::conv(self, layer)
    }

    fn group_norm(&self, layer: &GroupNorm) -> Result<Self> {
        ops::group_norm(self, layer)
    }

    fn relu(&self) -> Result<Self> {
        ops::relu(self)
    }

    fn concat(maps: &[Self]) -> Result<Self> {
        Tensor::cat(maps, 1)
    }

    fn max_pool(&self) -> Result<Self> {
        ops::max_pool(self)
    }

    fn upsample(&self, factor: usize) -> Result<Self> {
        ops::upsample(self, factor)
    }

    fn crop_like(&self, other: &Self) -> Result<Self> {
        self.narrow(2, 0, other.dim(2)?)?.narrow(3, 0, other.dim(3)?)
    }

    fn detach(&self) -> Self {
        self.detach()
    }
}
