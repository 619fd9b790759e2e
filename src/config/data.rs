//! Settings of the data set: `data.*`.

use std::path::PathBuf;

use irn_models::voc::VOC_CLASSES;
use serde::{Deserialize, Serialize};

use crate::data::photo::ExifRule;

/// How a data set is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// PASCAL VOC: `JPEGImages`, lists of names, `Annotations/*.xml` or `cls_labels.npy`.
    #[default]
    Voc,
    /// COCO: photos and `instances_*.json`.
    Coco,
    /// Photos anywhere below the root, labels from a table or from sub-folders.
    Folder,
}

/// Where the photos and their labels are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// How the root is laid out; see `docs/data-sets.md`.
    pub layout: Layout,
    /// Directory of the VOC layout (`JPEGImages`, `Annotations`, `ImageSets`, ...), of COCO, or of photos.
    pub root: PathBuf,
    /// Class names; a label value is the position in this list plus 1. Empty: those that a COCO file or a
    /// folder's labels name.
    pub classes: Vec<String>,
    /// Images both networks train on: a file, or a name below `ImageSets/Segmentation`; for COCO an
    /// `instances_*.json` or a list of names; in a folder also `train`, `val`, `all`.
    pub train_list: PathBuf,
    /// Images that get masks; the training list where absent.
    pub infer_list: Option<PathBuf>,
    /// Images for a validation loss after each epoch; none where absent.
    pub val_list: Option<PathBuf>,
    /// Images that are evaluated; the inference list where absent.
    pub eval_list: Option<PathBuf>,
    /// `cls_labels.npy`; the `Annotations` directory where absent. In a folder a CSV table; the names of
    /// sub-folders where absent.
    pub labels: Option<PathBuf>,
    /// COCO: the `instances_*.json` that lists of names refer to.
    pub annotations: Vec<PathBuf>,
    /// COCO: the folder of the photos, from the root; found by the annotation file's name where absent.
    pub photos: Option<PathBuf>,
    /// Folder: share of the labelled photos in the list `val`.
    pub val_share: f64,
    /// Folder: seed of the split into `train` and `val`.
    pub split_seed: u64,
    /// Folder of the SBD data set, out of which a missing `train_aug.txt` is made; found by itself beside
    /// the root.
    pub sbd: Option<PathBuf>,
    /// Whether a photo's EXIF orientation is applied.
    pub exif: ExifRule,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            layout: Layout::Voc,
            root: PathBuf::from("VOCdevkit/VOC2012"),
            classes: VOC_CLASSES.map(String::from).to_vec(),
            train_list: PathBuf::from("train_aug.txt"),
            infer_list: None,
            val_list: None,
            eval_list: Some(PathBuf::from("train.txt")),
            labels: None,
            annotations: Vec::new(),
            photos: None,
            val_share: 0.2,
            split_seed: 0,
            sbd: None,
            exif: ExifRule::Apply,
        }
    }
}
