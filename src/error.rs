//! Errors with hints, shared by all crates of the project.

pub use irn_models::error::{Hint, report};
