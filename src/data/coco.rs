//! COCO as a data set: photos, classes, ground truth from `instances_*.json`, in the folders of the 2014 and of the
//! 2017 release; anything in COCO's format.

mod photos;

use std::collections::{BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};

use super::dataset::{Dataset, Item, read_list, report_labels};
use super::image_labels::ImageLabels;
use super::problems::{Problem, Problems};
use crate::Hint;
use crate::eval::coco::instances::{self, Category, Image, Instances, Region};
use photos::{Photos, coco_number};

/// A data set in COCO's layout and how to read it.
#[derive(Clone, Copy, Debug)]
pub struct Coco<'a> {
    /// The folder of `annotations`, `train2017` and so on.
    pub root: &'a Path,
    /// The folder of the photos, from the root; found by the name of the annotation file where absent.
    pub photos: Option<&'a Path>,
    /// Annotation files of the images that lists of names refer to.
    pub annotations: &'a [PathBuf],
    /// A `cls_labels.npy`; the annotated classes where absent.
    pub labels: Option<&'a Path>,
}

/// What the annotation file says of one image.
#[derive(Debug)]
pub struct Annotated {
    /// Id, file name, size.
    pub image: Image,
    /// Regions with their 0-based class; those of other classes are left out.
    pub objects: Vec<(usize, Region)>,
}

impl Coco<'_> {
    /// The classes of an annotation file, in its order.
    ///
    /// # Errors
    /// A file that can't be read.
    pub fn classes(&self, list: &Path) -> Result<Vec<String>> {
        let file = self.annotations.first().map_or(list, PathBuf::as_path);
        let categories = instances::read(&self.located(file))?.categories;
        Ok(categories.into_iter().map(|category| category.name).collect())
    }

    /// The images of `list`: an annotation file, of which all are taken, or a file of names in either style
    /// (`COCO_train2014_000000000009`, `000000000009`).
    ///
    /// A crowd of a class counts as the class: it shows it.
    ///
    /// # Errors
    /// Files that can't be read, a class that the annotations do not know, a list of which nothing is left.
    pub fn dataset(&self, list: &Path, classes: &[String]) -> Result<(Dataset, Problems)> {
        let is_json = list.extension().is_some_and(|suffix| suffix == "json");
        let own = [list.to_path_buf()];
        let files = if is_json { &own } else { self.annotations };
        let check = || -> Result<()> {
            ensure!(!files.is_empty(), "{} is no annotation file", list.display());
            Ok(())
        };
        check()
            .hint("data.annotations names the instances_*.json that a list of names refers to")?;
        let mut problems = Problems::default();
        let (mut known, mut categories) = (Vec::new(), Vec::new());
        for file in files {
            let file = self.located(file);
            let photos = Photos::index(self.root, self.photos, &file)?;
            let found = instances::read(&file)?;
            categories = categories_of(&found, &file, classes, &mut problems)?;
            known.extend(annotated(found, &categories).map(|of| (of, photos.clone())));
        }
        let chosen = if is_json { known } else { self.listed(list, known, &mut problems)? };
        let items = self.items(list, chosen, classes, &mut problems)?;
        report_labels(&items, classes, &mut problems);
        Ok((
            Dataset { root: self.root.into(), classes: classes.to_vec(), categories, items },
            problems,
        ))
    }

    /// A path as it is, below the root or in its `annotations`.
    fn located(&self, file: &Path) -> PathBuf {
        let below = [self.root.join(file), self.root.join("annotations").join(file)];
        below.into_iter().find(|path| path.exists()).unwrap_or_else(|| file.to_path_buf())
    }

    fn listed(
        &self,
        list: &Path,
        known: Vec<(Annotated, Arc<Photos>)>,
        problems: &mut Problems,
    ) -> Result<Vec<(Annotated, Arc<Photos>)>> {
        let mut by_key = HashMap::new();
        for (at, (of, _)) in known.iter().enumerate() {
            let name = name_of(&of.image);
            by_key.insert(of.image.file_name.clone(), at);
            by_key.extend(coco_number(&name).map(|number| (number.to_string(), at)));
            by_key.insert(name, at);
        }
        let mut slots: Vec<_> = known.into_iter().map(Some).collect();
        let mut chosen = Vec::new();
        for entry in read_list(&self.located(list))? {
            let number = || coco_number(&entry.photo).map(|number| number.to_string());
            let found = by_key.get(&entry.photo).or_else(|| by_key.get(&number()?));
            match found.and_then(|&at| slots[at].take()) {
                Some(of) => chosen.push(of),
                None => problems.add(Problem::MissingPhoto { entry: entry.photo }),
            }
        }
        Ok(chosen)
    }

    fn items(
        &self,
        list: &Path,
        chosen: Vec<(Annotated, Arc<Photos>)>,
        classes: &[String],
        problems: &mut Problems,
    ) -> Result<Vec<Item>> {
        let count = chosen.len();
        let labels = self.labels.map(|path| ImageLabels::read(path, classes.len(), count));
        let labels = labels.transpose()?;
        let (mut items, mut names) = (Vec::new(), BTreeSet::new());
        for (position, (of, photos)) in chosen.into_iter().enumerate() {
            let entry = of.image.file_name.clone();
            let Some(photo) = photos.find(&of.image).filter(|_| stays_below(&entry)) else {
                problems.add(Problem::MissingPhoto { entry });
                continue;
            };
            let name = name_of(&of.image);
            if !names.insert(name.clone()) {
                problems.add(Problem::Duplicate { name });
                continue;
            }
            let shown: BTreeSet<usize> = of.objects.iter().map(|(class, _)| *class).collect();
            let shown = match &labels {
                Some(labels) => labels.classes_of(&name, position, classes, problems),
                None => Some(shown.into_iter().collect()),
            };
            let mut item = Item::new(&name, &photo, self.root, shown);
            item.annotated = Some(Arc::new(of));
            items.push(item);
        }
        let check = || -> Result<()> {
            ensure!(!items.is_empty(), "of {count} images of {} no photo exists", list.display());
            Ok(())
        };
        check().hint("data.root is the folder of train2017 and the like; or set data.photos")?;
        Ok(items)
    }
}

