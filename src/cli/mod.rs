//! What both programs share on the command line.

#[cfg(feature = "train")]
mod check;
mod coco_files;
mod devices;
pub mod infer;
#[cfg(feature = "train")]
pub mod irn_args;
#[cfg(feature = "train")]
pub mod train;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::config::{self, Config, Device, Method};
use crate::error::report;
use crate::interrupt::Interrupted;
use crate::stage::Outcome;

/// Exit code of work that ended with some images skipped.
pub const SKIPPED: u8 = 3;

/// Settings on the command line, the same for every verb.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// YAML file that says what differs from the defaults (see configs/)
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Thresholds that a method's authors published; settings of the file and overrides win
    #[arg(long, value_enum)]
    pub method: Option<Method>,
    /// Where to compute: auto, cpu, cuda (all GPUs that are visible), cuda:1, cuda:0,2 (run.device)
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<Device>,
    /// Compute again what is there already
    #[arg(long)]
    pub force: bool,
    /// Overrides, laid over the file: cam.train.epochs=3 run.out=DIR ...
    #[arg(value_name = "KEY.PATH=VALUE")]
    pub overrides: Vec<String>,
}

impl Settings {
    /// The resolved settings.
    ///
    /// # Errors
    /// Those of [`config::load`].
    pub fn load(&self) -> Result<Config> {
        let method = self.method.map(|method| format!("run.method={}", method.name()));
        let device = self.device.as_ref().map(|device| format!("run.device={device}"));
        let first = method.into_iter().chain(device);
        let overrides: Vec<String> = first.chain(self.overrides.clone()).collect();
        let config = config::load(self.config.as_deref(), &overrides)?;
        // Kernels of the networks and the label engine share rayon's global pool.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(config.run.thread_count());
        // A second call (in tests) finds the pool built already, which is as good.
        drop(pool.build_global());
        Ok(config)
    }
}

/// Ends a program: errors with their hints on standard error; skipped images listed; the exit code says
/// which it was (0 all done, 1 error, 3 some images skipped, 130 interrupted).
pub fn finish(result: Result<Outcome>) -> ExitCode {
    match result {
        Ok(outcome) if outcome.skipped.is_empty() => ExitCode::SUCCESS,
        Ok(outcome) => {
            eprintln!("{} skipped:", outcome.skipped.len());
            for (name, reason) in &outcome.skipped {
                eprintln!("  {name}: {reason}");
            }
            ExitCode::from(SKIPPED)
        }
        Err(error) if error.is::<Interrupted>() => {
            eprintln!("{error}");
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("{}", report(&error));
            ExitCode::FAILURE
        }
    }
}
