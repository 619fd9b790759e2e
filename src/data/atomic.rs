//! Files that are either complete or absent: written beside their place, synced, then renamed.

use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};

use crate::Hint;

/// Creates `path` (and its folder) with what `fill` writes; an interrupted or failed write leaves
/// no file, or the old one.
///
/// # Errors
/// A folder or file that can't be written, or the error of `fill`.
pub fn write_atomically(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&std::fs::File>) -> Result<()>,
) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let attempt = || -> Result<()> {
        fs_err::create_dir_all(folder)?;
        let temporary = temporary_in(folder)?;
        let mut writer = BufWriter::with_capacity(1 << 16, temporary.as_file());
        fill(&mut writer)?;
        writer.flush()?;
        drop(writer);
        temporary.as_file().sync_data()?;
        temporary.persist(path).map_err(|failure| failure.error)?;
        Ok(())
    };
    attempt()
        .with_context(|| format!("failed to write {}", path.display()))
        .hint("check that the output folder may be written to and that the disk is not full")
}

fn temporary_in(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".irn-");
    // Temporary files are private by default; what is renamed into place should follow the umask.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/file.bin");
        let outcome = write_atomically(&path, |writer| {
            writer.write_all(b"half")?;
            anyhow::bail!("disk full")
        });
        assert!(outcome.unwrap_err().to_string().contains("file.bin"));
        assert_eq!(fs_err::read_dir(folder.path().join("new")).unwrap().count(), 0);
    }

    #[test]
    fn a_write_replaces_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.bin");
        for content in [b"first", b"other"] {
            write_atomically(&path, |writer| Ok(writer.write_all(content)?)).unwrap();
            assert_eq!(fs_err::read(&path).unwrap(), content);
        }
    }
}
