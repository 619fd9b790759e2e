//! Which reader the settings ask for: VOC's layout, COCO's, or a plain folder.

use std::path::Path;

use anyhow::{Result, ensure};

use crate::config::{Config, DataConfig, Layout};
use crate::data::coco::Coco;
use crate::data::dataset::Dataset;
use crate::data::folder::Folder;
use crate::data::problems::Problems;

/// The images of `list` in the data set's layout, and what is wrong with single ones.
///
/// # Errors
/// A list, label or annotation file that can't be read, a list of which nothing is left.
pub fn open(data: &DataConfig, list: &Path) -> Result<(Dataset, Problems)> {
    match data.layout {
        Layout::Voc => {
            let below = data.root.join("ImageSets/Segmentation").join(list);
            let path = if below.exists() { &below } else { list };
            Dataset::voc(&data.root, path, data.labels.as_deref(), &data.classes)
        }
        Layout::Coco => coco(data).dataset(list, &data.classes),
        Layout::Folder => folder(data).dataset(list, &data.classes),
    }
}

/// The settings with the classes that the data set names, where `data.classes` is empty.
///
/// # Errors
/// A data set whose classes can't be read, or with more than a label picture can hold.
pub fn with_classes(mut config: Config) -> Result<Config> {
    let data = &mut config.data;
    if data.classes.is_empty() {
        data.classes = match data.layout {
            Layout::Voc => Vec::new(),
            Layout::Coco => coco(data).classes(&data.train_list)?,
            Layout::Folder => folder(data).classes()?,
        };
        let count = data.classes.len();
        ensure!((1..=254).contains(&count), "{count} classes; a label picture holds 1 to 254");
    }
    Ok(config)
}

/// The lists that the settings name, each once, with what it is for.
pub fn lists(data: &DataConfig) -> Vec<(&'static str, &Path)> {
    let named = [
        ("train", Some(&data.train_list)),
        ("infer", data.infer_list.as_ref()),
        ("val", data.val_list.as_ref()),
        ("eval", data.eval_list.as_ref()),
    ];
    let mut lists: Vec<(&str, &Path)> = Vec::new();
    for (purpose, list) in named.into_iter().filter_map(|(name, list)| Some((name, list?))) {
        if lists.iter().all(|(_, known)| known != list) {
            lists.push((purpose, list));
        }
    }
    lists
}

fn coco(data: &DataConfig) -> Coco<'_> {
    Coco {
        root: &data.root,
        photos: data.photos.as_deref(),
        annotations: &data.annotations,
        labels: data.labels.as_deref(),
    }
}

fn folder(data: &DataConfig) -> Folder<'_> {
    Folder {
        root: &data.root,
        labels: data.labels.as_deref(),
        val_share: data.val_share,
        seed: data.split_seed,
    }
}
