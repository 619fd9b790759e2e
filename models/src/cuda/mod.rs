//! Training steps on an NVIDIA GPU: the [`Engine`](crate::tape::Engine) of Candle's CUDA device.
//!
//! Parameters, gradients and momenta are Candle's tensors; maps are ours, channels innermost, as the matrix
//! units take them, in f32 or bf16. Convolutions are cuDNN's, all else are kernels of our own (`kernels/`),
//! compiled with the program. Everything repeats itself to the bit: no sum depends on the order in which
//! blocks happen to run.
//!
//! Without a GPU the kernels run on the processor: `scripts/cuda/fake` is a driver and a cuDNN of that kind,
//! for the tests.

mod convolution;
mod convolve;
mod copies;
mod descent;
mod descriptors;
mod engine;
mod gpu;
mod map;
mod normalise;
mod photos;
mod profile;
mod relation;
mod steps;
mod sums;
#[cfg(test)]
mod tests;

pub use self::engine::{CudaEngine, Precision};
pub use self::profile::Times;
pub use self::steps::{Batch, Pending};
