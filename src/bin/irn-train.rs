//! Program `irn-train`: parses and calls, see [`irn::cli::train`].

use std::process::ExitCode;

use clap::Parser;
use irn::cli::{self, train};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = train::Cli::parse();
    cli::finish(irn::interrupt::install().and_then(|()| train::run(cli)))
}
