//! Data sets in VOC's layout: a root with `JPEGImages`, a list of names, image-level labels. Lists
//! records; pixels are read elsewhere.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};

use super::coco::Annotated;
use super::image_labels::ImageLabels;
use super::problems::{Problem, Problems};
use crate::Hint;
use crate::eval::coco::annotations::Category;

const PHOTO_FOLDER: &str = "JPEGImages";
const SUFFIXES: [&str; 7] = ["jpg", "jpeg", "png", "bmp", "webp", "tif", "tiff"];

/// One photo of a data set.
#[derive(Clone, Debug)]
pub struct Item {
    /// Unique in the data set: the photo's file name (below a plain folder its path) without the suffix.
    pub name: String,
    /// Where the photo is.
    pub photo: PathBuf,
    /// The 0-based classes it shows, ascending; `None` without a label.
    pub classes: Option<Vec<usize>>,
    /// The root of the data set.
    pub root: PathBuf,
    /// The class mask that the list names, if it does.
    pub listed_mask: Option<PathBuf>,
    /// What COCO's annotations say of it.
    pub annotated: Option<Arc<Annotated>>,
}

impl Item {
    /// An item without a ground truth of its own.
    pub fn new(name: &str, photo: &Path, root: &Path, classes: Option<Vec<usize>>) -> Self {
        let (name, photo, root) = (name.to_string(), photo.into(), root.into());
        Self { name, photo, classes, root, listed_mask: None, annotated: None }
    }

    /// The photo's file as COCO files name it: the annotations' name, or the path from the photo folder.
    pub fn file_name(&self) -> String {
        if let Some(of) = &self.annotated {
            return of.image.file_name.clone();
        }
        let folders = [self.root.join(PHOTO_FOLDER), self.root.clone()];
        let below = folders.iter().find_map(|folder| self.photo.strip_prefix(folder).ok());
        let own = || Path::new(self.photo.file_name().unwrap_or_default());
        below.unwrap_or_else(own).to_string_lossy().replace('\\', "/")
    }

    /// COCO's id of the image.
    pub fn image_id(&self) -> Option<u64> {
        self.annotated.as_ref().map(|of| of.image.id)
    }

    /// Where its picture of class numbers is, if there is one.
    pub fn semantic_mask_path(&self) -> PathBuf {
        let below = |folder: &str| self.root.join(folder).join(format!("{}.png", self.name));
        let usual = || {
            let augmented = below("SegmentationClassAug");
            let voc = below("SegmentationClass");
            if !voc.exists() && augmented.exists() { augmented } else { voc }
        };
        self.listed_mask.clone().unwrap_or_else(usual)
    }

    /// Where its picture of object numbers is, if there is one.
    pub fn instance_mask_path(&self) -> PathBuf {
        self.root.join("SegmentationObject").join(format!("{}.png", self.name))
    }
}

/// The photos of one list.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The folder of `JPEGImages` and the rest.
    pub root: PathBuf,
    /// Class names; label value = position + 1.
    pub classes: Vec<String>,
    /// The category of each class in COCO files: numbered from 1, or COCO's own.
    pub categories: Vec<Category>,
    /// In list order.
    pub items: Vec<Item>,
}

impl Dataset {
    /// Reads `list` of a data set in VOC's layout.
    ///
    /// `labels` is a `cls_labels.npy`; without it the classes come from `Annotations/<name>.xml`
    /// where there is one. Faults of single items are reported, not fatal.
    ///
    /// # Errors
    /// A root, list or label file that can't be read, a label file that does not fit the classes or
    /// the list, a list of which nothing is left.
    pub fn voc(
        root: &Path,
        list: &Path,
        labels: Option<&Path>,
        classes: &[String],
    ) -> Result<(Self, Problems)> {
        let entries = read_list(list)?;
        let labels = match labels {
            Some(path) => ImageLabels::read(path, classes.len(), entries.len())?,
            None => ImageLabels::Annotations(root.join("Annotations")),
        };
        let photos = Photos::index(root)?;
        let mut problems = Problems::default();
        let (mut items, mut names) = (Vec::new(), HashSet::new());
        for (position, entry) in entries.iter().enumerate() {
            let Some((name, photo)) = photos.find(&entry.photo) else {
                problems.add(Problem::MissingPhoto { entry: entry.photo.clone() });
                continue;
            };
            if !names.insert(name.clone()) {
                problems.add(Problem::Duplicate { name });
                continue;
            }
            let found = labels.classes_of(&name, position, classes, &mut problems);
            let listed_mask = entry.mask.as_ref().map(|mask| joined(root, mask));
            items.push(Item { listed_mask, ..Item::new(&name, &photo, root, found) });
        }
        let missing = entries.len() - items.len();
        ensure_some(&items, list, missing)?;
        report_labels(&items, classes, &mut problems);
        let categories = Category::numbered(classes);
        Ok((Self { root: root.into(), classes: classes.to_vec(), categories, items }, problems))
    }

    /// The items that show at least one class: what the classifier can be trained on.
    pub fn labelled(&self) -> impl Iterator<Item = &Item> {
        let shows_any = |item: &&Item| item.classes.as_ref().is_some_and(|c| !c.is_empty());
        self.items.iter().filter(shows_any)
    }
}

fn ensure_some(items: &[Item], list: &Path, missing: usize) -> Result<()> {
    let check = || -> Result<()> {
        ensure!(missing == 0 || !items.is_empty(), "none of the {missing} photos exists");
        ensure!(!items.is_empty(), "the list is empty");
        Ok(())
    };
    check()
        .with_context(|| format!("image list {}", list.display()))
        .hint(format!("the data set's root must be the folder that holds {PHOTO_FOLDER}"))
}

