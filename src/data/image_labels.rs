//! Image-level labels: `cls_labels.npy` of the IRN family, or the objects of VOC's XML annotations.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::npy::{self, Array, Value};
use super::problems::{Problem, Problems};
use crate::Hint;

/// An annotation file longer than this is no annotation.
const MAX_ANNOTATION: u64 = 16 << 20;

/// Where the classes of a photo come from.
pub enum ImageLabels {
    /// By name or number.
    Named(HashMap<String, Vec<usize>>),
    /// One row a list entry.
    Listed(Vec<Vec<usize>>),
    /// The folder of `<name>.xml`.
    Annotations(PathBuf),
}

impl ImageLabels {
    /// Reads a dict {image number or name: scores per class} or an array `[N, C]` in the order of a
    /// list of `entries` lines. A class is present where its score is above 0.5.
    ///
    /// # Errors
    /// A file of another kind, other numbers of classes or entries.
    pub fn read(path: &Path, n_classes: usize, entries: usize) -> Result<Self> {
        from_value(npy::read(path)?, n_classes, entries)
            .with_context(|| format!("image-level labels {}", path.display()))
            .hint("class names and image list in the settings must be those the file was made for")
    }

    /// The classes of a photo, ascending; `None` without a label.
    pub fn classes_of(
        &self,
        name: &str,
        position: usize,
        classes: &[String],
        problems: &mut Problems,
    ) -> Option<Vec<usize>> {
        match self {
            Self::Listed(rows) => rows.get(position).cloned(),
            Self::Named(by_name) => {
                let number = || Some(number_of(name)?.to_string());
                by_name.get(name).or_else(|| by_name.get(&number()?)).cloned()
            }
            Self::Annotations(folder) => {
                annotated(&folder.join(format!("{name}.xml")), name, classes, problems)
            }
        }
    }
}

/// The number that upstream's `int(name)` makes of `2007_000032` or `000000000009`; of other names
/// (`COCO_train2014_000000000009`) the digits after the last underscore.
fn number_of(name: &str) -> Option<u64> {
    let digits = name.replace('_', "");
    digits.parse().ok().or_else(|| name.rsplit('_').next()?.parse().ok())
}

fn from_value(value: Value, n_classes: usize, entries: usize) -> Result<ImageLabels> {
    match value {
        Value::Dict(labels) => {
            let named = |(key, value)| Ok((key_of(key)?, present_in(&value, n_classes)?));
            Ok(ImageLabels::Named(labels.into_iter().map(named).collect::<Result<_>>()?))
        }
        Value::Array(array) => listed(&array, n_classes, entries),
        other => bail!("a dict or an array expected, not {}", other.what()),
    }
}

fn key_of(key: Value) -> Result<String> {
    match key {
        Value::Int(number) => Ok(number.to_string()),
        Value::Str(name) => Ok(name),
        other => bail!("{} as the name of an image", other.what()),
    }
}

fn present_in(value: &Value, n_classes: usize) -> Result<Vec<usize>> {
    let scores: Vec<f32> = match value {
        Value::Array(array) => array.to_f32().into_iter().collect(),
        Value::List(items) | Value::Tuple(items) => {
            items.iter().map(score_of).collect::<Result<_>>()?
        }
        other => bail!("{} as the label of an image", other.what()),
    };
    ensure!(scores.len() == n_classes, "{} classes, not {n_classes}", scores.len());
    Ok(present(scores))
}

fn score_of(value: &Value) -> Result<f32> {
    match value {
        Value::Int(score) => Ok(*score as f32),
        Value::Float(score) => Ok(*score as f32),
        Value::Bool(present) => Ok(f32::from(u8::from(*present))),
        other => bail!("{} as the score of a class", other.what()),
    }
}

fn present(scores: impl IntoIterator<Item = f32>) -> Vec<usize> {
    scores
        .into_iter()
        .enumerate()
        .filter(|(_, score)| *score > 0.5)
        .map(|(class, _)| class)
        .collect()
}

fn listed(array: &Array, n_classes: usize, entries: usize) -> Result<ImageLabels> {
    let [rows, columns] = *array.shape() else { bail!("an array of {:?}", array.shape()) };
    ensure!(columns == n_classes, "{columns} classes, not {n_classes}");
    ensure!(rows == entries, "{rows} rows, but the list has {entries} entries");
    let scores = array.to_f32();
    Ok(ImageLabels::Listed(scores.outer_iter().map(|row| present(row.iter().copied())).collect()))
}

/// The classes of all objects of an annotation, difficult ones too (as upstream's
/// `make_cls_labels`).
fn annotated(
    path: &Path,
    name: &str,
    classes: &[String],
    problems: &mut Problems,
) -> Option<Vec<usize>> {
    if !path.is_file() {
        return None;
    }
    let objects = match objects_of(path) {
        Ok(objects) => objects,
        Err(error) => {
            let reason = format!("{error:#}");
            problems.add(Problem::BadAnnotation { path: path.into(), reason });
            return None;
        }
    };
    let mut found = Vec::new();
    for object in objects {
        match classes.iter().position(|class| *class == object) {
            Some(class) => found.push(class),
            None => problems.add(Problem::UnknownClass { name: name.into(), class: object }),
        }
    }
    found.sort_unstable();
    found.dedup();
    Some(found)
}

/// The distinct class names of an annotation's objects.
fn objects_of(path: &Path) -> Result<Vec<String>> {
    let length = fs_err::metadata(path)?.len();
    ensure!(length <= MAX_ANNOTATION, "{length} bytes are no annotation");
    let text = fs_err::read_to_string(path)?;
    let document = roxmltree::Document::parse(&text)?;
    let objects = document.root_element().children().filter(|node| node.has_tag_name("object"));
    let names = objects.filter_map(|object| {
        let name = object.children().find(|node| node.has_tag_name("name"))?;
        Some(name.text()?.trim().to_string())
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_names() {
        assert_eq!(number_of("2007_000032"), Some(2_007_000_032));
        assert_eq!(number_of("000000000009"), Some(9));
        assert_eq!(number_of("COCO_train2014_000000000009"), Some(9));
        assert_eq!(number_of("a cat"), None);
    }

    #[test]
    fn damaged_annotations_are_problems() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.xml");
        let deep = "<a>".repeat(100_000);
        for text in ["", "<annotation><object>", "no xml", &deep] {
            fs_err::write(&path, text).unwrap();
            let mut problems = Problems::default();
            assert_eq!(annotated(&path, "x", &[], &mut problems), None);
            assert!(problems.0[0].to_string().contains("x.xml"));
        }
    }
}
