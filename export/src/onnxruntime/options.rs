//! How a session computes. Every setting of the CUDA provider that changes speed or numbers is said here, none
//! is left to what a version of ONNX Runtime takes for its default.

use anyhow::Result;
use ort::ep::cuda::ConvAlgorithmSearch;
use ort::ep::{ArenaExtendStrategy, CUDA, ExecutionProviderDispatch};
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

use super::environment::{environment, plain};
use crate::device::Place;

/// How a session computes.
#[derive(Clone, Copy, Debug)]
pub struct SessionOptions {
    /// Threads inside one operation on the processor, at least 1. The outputs do not depend on it.
    pub threads: usize,
    /// Where.
    pub place: Place,
    /// Idle threads wait actively: faster where this session alone uses the machine.
    pub spinning: bool,
    /// Nothing in the graph is fused or rearranged.
    pub as_written: bool,
    /// A GPU may round the factors of products to 10 bits (TensorFloat-32): faster, and the outputs are
    /// others in the third or fourth digit. Without it they are those of f32.
    pub tf32: bool,
    /// A GPU keeps the channels of a pixel side by side, which suits its units for 16 bits and tf32.
    pub channels_last: bool,
    /// Most memory that the session's arena takes of a GPU, MiB; 0 for as much as there is.
    pub memory_limit: usize,
    /// Inputs and outputs lie in memory that stays from run to run and that a GPU reads and writes itself,
    /// see [`super::bound`].
    pub bound: bool,
    /// The photo has a fourth channel where the model takes one, see [`crate::padded`].
    pub padded: bool,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            threads: 1,
            place: Place::Cpu,
            spinning: false,
            as_written: false,
            tf32: false,
            channels_last: false,
            memory_limit: 0,
            bound: false,
            padded: false,
        }
    }
}

pub(crate) fn builder(options: &SessionOptions) -> Result<SessionBuilder> {
    // Photos come in many sizes: a memory plan made for one shape is of no use for the next.
    let builder = Session::builder(environment()?).map_err(plain)?;
    let builder = builder.with_intra_threads(options.threads.max(1)).map_err(plain)?;
    let builder = builder.with_intra_op_spinning(options.spinning).map_err(plain)?;
    let builder = builder.with_memory_pattern(false).map_err(plain)?;
    let level = match options.as_written {
        true => GraphOptimizationLevel::Disable,
        false => GraphOptimizationLevel::All,
    };
    let builder = builder.with_optimization_level(level).map_err(plain)?;
    match options.place {
        Place::Cpu => Ok(builder),
        Place::Cuda(number) => {
            builder.with_execution_providers([cuda(number, options)]).map_err(plain)
        }
    }
}

/// The CUDA provider on device `number`.
///
/// * The convolution's algorithm is chosen by cuDNN's rules, not by trying all: trying would be done anew for
///   every size of photo, and what it chooses may change from run to run, and the outputs with it.
/// * The arena grows by what is needed, not to the next power of two: several sessions share a device.
/// * A failed registration is an error; ONNX Runtime would otherwise go on without a word, on the processor.
fn cuda(number: u32, options: &SessionOptions) -> ExecutionProviderDispatch {
    let provider = CUDA::default()
        .with_device_id(i32::try_from(number).unwrap_or(i32::MAX))
        .with_conv_algorithm_search(ConvAlgorithmSearch::Heuristic)
        .with_conv_max_workspace(true)
        .with_arena_extend_strategy(ArenaExtendStrategy::SameAsRequested)
        .with_prefer_nhwc(options.channels_last)
        .with_tf32(options.tf32);
    let provider = match options.memory_limit {
        0 => provider,
        limit => provider.with_memory_limit(limit.saturating_mul(1 << 20)),
    };
    provider.build().error_on_failure()
}
