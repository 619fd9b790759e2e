//! CAMs of another method into the store, so that relation labels and IRNet run on them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use serde_json::json;

use super::{Context, Outcome, cam};
use crate::Hint;
use crate::data::cam_file::{self, CamFile, Dialect};
use crate::data::dataset::{Dataset, Item};
use crate::data::photo::size_of;
use crate::label::MergedCam;
use crate::store::Stage;

/// Reads `dir/<name>.npy` for the images whose CAMs the store lacks; says which dialects it met.
///
/// # Errors
/// No such folder, CAMs of another origin in the store, Ctrl-C. Images without a file, or with one that
/// does not fit the photo or the label, are skipped and listed.
pub fn run(context: &Context, set: &Dataset, dir: &Path) -> Result<Outcome> {
    if !dir.is_dir() {
        return Err(anyhow!("{} is no folder", dir.display()))
            .hint("give the folder of the NAME.npy files, upstream's result/cam");
    }
    let settings = context.with_method(json!({ "imported_from": dir.display().to_string() }));
    let mut dialects: BTreeMap<Dialect, usize> = BTreeMap::new();
    let prepare = |item: &Item| load(context, item, dir);
    let outcome =
        context.make(Stage::Cam, &settings, &set.items, prepare, |_, (keys, maps, dialect)| {
            *dialects.entry(dialect).or_default() += 1;
            Ok(cam::record(&keys, maps))
        })?;
    for (dialect, count) in dialects {
        eprintln!("import-cam: {count} files of dialect {}", dialect.name());
    }
    Ok(outcome)
}

fn load(context: &Context, item: &Item, dir: &Path) -> Result<(Vec<usize>, MergedCam, Dialect)> {
    let file = find(context, item, dir)?;
    if let Some(label) = &item.classes {
        file.expect_classes(label)
            .hint("data.labels and data.classes must be those that the CAMs were made for")?;
    }
    let (keys, dialect) = (file.keys.clone(), file.dialect);
    Ok((keys, file.complete(size_of(&item.photo, context.config.data.exif)?)?, dialect))
}

/// The CAM file of an image in a folder of anyone's.
///
/// # Errors
/// None there, or one that can't be read.
pub fn find(context: &Context, item: &Item, dir: &Path) -> Result<CamFile> {
    let path = path_of(dir, &item.name, "npy")?;
    cam_file::read(&path, item.classes.as_deref(), context.config.data.classes.len())
}

/// `dir/<name>.<suffix>`, or as forks with numbers for names have it: without the underscore, or only
/// the digits behind the last one.
///
/// # Errors
/// None of them exists.
pub fn path_of(dir: &Path, name: &str, suffix: &str) -> Result<PathBuf> {
    let number = name.replace('_', "");
    let last = name.rsplit('_').next().unwrap_or(name);
    let candidates = [name, &number, last].map(|name| dir.join(format!("{name}.{suffix}")));
    let found = candidates.iter().find(|path| path.is_file()).cloned();
    found.ok_or_else(|| anyhow!("no file {}", candidates[0].display()))
}
