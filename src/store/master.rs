//! `store.h5`: a small file that shows all segments as one tree of external links. It is a view:
//! programs find items by the segments, and a lost master is rebuilt from them.

use std::path::Path;

use anyhow::{Context, Result};

use super::index::{self, Index};
use super::names::escape;
use super::segment::Segment;
use super::{Identity, Stage, files, hdf};
use crate::Hint;

pub(super) const FILE: &str = "store.h5";

/// Whose store the directory is: by its master, or by its segments where that is missing.
///
/// # Errors
/// The master is damaged or not ours; the directory can't be listed.
pub(super) fn identity(dir: &Path) -> Result<Option<Identity>> {
    let path = dir.join(FILE);
    if path.exists() {
        let file = hdf::open(&path).with_context(|| format!("failed to open {}", path.display()));
        let file =
            file.hint("delete store.h5 if it is damaged: it is rebuilt from the segments")?;
        let identity = Identity::read(&file);
        return identity.map(Some).with_context(|| format!("failed to read {}", path.display()));
    }
    let segments = index::list(dir)?;
    let readable = |(file, stage): (&String, &Stage)| Segment::open(&dir.join(file), *stage).ok();
    Ok(segments.iter().filter_map(readable).find_map(|segment| segment.identity().ok()))
}

/// Writes the master anew; the caller holds the lock of the directory.
///
/// # Errors
/// HDF5 fails, or the file can't be written.
pub(super) fn write(dir: &Path, identity: &Identity, index: &Index) -> Result<()> {
    let id = files::unique("store");
    let file = hdf::create(&id)?;
    identity.write(&file)?;
    for stage in Stage::ALL {
        let group = hdf::create_group(&file, stage.name())?;
        match index.settings(stage).first() {
            Some(settings) => settings.write(&group, stage)?,
            None => hdf::write_text(&group, "meaning", stage.meaning())?,
        }
        for (name, segment) in index.items(stage) {
            let link = escape(name)?;
            group.link_external(segment, &format!("/{stage}/{link}"), &link)?;
        }
    }
    let image = hdf::image(&file)?;
    file.close()?;
    files::write_atomically(dir, &format!("{id}.h5"), FILE, &image)
}
