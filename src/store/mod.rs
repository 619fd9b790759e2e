//! The store between the stages: a directory of immutable HDF5 segments and a master that shows them
//! as one tree (`docs/store.md`).
//!
//! HDF5 loses a file whose writer dies. So nothing is ever written in place: a segment is composed in
//! memory, written under a temporary name, fsynced and renamed. What has its name is complete; a
//! killed process, a full disk or a second process can't damage it, and a stage that is started
//! again computes only the items that are missing.

mod codec;
mod files;
mod hdf;
mod header;
mod index;
mod master;
mod names;
mod record;
mod segment;
mod stage;
mod writer;

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, anyhow};
use rayon::prelude::*;

pub use header::{FORMAT_VERSION, Identity, StageSettings};
use index::Index;
pub use index::Problem;
pub use record::{Data, Kind, Record};
use segment::Segment;
pub use stage::Stage;
pub use writer::{Limits, Writer};

use crate::Hint;

/// Segments that are kept open for reading.
const OPEN: usize = 32;

/// The maps of a data set's images, stage by stage. Shared by threads as it is.
pub struct Store {
    dir: PathBuf,
    identity: Identity,
    index: Mutex<Index>,
    open: Mutex<Vec<Arc<Segment>>>,
}

impl Store {
    /// Opens the store of a data set, or creates it (with its directory).
    ///
    /// # Errors
    /// It belongs to another data set or format version; the directory can't be written.
    pub fn create_or_open(dir: &Path, identity: &Identity) -> Result<Self> {
        let context = || format!("failed to open the store {}", dir.display());
        fs_err::create_dir_all(dir)
            .hint("choose a directory that can be written")
            .with_context(context)?;
        if !dir.join(master::FILE).exists() {
            create(dir, identity).with_context(context)?;
        }
        let store = Self::open(dir)?;
        identity
            .compare(&store.identity)
            .hint("a store keeps the maps of one data set: choose another directory")
            .with_context(context)?;
        Ok(store)
    }

    /// Opens a store whatever its data set, for reading; the directory may be read-only.
    ///
    /// # Errors
    /// There is none, or of another format version.
    pub fn open(dir: &Path) -> Result<Self> {
        let context = || format!("failed to open the store {}", dir.display());
        let identity = master::identity(dir).with_context(context)?;
        let identity = identity
            .ok_or_else(|| anyhow!("no store.h5 and no segments in it"))
            .hint("check the path; the first stage that runs creates the store")
            .with_context(context)?;
        let store =
            Self { dir: dir.to_owned(), identity, index: Mutex::default(), open: Mutex::default() };
        drop(store.refreshed().with_context(context)?);
        Ok(store)
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The data set it belongs to.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The complete items of a stage, of all processes up to now.
    ///
    /// # Errors
    /// The directory can't be listed.
    pub fn names(&self, stage: Stage) -> Result<BTreeSet<String>> {
        Ok(self.refreshed()?.items(stage).map(|(name, _)| name.clone()).collect())
    }

    /// Whether an item is complete; to ask for many, use [`Store::names`].
    ///
    /// # Errors
    /// The directory can't be listed.
    pub fn has(&self, stage: Stage, name: &str) -> Result<bool> {
        Ok(self.locate(stage, name)?.is_some())
    }

    /// Reads an item and compares its checksums. Threads read in parallel.
    ///
    /// # Errors
    /// It is missing or damaged.
    pub fn read(&self, stage: Stage, name: &str) -> Result<Record> {
        let file = self.locate(stage, name)?;
        let file = file
            .ok_or_else(|| anyhow!("no item {name} of stage {stage} in {}", self.dir.display()))
            .hint(format!("run the stage {stage} first"))?;
        self.segment(stage, &file)?.read(name)
    }

    /// What the items of a stage were computed with, newest first: empty without items, more than
    /// one when they differ.
    ///
    /// # Errors
    /// The directory can't be listed.
    pub fn stage_settings(&self, stage: Stage) -> Result<Vec<StageSettings>> {
        Ok(self.refreshed()?.settings(stage))
    }

    /// Starts to add items to a stage.
    ///
    /// # Errors
    /// The directory can't be written.
    pub fn writer(&self, stage: Stage, settings: StageSettings) -> Result<Writer<'_>> {
        self.writer_with(stage, settings, Limits::default())
    }

