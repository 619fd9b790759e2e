//! VOC's augmented training list, `train_aug.txt`, from the SBD data set (Hariharan et al. 2011): VOC's
//! training images and all of SBD's, without those of VOC's validation set.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::Hint;

/// Where SBD lies beside or below a VOC root, if the settings do not say.
const USUAL: [&str; 6] = [
    "SBD",
    "benchmark_RELEASE/dataset",
    "../SBD",
    "../SBD/dataset",
    "../benchmark_RELEASE/dataset",
    "../../benchmark_RELEASE/dataset",
];

/// The folder of SBD (with `train.txt` and `val.txt`): `chosen`, or one of the usual places.
pub fn folder(root: &Path, chosen: Option<&Path>) -> Option<PathBuf> {
    let is_sbd =
        |folder: &PathBuf| folder.join("train.txt").is_file() && folder.join("val.txt").is_file();
    match chosen {
        Some(folder) => Some(folder.to_path_buf()),
        None => USUAL.iter().map(|place| root.join(place)).find(is_sbd),
    }
}

/// The names of the augmented list: VOC's own in their order, then SBD's, sorted.
///
/// # Errors
/// One of VOC's or SBD's two lists can't be read.
pub fn train_aug(root: &Path, sbd: &Path) -> Result<Vec<String>> {
    let voc = root.join("ImageSets/Segmentation");
    let mut names = lines(&voc.join("train.txt"))?;
    let validation: BTreeSet<String> = lines(&voc.join("val.txt"))?.into_iter().collect();
    let own: BTreeSet<String> = names.iter().cloned().collect();
    let mut more = BTreeSet::new();
    for list in ["train.txt", "val.txt"] {
        more.extend(lines(&sbd.join(list))?);
    }
    names.extend(more.into_iter().filter(|name| !own.contains(name) && !validation.contains(name)));
    Ok(names)
}

fn lines(path: &Path) -> Result<Vec<String>> {
    let text = fs_err::read_to_string(path)
        .context("train_aug is made of VOC's and SBD's train.txt and val.txt")
        .hint("data.sbd must be SBD's folder `dataset`, data.root that of VOC2012")?;
    let names = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(names.map(String::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_augmented_list_leaves_out_the_validation_set() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, names: &str| {
            let path = dir.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, names).unwrap();
        };
        let root = dir.path().join("VOC2012");
        fs_err::create_dir_all(&root).unwrap();
        assert_eq!(folder(&root, None), None);
        write("VOC2012/ImageSets/Segmentation/train.txt", "b\na\n");
        write("VOC2012/ImageSets/Segmentation/val.txt", "v\n");
        write("benchmark_RELEASE/dataset/train.txt", "d\nv\na\n");
        let sbd = root.join("../benchmark_RELEASE/dataset");
        let error = train_aug(&root, &sbd).unwrap_err();
        assert!(crate::error::report(&error).contains("val.txt"));
        write("benchmark_RELEASE/dataset/val.txt", "c\r\n\n");
        assert_eq!(folder(&root, None), Some(sbd.clone()));
        assert_eq!(train_aug(&root, &sbd).unwrap(), ["b", "a", "c", "d"]);
    }
}
