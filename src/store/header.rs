//! What every file of a store says of itself: format version, data set, classes, and in segments the
//! stage, its resolved settings and the fingerprint of the model.

use anyhow::{Context, Result, anyhow, bail, ensure};
use hdf5::{Group, Location};

use super::{Stage, hdf};
use crate::Hint;

/// Version of the layout of the files.
pub const FORMAT_VERSION: i64 = 1;
const FORMAT: &str = "irn store";

/// Which data set a store belongs to; a store is never mixed with another one's maps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Name of the data set.
    pub dataset: String,
    /// Fingerprint of what the items depend on beyond the classes; empty where nothing is compared.
    pub fingerprint: String,
    /// Class names in the order of their numbers, background not counted.
    pub classes: Vec<String>,
}

/// What a stage was computed with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StageSettings {
    /// Resolved settings as JSON.
    pub settings: String,
    /// Fingerprint of the model; empty for a stage without one.
    pub model: String,
}

impl Identity {
    pub(super) fn write(&self, root: &Location) -> Result<()> {
        hdf::write_text(root, "format", FORMAT)?;
        hdf::write_integer(root, "format_version", FORMAT_VERSION)?;
        hdf::write_text(root, "dataset", &self.dataset)?;
        hdf::write_text(root, "dataset_fingerprint", &self.fingerprint)?;
        hdf::write_texts(root, "classes", &self.classes)
    }

    /// # Errors
    /// Not a file of a store, or one of another version.
    pub(super) fn read(root: &Location) -> Result<Self> {
        let format = hdf::read_text(root, "format").context("not a file of an irn store")?;
        ensure!(format == FORMAT, "not a file of an irn store: format `{format}`");
        let version = hdf::read_integer(root, "format_version")?;
        if version != FORMAT_VERSION {
            let error = anyhow!("format version {version}, this program has {FORMAT_VERSION}");
            return Err(error).hint("use another directory, or the program that wrote this one");
        }
        Ok(Self {
            dataset: hdf::read_text(root, "dataset")?,
            fingerprint: hdf::read_text(root, "dataset_fingerprint")?,
            classes: hdf::read_texts(root, "classes")?,
        })
    }

    /// # Errors
    /// `found` is another data set.
    pub(super) fn compare(&self, found: &Self) -> Result<()> {
        if self.classes != found.classes {
            bail!("its classes are {}, not {}", list(&found.classes), list(&self.classes));
        }
        ensure!(
            self.dataset == found.dataset,
            "its data set is `{}`, not `{}`",
            found.dataset,
            self.dataset
        );
        ensure!(
            self.fingerprint == found.fingerprint,
            "its data set `{}` has the fingerprint `{}`, not `{}`",
            found.dataset,
            found.fingerprint,
            self.fingerprint
        );
        Ok(())
    }
}

impl StageSettings {
    pub(super) fn write(&self, group: &Group, stage: Stage) -> Result<()> {
        hdf::write_text(group, "settings", &self.settings)?;
        hdf::write_text(group, "model", &self.model)?;
        hdf::write_text(group, "meaning", stage.meaning())
    }

    pub(super) fn read(group: &Group) -> Result<Self> {
        Ok(Self {
            settings: hdf::read_text(group, "settings")?,
            model: hdf::read_text(group, "model")?,
        })
    }
}

fn list(classes: &[String]) -> String {
    let shown: Vec<&str> = classes.iter().take(5).map(String::as_str).collect();
    let more = if classes.len() > shown.len() { ", ..." } else { "" };
    format!("{} [{}{more}]", classes.len(), shown.join(", "))
}