    /// [`Store::writer`] with other limits of a segment.
    ///
    /// # Errors
    /// The directory can't be written.
    pub fn writer_with(
        &self,
        stage: Stage,
        settings: StageSettings,
        limits: Limits,
    ) -> Result<Writer<'_>> {
        Writer::start(self, stage, settings, limits)
            .with_context(|| format!("failed to write to the store {}", self.dir.display()))
    }

    /// Removes every item of a stage; no writer of this stage may be at work.
    ///
    /// # Errors
    /// A file can't be removed.
    pub fn remove_stage(&self, stage: Stage) -> Result<()> {
        for (file, found) in index::list(&self.dir)? {
            if found == stage {
                match fs_err::remove_file(self.dir.join(file)) {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                    _ => {}
                }
            }
        }
        self.rebuild_master()
    }

    /// Segments that can't be read; their items count as missing. Maps are not read.
    ///
    /// # Errors
    /// The directory can't be listed.
    pub fn problems(&self) -> Result<Vec<Problem>> {
        Ok(self.refreshed()?.problems(&self.dir))
    }

    /// Reads everything: [`Store::problems`] and every item whose checksums are wrong.
    ///
    /// # Errors
    /// The directory can't be listed.
    pub fn verify(&self) -> Result<Vec<Problem>> {
        let mut problems = self.problems()?;
        for stage in Stage::ALL {
            let names: Vec<String> = self.names(stage)?.into_iter().collect();
            let damaged = names.into_par_iter().filter_map(|name| {
                let message = format!("{:#}", self.read(stage, &name).err()?);
                let file = self.locate(stage, &name).ok().flatten().unwrap_or_default();
                Some(Problem { file: self.dir.join(file), item: Some(name), message })
            });
            problems.extend(damaged.collect::<Vec<_>>());
        }
        Ok(problems)
    }

    /// Writes `store.h5` anew from the segments. [`Writer::finish`] does this.
    ///
    /// # Errors
    /// The directory can't be written.
    pub fn rebuild_master(&self) -> Result<()> {
        let _lock = files::lock(&self.dir)?;
        let index = self.refreshed()?;
        master::write(&self.dir, &self.identity, &index)
    }

    fn locate(&self, stage: Stage, name: &str) -> Result<Option<String>> {
        if let Some(file) = held(&self.index).segment_of(stage, name) {
            return Ok(Some(file.clone()));
        }
        Ok(self.refreshed()?.segment_of(stage, name).cloned())
    }

    fn refreshed(&self) -> Result<MutexGuard<'_, Index>> {
        let mut index = held(&self.index);
        index.refresh(&self.dir, &self.identity)?;
        Ok(index)
    }

    /// The segment, opened at most once as long as it is in use.
    fn segment(&self, stage: Stage, file: &str) -> Result<Arc<Segment>> {
        let path = self.dir.join(file);
        let mut open = held(&self.open);
        if let Some(position) = open.iter().position(|segment| segment.path() == path) {
            open[..=position].rotate_right(1);
        } else {
            let segment = Segment::open(&path, stage)
                .with_context(|| format!("failed to open {}", path.display()))?;
            open.truncate(OPEN - 1);
            open.insert(0, Arc::new(segment));
        }
        Ok(Arc::clone(&open[0]))
    }
}

/// Creates the master of a new store, or of one that lost it.
fn create(dir: &Path, identity: &Identity) -> Result<()> {
    let _lock = files::lock(dir)?;
    if dir.join(master::FILE).exists() {
        return Ok(());
    }
    let identity = master::identity(dir)?.unwrap_or_else(|| identity.clone());
    let mut index = Index::default();
    index.refresh(dir, &identity)?;
    master::write(dir, &identity, &index)
}

/// What the mutexes guard is never left half changed by a panic.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
