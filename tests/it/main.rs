//! The one integration binary: golden vectors, programs, properties.

mod bad_input;
mod golden;
mod pipeline;
mod programs;
mod store;