/// The file name without its suffix.
fn name_of(image: &Image) -> String {
    let file = &image.file_name;
    file.rsplit_once('.').map_or(file.as_str(), |(name, _)| name).to_string()
}

/// Whether a path can't leave the folder that it is joined to: results are written under it.
fn stays_below(file: &str) -> bool {
    Path::new(file).components().all(|part| matches!(part, Component::Normal(_)))
}

/// The category of each class.
fn categories_of(
    found: &Instances,
    file: &Path,
    classes: &[String],
    problems: &mut Problems,
) -> Result<Vec<Category>> {
    let known = |name: &String| found.categories.iter().find(|category| category.name == *name);
    let names = || found.categories.iter().map(|category| category.name.as_str());
    let category = |name: &String| {
        let category = known(name).cloned();
        category
            .ok_or_else(|| anyhow!("data.classes: {} has no category '{name}'", file.display()))
            .hint(format!("it has {}", names().collect::<Vec<_>>().join(", ")))
    };
    for class in names().filter(|name| !classes.iter().any(|class| class == name)) {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        problems.add(Problem::UnknownClass { name, class: class.to_string() });
    }
    classes.iter().map(category).collect::<Result<_>>().context("COCO's categories")
}

/// The images of a file in its order, each with the regions of the chosen categories.
fn annotated(found: Instances, categories: &[Category]) -> impl Iterator<Item = Annotated> {
    let ids = categories.iter().map(|category| category.id);
    let classes: HashMap<u64, usize> = ids.zip(0..).collect();
    let mut regions = found.regions;
    found.images.into_iter().map(move |image| {
        let of_image = regions.remove(&image.id).unwrap_or_default().into_iter();
        let objects = of_image.filter_map(|region| Some((*classes.get(&region.category)?, region)));
        Annotated { objects: objects.collect(), image }
    })
}

#[cfg(test)]
mod tests;