pub(super) fn report_labels(items: &[Item], classes: &[String], problems: &mut Problems) {
    let mut seen = vec![false; classes.len()];
    for item in items {
        let name = || item.name.clone();
        match item.classes.as_deref() {
            None => problems.add(Problem::NoLabel { name: name() }),
            Some([]) => problems.add(Problem::NoClass { name: name() }),
            Some(found) => found.iter().for_each(|&class| seen[class] = true),
        }
    }
    // A list without any labels (photos to be labelled by a network) lacks no class in particular.
    if seen.iter().any(|&seen| seen) {
        let unseen = classes.iter().zip(&seen).filter(|(_, seen)| !**seen);
        unseen.for_each(|(class, _)| {
            problems.add(Problem::ClassWithoutImage { class: class.clone() });
        });
    }
}

/// One line of a list.
pub(super) struct Entry {
    pub(super) photo: String,
    mask: Option<String>,
}

/// The lines that are not blank: a name (any file name, spaces too), or a photo and its mask.
pub(super) fn read_list(path: &Path) -> Result<Vec<Entry>> {
    let bytes = fs_err::read(path).hint("check the name of the image list in the settings")?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    Ok(lines.filter(|line| !line.is_empty()).map(entry_of).collect())
}

fn entry_of(line: &str) -> Entry {
    let pair = line.rsplit_once(char::is_whitespace).filter(|(photo, mask)| {
        mask.ends_with(".png") && (photo.starts_with('/') || suffix_of(photo.trim()).is_some())
    });
    match pair {
        Some((photo, mask)) => {
            Entry { photo: photo.trim().to_string(), mask: Some(mask.to_string()) }
        }
        None => Entry { photo: line.to_string(), mask: None },
    }
}

/// The suffix of a picture file, in lower case.
pub(super) fn suffix_of(file: &str) -> Option<String> {
    let suffix = Path::new(file).extension()?.to_str()?.to_lowercase();
    SUFFIXES.contains(&suffix.as_str()).then_some(suffix)
}

/// A path of a list, in which a leading slash means the data set's root.
fn joined(root: &Path, listed: &str) -> PathBuf {
    root.join(listed.trim_start_matches('/'))
}

/// The photos of a data set by name: one look into the folder instead of one for each suffix.
struct Photos {
    root: PathBuf,
    by_name: HashMap<String, PathBuf>,
    /// Names by COCO's twelve digits.
    coco_names: HashMap<String, String>,
}

impl Photos {
    fn index(root: &Path) -> Result<Self> {
        let hint = format!("the data set's root must be the folder that holds {PHOTO_FOLDER}");
        let mut by_name = HashMap::<String, PathBuf>::new();
        for entry in fs_err::read_dir(root.join(PHOTO_FOLDER)).hint(hint)? {
            let path = entry?.path();
            let Some(file) = path.file_name().and_then(|file| file.to_str()) else { continue };
            let (Some(suffix), Some(name)) = (suffix_of(file), path.file_stem()) else { continue };
            let name = name.to_string_lossy().into_owned();
            // Of several photos of one name the first kind in SUFFIXES counts, whatever the order
            // in which the folder lists them.
            let rank = |suffix: &str| SUFFIXES.iter().position(|known| *known == suffix);
            let old = by_name.get(&name).and_then(|old| suffix_of(&old.to_string_lossy()));
            if old.is_none_or(|old| rank(&suffix) < rank(&old)) {
                by_name.insert(name, path);
            }
        }
        let numbered = |name: &String| Some((coco_number(name)?.to_string(), name.clone()));
        let mut names: Vec<&String> = by_name.keys().collect();
        names.sort_unstable();
        let coco_names = names.into_iter().filter_map(numbered).collect();
        Ok(Self { root: root.into(), by_name, coco_names })
    }

    /// Name and path of the photo that a list calls `listed`.
    fn find(&self, listed: &str) -> Option<(String, PathBuf)> {
        let by_name = |name: &str| Some((name.to_string(), self.by_name.get(name)?.clone()));
        by_name(listed)
            .or_else(|| by_name(&with_underscore(listed)?))
            .or_else(|| self.by_coco_number(listed))
            .or_else(|| self.by_path(listed))
    }

    /// Both styles of COCO's names, whichever the files have: `000000000009` and
    /// `COCO_train2014_000000000009`.
    fn by_coco_number(&self, listed: &str) -> Option<(String, PathBuf)> {
        let name = self.coco_names.get(coco_number(listed)?)?;
        Some((name.clone(), self.by_name.get(name)?.clone()))
    }

    /// A file name with its suffix, or a path from the root or from the photo folder.
    fn by_path(&self, listed: &str) -> Option<(String, PathBuf)> {
        suffix_of(listed)?;
        let folder = self.root.join(PHOTO_FOLDER);
        let path = [joined(&self.root, listed), joined(&folder, listed)];
        let path = path.into_iter().find(|path| path.is_file())?;
        Some((path.file_stem()?.to_string_lossy().into_owned(), path))
    }
}

/// The twelve digits of a COCO name.
fn coco_number(name: &str) -> Option<&str> {
    let last = name.rsplit('_').next()?;
    (last.len() == 12 && last.bytes().all(|byte| byte.is_ascii_digit())).then_some(last)
}

/// VOC's name of an image number: `2007000032` is `2007_000032`.
fn with_underscore(listed: &str) -> Option<String> {
    let number = listed.len() == 10 && listed.bytes().all(|byte| byte.is_ascii_digit());
    number.then(|| format!("{}_{}", &listed[..4], &listed[4..]))
}

#[cfg(test)]
mod tests;
