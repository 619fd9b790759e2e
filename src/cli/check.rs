//! `irn-train check-data`: everything that is wrong with a data set, before anything is trained.

use anyhow::{Result, ensure};
use clap::Args;

use super::Settings;
use crate::data::check::{Look, Report};
use crate::error::Hint;
use crate::overlap;
use crate::stage::{Outcome, source};

/// What to look at.
#[derive(Args, Clone, Debug)]
pub struct CheckData {
    /// Read the headers of the photos only, and no masks
    #[arg(long)]
    quick: bool,
    /// Notices (strange sizes, classes without photos, doubled entries) count as faults too
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    settings: Settings,
}

impl CheckData {
    /// Prints the table; faults are skips, so that the exit code says them.
    ///
    /// # Errors
    /// A data set that can't be read, or with fewer usable photos than a batch has; Ctrl-C.
    pub fn run(&self) -> Result<Outcome> {
        let config = source::with_classes(self.settings.load()?)?;
        let look = Look { exif: config.data.exif, quick: self.quick };
        let pool = overlap::pool(config.run.thread_count())?;
        let mut report = Report::default();
        for (purpose, list) in source::lists(&config.data) {
            let (set, problems) = source::open(&config.data, list)?;
            report.add(purpose, &set, &problems, look, &pool)?;
        }
        print!("{}", report.table());
        let (batch, usable) = (config.cam.train.batch, report.trainable());
        let enough = || -> Result<()> {
            ensure!(
                usable >= batch,
                "{usable} photos can be trained on, fewer than a batch of {batch}"
            );
            Ok(())
        };
        let done = report.lists.iter().map(|list| list.photos).sum();
        let mut outcome = Outcome { done, skipped: report.faults, ..Outcome::default() };
        if self.strict {
            let named = report.notices.into_iter().map(|notice| (notice, "notice".to_string()));
            outcome.skipped.extend(named);
        }
        if outcome.skipped.is_empty() {
            println!("nothing is wrong with it");
        }
        enough().hint("label more photos, or set cam.train.batch")?;
        Ok(outcome)
    }
}
