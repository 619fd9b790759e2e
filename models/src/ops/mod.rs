//! The operations behind [`crate::FeatureMap`] on a Candle tensor, and the losses: one file each, every
//! one with its own forward and backward pass on contiguous f32 slices in main memory.
//!
//! Work is cut by the shapes alone, never by the number of threads, and partial sums are added in a
//! fixed order: results are the same bits whatever the machine's width.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;
mod conv;
mod fold;
mod gemm_conv;
mod gemm_gradient;
mod group_norm;
pub(crate) mod head;
mod im2col;
mod max_pool;
pub(crate) mod precomputed;
mod products;
pub mod relation_loss;
mod relu;
pub mod sgd;
pub(crate) mod slices;
pub mod soft_margin;
mod statistics;
mod upsample;

#[cfg(feature = "cuda")]
pub(crate) use self::im2col::Geometry;
pub use self::{
    conv::{conv, conv_norm},
    group_norm::group_norm,
    max_pool::max_pool,
    relation_loss::relation_loss,
    relu::relu,
    soft_margin::{pool, soft_margin},
    statistics::channel_statistics,
    upsample::upsample,
};

#[cfg(test)]
pub(crate) mod testing;
