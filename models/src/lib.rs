//! The CAM and IRNet networks (Ahn, Cho, Kwak, CVPR 2019), written once.
//!
//! A forward pass is generic over [`FeatureMap`]: on a [`candle_core::Tensor`] it computes and
//! records gradients, on the exporter's symbol it writes ONNX nodes. Layers own their parameters and
//! carry their checkpoint path as name, so a parameter is called the same in the optimizer, in
//! safetensors and in the graph.
//!
//! Without the feature `candle` only [`error`], the geometry of pixel [`pairs`], [`chebyshev`] sums, the reader of
//! [`pickle`]s and [`voc`] are left, which is all that inference needs.

pub mod chebyshev;
pub mod error;
pub mod pairs;
pub mod pickle;
pub mod voc;

#[cfg(feature = "candle")]
mod branches;
#[cfg(feature = "candle")]
mod by_image;
#[cfg(feature = "candle")]
mod calibrate;
#[cfg(feature = "candle")]
mod cam;
#[cfg(feature = "candle")]
pub mod checkpoint;
#[cfg(feature = "cuda")]
pub mod cuda;
#[cfg(feature = "candle")]
mod feature_map;
#[cfg(feature = "candle")]
mod irnet;
#[cfg(feature = "candle")]
pub mod layers;
#[cfg(feature = "candle")]
pub mod ops;
#[cfg(feature = "candle")]
pub mod resnet;
#[cfg(feature = "candle")]
pub mod tape;
#[cfg(feature = "candle")]
pub mod weights;

#[cfg(feature = "candle")]
pub use self::{
    calibrate::calibrate,
    cam::{CamNet, ClassStep},
    feature_map::FeatureMap,
    irnet::{IrNet, Relations},
    layers::{BatchNorm, Conv, ConvNorm, GroupNorm, Param},
    resnet::{Backbone, ResNet},
    weights::Weights,
};
