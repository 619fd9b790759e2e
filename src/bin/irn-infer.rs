//! Program `irn-infer`: parses and calls, see [`irn::cli::infer`].

use std::process::ExitCode;

use clap::Parser;
use irn::cli::{self, infer};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = infer::Cli::parse();
    cli::finish(irn::interrupt::install().and_then(|()| infer::run(cli)))
}
