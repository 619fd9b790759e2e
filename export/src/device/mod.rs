//! What computes: what the user wishes, what the machine has, and what came of it. A wish that can't be had is
//! an error, and where the choice is ours the reason for it is said: nothing falls back silently.
//!
//! | module | what it holds |
//! |---|---|
//! | [`wish`] | `auto`, `cpu`, `cuda`, `cuda:0,2` |
//! | [`driver`] | NVIDIA's driver, asked without linking it |
//! | `calls` | its functions, with their types |
//! | [`libraries`] | CUDA's own libraries, found and loaded |
//! | [`mod@decide`] | the wish against the machine: the places where sessions are opened |
//! | `probe` | one convolution on a device, to be sure |

mod calls;
pub mod decide;
pub mod driver;
pub mod libraries;
pub(crate) mod probe;
pub mod wish;

pub use self::decide::{Decision, decide};
pub use self::driver::{Driver, Gpu};
pub use self::wish::{Device, Place};
