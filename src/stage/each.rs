//! Files of every image, written on all threads: what `draw`, `scores` and `export-npy` have in common.

use anyhow::Result;

use super::{Context, Outcome};
use crate::data::dataset::{Dataset, Item};
use crate::overlap::overlapped;
use crate::progress::Progress;

/// Calls `write` for every image of `set`, with progress under the name `what`. An image that fails is
/// skipped and listed.
///
/// # Errors
/// Ctrl-C.
pub fn each(
    context: &Context,
    what: &str,
    set: &Dataset,
    write: impl Fn(&Item) -> Result<()> + Sync,
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut progress = Progress::new(what, set.items.len(), "images");
    let lookahead = 2 * context.config.run.thread_count();
    let work = |item| (item, write(item));
    overlapped(&context.pool, lookahead, set.items.iter(), work, |(item, written)| {
        progress.advance(1);
        match written {
            Ok(()) => outcome.done += 1,
            Err(error) => drop(outcome.skipped.insert(item.name.clone(), format!("{error:#}"))),
        }
        Ok(())
    })?;
    progress.finish();
    Ok(outcome)
}
