//! A plain folder as a data set: photos anywhere below it, labels from a CSV table or from the names of sub-folders,
//! training and validation part by seed.

mod csv;
mod split;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::dataset::{Dataset, Item, read_list, report_labels};
use super::problems::{Problem, Problems};
use super::walk::{self, Index, Photo};
use crate::Hint;
use crate::eval::coco::annotations::Category;
use csv::Table;

/// Sub-folders of photos that nobody labelled.
const UNLABELLED: [&str; 2] = ["unlabelled", "unlabeled"];

/// A folder and how to read it.
#[derive(Clone, Copy, Debug)]
pub struct Folder<'a> {
    /// The folder.
    pub root: &'a Path,
    /// The CSV table; the names of sub-folders where absent.
    pub labels: Option<&'a Path>,
    /// Share of the labelled photos in the list `val`.
    pub val_share: f64,
    /// Seed of the split.
    pub seed: u64,
}

/// Labels by the position of the photo; those of no photo.
struct Labels {
    of_photo: HashMap<usize, BTreeSet<String>>,
    strays: Vec<String>,
}

impl Folder<'_> {
    /// The classes that the labels name, sorted; of a table with class columns, the columns.
    ///
    /// # Errors
    /// A folder or table that can't be read, no label at all.
    pub fn classes(&self) -> Result<Vec<String>> {
        if let Some(table) = self.table()?.filter(|table| !table.columns.is_empty()) {
            return Ok(table.columns);
        }
        let labels = self.labels_of(&self.photos()?, &[])?;
        let names: BTreeSet<String> = labels.of_photo.into_values().flatten().collect();
        let found = || -> Result<Vec<String>> {
            ensure!(!names.is_empty(), "no labels in {}", self.root.display());
            Ok(names.into_iter().collect())
        };
        found().hint(
            "sort the photos into sub-folders named by class, set data.labels to a CSV file, or (for inference alone) name \
             the model's classes in data.classes",
        )
    }

    /// The photos of `list`: `train` or `val` (labelled photos), `all`, or a file of names.
    ///
    /// # Errors
    /// A folder, table or list that can't be read, a list of which nothing is left.
    pub fn dataset(&self, list: &Path, classes: &[String]) -> Result<(Dataset, Problems)> {
        let photos = self.photos()?;
        let mut problems = Problems::default();
        let labels = self.labels_of(&photos, classes)?;
        for entry in labels.strays {
            problems.add(Problem::MissingPhoto { entry });
        }
        let mut items = Vec::new();
        let mut names = BTreeSet::new();
        for (at, photo) in photos.iter().enumerate() {
            let name = photo.name().to_string();
            if !names.insert(name.clone()) {
                problems.add(Problem::Duplicate { name: photo.relative.clone() });
                continue;
            }
            let found = labels.of_photo.get(&at);
            let found = found.map(|found| numbers(&name, found, classes, &mut problems));
            items.push(Item::new(&name, &photo.path, self.root, found));
        }
        let items = self.chosen(list, items, &photos, &mut problems)?;
        ensure!(!items.is_empty(), "nothing is left of the list {}", list.display());
        report_labels(&items, classes, &mut problems);
        let categories = Category::numbered(classes);
        Ok((
            Dataset { root: self.root.into(), classes: classes.to_vec(), categories, items },
            problems,
        ))
    }

    fn photos(&self) -> Result<Vec<Photo>> {
        let found = walk::photos(self.root).hint("data.root names the folder of the photos")?;
        let check = || -> Result<()> {
            ensure!(!found.is_empty(), "no photos below {}", self.root.display());
            Ok(())
        };
        check().hint("photos are JPEG, PNG, BMP, WebP or TIFF files")?;
        Ok(found)
    }

    fn table(&self) -> Result<Option<Table>> {
        let located = |path: &Path| {
            let below = self.root.join(path);
            if below.exists() { below } else { path.to_path_buf() }
        };
        self.labels.map(|path| csv::read(&located(path))).transpose()
    }

    fn labels_of(&self, photos: &[Photo], classes: &[String]) -> Result<Labels> {
        let mut labels = Labels { of_photo: HashMap::new(), strays: Vec::new() };
        let Some(table) = self.table()? else {
            for (at, photo) in photos.iter().enumerate() {
                let found = folder_labels(photo, classes);
                if !found.is_empty() {
                    labels.of_photo.insert(at, found);
                }
            }
            return Ok(labels);
        };
        let index = Index::new(photos);
        for (file, of_row) in table.rows {
            match index.find(&file) {
                Some(at) => labels.of_photo.entry(at).or_default().extend(of_row),
                None => labels.strays.push(file),
            }
        }
        Ok(labels)
    }

    fn chosen(
        &self,
        list: &Path,
        items: Vec<Item>,
        photos: &[Photo],
        problems: &mut Problems,
    ) -> Result<Vec<Item>> {
        let part = match list.to_str() {
            Some("all") => return Ok(items),
            Some("train") => false,
            Some("val") => true,
            _ => return self.listed(list, items, photos, problems),
        };
        let labelled: Vec<Item> = items.into_iter().filter(|item| item.classes.is_some()).collect();
        let names: Vec<&str> = labelled.iter().map(|item| item.name.as_str()).collect();
        let held = split::held_out(&names, self.val_share, self.seed);
        let kept = labelled.iter().zip(held).filter(|(_, held)| *held == part);
        Ok(kept.map(|(item, _)| item.clone()).collect())
    }

    fn listed(
        &self,
        list: &Path,
        items: Vec<Item>,
        photos: &[Photo],
        problems: &mut Problems,
    ) -> Result<Vec<Item>> {
        let below = self.root.join(list);
        let path = if below.exists() { below } else { list.to_path_buf() };
        let entries = read_list(&path)
            .with_context(|| format!("image list {}", list.display()))
            .hint("a list of a folder data set is train, val, all, or a file of names")?;
        let index = Index::new(photos);
        let by_name: HashMap<&str, &Item> =
            items.iter().map(|item| (item.name.as_str(), item)).collect();
        let mut chosen = Vec::new();
        for entry in entries {
            let found = index.find(&entry.photo).and_then(|at| by_name.get(photos[at].name()));
            match found {
                Some(&item) => chosen.push(item.clone()),
                None => problems.add(Problem::MissingPhoto { entry: entry.photo }),
            }
        }
        Ok(chosen)
    }
}

/// The labels that the path of a photo holds: every folder that is a class; while no classes are known, the folder
/// that the photo lies in.
fn folder_labels(photo: &Photo, classes: &[String]) -> BTreeSet<String> {
    let folders = photo.relative.rsplit_once('/').map_or("", |(folders, _)| folders);
    let mut folders = folders.split('/').filter(|part| !part.is_empty());
    let known = |part: &&str| !UNLABELLED.contains(&part.to_lowercase().as_str());
    if classes.is_empty() {
        return folders.next_back().filter(known).map(String::from).into_iter().collect();
    }
    folders.filter(|part| classes.iter().any(|class| class == part)).map(String::from).collect()
}

fn numbers(
    name: &str,
    labels: &BTreeSet<String>,
    classes: &[String],
    problems: &mut Problems,
) -> Vec<usize> {
    let mut found = Vec::new();
    for label in labels {
        match classes.iter().position(|class| class == label) {
            Some(class) => found.push(class),
            None => {
                problems.add(Problem::UnknownClass { name: name.to_string(), class: label.clone() })
            }
        }
    }
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests;
