//! Program `irn-train`: parses and calls, see [`irn::cli::train`].

use std::process::ExitCode;

use clap::Parser;
use irn::cli::{self, train};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

unsafe extern "C" {
    /// The allocator's own setting.
    fn mi_option_set(option: std::ffi::c_int, value: std::ffi::c_long);
}

/// Never gives freed memory back to the system: every step needs it again, and fresh pages cost a third of
/// its time.
fn keep_memory() {
    const PURGE_DELAY: std::ffi::c_int = 15;
    // SAFETY: this is mimalloc's, linked in as the allocator; no other thread exists yet.
    unsafe { mi_option_set(PURGE_DELAY, -1) };
}

fn main() -> ExitCode {
    keep_memory();
    let cli = train::Cli::parse();
    cli::finish(irn::interrupt::install().and_then(|()| train::run(cli)))
}
