//! The one integration binary: golden vectors, programs, properties.

mod bad_input;
mod golden;
mod onnx;
mod pipeline;
mod programs;
mod store;
