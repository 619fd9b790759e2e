//! The one integration binary: golden vectors, programs, properties.

#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod allocation;
mod bad_input;
mod coco_eval;
mod data_sets;
mod devices;
mod family;
mod golden;
mod onnx;
mod pipeline;
mod programs;
mod python;
mod store;
