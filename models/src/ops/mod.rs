//! The operations behind [`crate::FeatureMap`], and the losses: one file each, with its forward pass and the
//! way back, on contiguous f32 slices in main memory.
//!
//! Work is cut by the shapes alone, never by the number of threads, and partial sums are added in a
//! fixed order: results are the same bits whatever the machine's width.

pub(crate) mod affine;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;
pub(crate) mod conv;
mod forward;
pub(crate) mod gemm_conv;
mod gemm_gradient;
pub(crate) mod group_norm;
pub(crate) mod head;
pub(crate) mod im2col;
pub(crate) mod max_pool;
pub(crate) mod precomputed;
pub(crate) mod products;
pub mod relation_loss;
pub(crate) mod relu;
pub mod sgd;
pub(crate) mod slices;
pub mod soft_margin;
mod statistics;
pub(crate) mod upsample;

#[cfg(feature = "cuda")]
pub(crate) use self::im2col::Geometry;
pub use self::{
    products::matrix_unit,
    relation_loss::relation_loss,
    soft_margin::{pool, soft_margin},
    statistics::channel_statistics,
};

#[cfg(test)]
pub(crate) mod testing;
