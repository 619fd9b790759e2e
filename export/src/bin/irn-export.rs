//! Writes trained networks as ONNX files: see `irn_export::cli`.

use std::process::ExitCode;

/// Candle frees and takes large blocks all the time; with glibc page faults dominate.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    irn_export::cli::main()
}
