//! Ctrl-C as a wish that long loops look at between two pieces of work.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// The error of work that stopped because the user asked for it; what was done is kept.
#[derive(Debug)]
pub struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted; what is done is kept, the same command goes on from here")
    }
}

impl std::error::Error for Interrupted {}

/// Catches Ctrl-C and SIGTERM: the first asks for a clean stop, the second ends the process.
///
/// # Errors
/// When the handler can't be installed.
pub fn install() -> Result<()> {
    let handler = || {
        if REQUESTED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        eprintln!("stopping after the current step (once more to stop at once)");
    };
    ctrlc::set_handler(handler).context("failed to catch Ctrl-C")
}

/// Whether a stop was asked for.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}

/// Fails with [`Interrupted`] once a stop was asked for.
///
/// # Errors
/// [`Interrupted`].
pub fn check() -> Result<()> {
    if requested() { Err(Interrupted.into()) } else { Ok(()) }
}
