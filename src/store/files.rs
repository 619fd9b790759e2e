//! Files that are there completely or not at all: temporary name, fsync, rename, fsync of the
//! directory; and what a killed process leaves behind, cleaned up.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use fs_err::{File, OpenOptions};

use crate::Hint;

/// Temporary files younger than this are left alone: their owner may not have locked them yet.
const STALE: Duration = Duration::from_secs(600);
const LOCK: &str = ".lock";
/// What to do when writing fails.
pub(super) const ADVICE: &str = "check the free space and the permissions of the directory, then \
     run the same command again: what is complete is kept";

/// `prefix-<nanoseconds since 1970>-<random>`: sorts by time, and no two processes share one.
pub(super) fn unique(prefix: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
    format!("{prefix}-{now:016x}-{:08x}", rand::random::<u32>())
}

/// Whether `name` is `prefix-<16 hex>-<8 hex>`, and with which prefix.
pub(super) fn prefix(name: &str) -> Option<&str> {
    let hex =
        |part: &str, length| part.len() == length && part.bytes().all(|b| b.is_ascii_hexdigit());
    let (rest, random) = name.rsplit_once('-')?;
    let (prefix, time) = rest.rsplit_once('-')?;
    (hex(random, 8) && hex(time, 16)).then_some(prefix)
}

/// Writes `dir/name` by way of `dir/.temporary.tmp`; on failure nothing is left.
///
/// # Errors
/// The disk is full, the directory is not writable, ...
pub(super) fn write_atomically(
    dir: &Path,
    temporary: &str,
    name: &str,
    bytes: &[u8],
) -> Result<()> {
    let path = dir.join(format!(".{temporary}.tmp"));
    let written = write_durably(&path, bytes)
        .and_then(|_file| fs_err::rename(&path, dir.join(name)))
        .and_then(|()| sync_dir(dir));
    if written.is_err() {
        let _ = fs_err::remove_file(&path);
    }
    let context = || format!("failed to write {}", dir.join(name).display());
    written.with_context(context).hint(ADVICE)
}

/// The file stays locked while it is open: a sign that its owner lives.
fn write_durably(path: &Path, bytes: &[u8]) -> std::io::Result<File> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    ignore_unsupported(file.lock())?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(file)
}

#[cfg(unix)]
fn sync_dir(dir: &Path) -> std::io::Result<()> {
    ignore_unsupported(File::open(dir)?.sync_all())
}

#[cfg(not(unix))]
fn sync_dir(_dir: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Some network file systems have no locks, and no fsync of directories.
fn ignore_unsupported(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::InvalidInput) => {
            Ok(())
        }
        other => other,
    }
}

/// Holds the lock of the directory until the file is dropped, or its process dies.
///
/// # Errors
/// The directory is not writable.
pub(super) fn lock(dir: &Path) -> Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(dir.join(LOCK));
    let file = file.hint("the directory of a store must be writable")?;
    ignore_unsupported(file.lock()).context("failed to lock the store")?;
    Ok(file)
}

/// Removes the temporary files of processes that died.
///
/// # Errors
/// The directory can't be listed.
pub(super) fn clean(dir: &Path) -> Result<()> {
    for entry in fs_err::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let ours = name.strip_prefix('.').and_then(|name| name.strip_suffix(".h5.tmp"));
        if ours.and_then(prefix).is_some() && abandoned(&path).unwrap_or(false) {
            let _ = fs_err::remove_file(&path);
        }
    }
    Ok(())
}

fn abandoned(path: &Path) -> std::io::Result<bool> {
    let file = File::open(path)?;
    let age = file.metadata()?.modified()?.elapsed().unwrap_or_default();
    Ok(age > STALE && file.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unique_names_sort_by_time() {
        let names: Vec<String> = (0..100).map(|_| unique("ir_label")).collect();
        assert!(names.is_sorted());
        assert!(names.iter().all(|name| prefix(name) == Some("ir_label")));
        assert_eq!(prefix("cam-1-2"), None);
        assert_eq!(prefix("notes"), None);
    }

    #[test]
    fn only_abandoned_files_are_cleaned() {
        let dir = tempfile::tempdir().unwrap();
        let make = |name: &str, old: bool| {
            let file = File::create(dir.path().join(name)).unwrap();
            let age = if old { STALE * 2 } else { Duration::ZERO };
            file.file().set_modified(SystemTime::now() - age).unwrap();
            file
        };
        let (dead, busy) =
            (format!(".{}.h5.tmp", unique("cam")), format!(".{}.h5.tmp", unique("cam")));
        let (fresh, foreign) = (format!(".{}.h5.tmp", unique("cam")), ".mine.h5.tmp".to_owned());
        make(&dead, true);
        make(&foreign, true);
        make(&fresh, false);
        let owner = make(&busy, true);
        owner.lock().unwrap();
        clean(dir.path()).unwrap();
        let left = |name: &str| dir.path().join(name).exists();
        assert!(!left(&dead) && left(&busy) && left(&fresh) && left(&foreign));
    }
}
