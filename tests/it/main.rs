//! The one integration binary: golden vectors, programs, properties.

mod golden;
#[cfg(feature = "train")]
mod onnx;
