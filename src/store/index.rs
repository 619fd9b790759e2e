//! Which segment holds which item: a listing of the directory, brought up to date on demand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::segment::Segment;
use super::{Identity, Stage, StageSettings, files};

/// Something in the directory that can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The segment file.
    pub file: PathBuf,
    /// The item, where the file as a whole can be read.
    pub item: Option<String>,
    /// What is wrong with it.
    pub message: String,
}

/// What is known of a segment.
struct Entry {
    stage: Stage,
    content: Result<Content, String>,
}

struct Content {
    names: Vec<String>,
    settings: StageSettings,
}

/// The segments of a directory by file name, oldest first, and the items in them.
#[derive(Default)]
pub(super) struct Index {
    segments: BTreeMap<String, Entry>,
    items: BTreeMap<Stage, BTreeMap<String, String>>,
}

impl Index {
    /// Looks for new and vanished segments. One that can't be read becomes a problem, not an error.
    ///
    /// # Errors
    /// The directory can't be listed.
    pub(super) fn refresh(&mut self, dir: &Path, identity: &Identity) -> Result<()> {
        let found = list(dir)?;
        let known = self.segments.len();
        self.segments.retain(|file, _| found.contains_key(file));
        let mut changed = self.segments.len() < known;
        for (file, stage) in found {
            if self.segments.contains_key(&file) {
                continue;
            }
            let path = dir.join(&file);
            let content = inspect(&path, stage, identity).map_err(|error| format!("{error:#}"));
            if content.is_ok() || path.exists() {
                self.segments.insert(file, Entry { stage, content });
                changed = true;
            }
        }
        if changed {
            self.items = self.gather();
        }
        Ok(())
    }

    /// The newest segment that holds an item wins.
    fn gather(&self) -> BTreeMap<Stage, BTreeMap<String, String>> {
        let mut items: BTreeMap<Stage, BTreeMap<String, String>> = BTreeMap::new();
        for (file, entry) in &self.segments {
            if let Ok(content) = &entry.content {
                let names = content.names.iter().map(|name| (name.clone(), file.clone()));
                items.entry(entry.stage).or_default().extend(names);
            }
        }
        items
    }

    /// Item name -> segment file.
    pub(super) fn items(&self, stage: Stage) -> impl Iterator<Item = (&String, &String)> {
        self.items.get(&stage).into_iter().flatten()
    }

    pub(super) fn segment_of(&self, stage: Stage, name: &str) -> Option<&String> {
        self.items.get(&stage)?.get(name)
    }

    /// The different settings of a stage's segments, newest first.
    pub(super) fn settings(&self, stage: Stage) -> Vec<StageSettings> {
        let mut all: Vec<StageSettings> = Vec::new();
        for entry in self.segments.values().rev().filter(|entry| entry.stage == stage) {
            match &entry.content {
                Ok(content) if !all.contains(&content.settings) => {
                    all.push(content.settings.clone());
                }
                _ => {}
            }
        }
        all
    }

    pub(super) fn problems(&self, dir: &Path) -> Vec<Problem> {
        let bad = self.segments.iter().filter_map(|(file, entry)| {
            let message = entry.content.as_ref().err()?.clone();
            Some(Problem { file: dir.join(file), item: None, message })
        });
        bad.collect()
    }
}

/// Segment files of a directory.
pub(super) fn list(dir: &Path) -> Result<BTreeMap<String, Stage>> {
    let mut found = BTreeMap::new();
    for entry in fs_err::read_dir(dir)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else { continue };
        let prefix = name.strip_suffix(".h5").and_then(files::prefix);
        if let Some(stage) = prefix.and_then(Stage::from_name) {
            found.insert(name.to_owned(), stage);
        }
    }
    Ok(found)
}

fn inspect(path: &Path, stage: Stage, identity: &Identity) -> Result<Content> {
    let segment = Segment::open(path, stage)?;
    identity.compare(&segment.identity()?).context("it belongs to another store")?;
    Ok(Content { names: segment.names()?, settings: segment.settings()? })
}
