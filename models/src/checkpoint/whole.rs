//! Files that are written whole or not at all: beside their place, synced, then renamed.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

/// Writes `bytes` to `path`.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let file_name = path.file_name().context("a checkpoint needs a file name")?;
    let temporary = format!(".{}.{}.tmp", file_name.to_string_lossy(), std::process::id());
    let temporary = path.with_file_name(temporary);
    let written =
        write_synced(&temporary, bytes).and_then(|()| Ok(fs_err::rename(&temporary, path)?));
    if written.is_err() {
        // The first error is the one to report.
        drop(fs_err::remove_file(&temporary));
    }
    written
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = fs_err::File::create(path)?;
    file.write_all(bytes)?;
    Ok(file.sync_all()?)
}
