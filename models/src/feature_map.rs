//! What a network may ask of a feature map.

use candle_core::Result;

use crate::layers::{Conv, ConvNorm, GroupNorm};

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
