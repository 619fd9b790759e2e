//! Where COCO's photos are: one look into the folders instead of several for each image.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;

use crate::Hint;
use crate::data::walk;
use crate::eval::coco::instances::Image;

/// The photos below a folder, by relative path, file name, and COCO's number.
#[derive(Debug)]
pub struct Photos {
    by_file: HashMap<String, PathBuf>,
    by_number: HashMap<u64, PathBuf>,
}

impl Photos {
    /// Looks into `photos` below `root`; without it into the folder that the annotation file is named after
    /// (`instances_train2017.json`: `train2017` or `images/train2017`), or into `images`, `JPEGImages` or the root.
    ///
    /// # Errors
    /// A folder that can't be listed.
    pub fn index(root: &Path, photos: Option<&Path>, annotations: &Path) -> Result<Arc<Self>> {
        let folder = match photos {
            Some(folder) => root.join(folder),
            None => folder_of(root, annotations),
        };
        let found = walk::photos(&folder)
            .hint("data.root is the folder of train2017 and the like; or set data.photos")?;
        let (mut by_file, mut by_number) = (HashMap::new(), HashMap::new());
        for photo in found {
            let stem = photo.name().rsplit('/').next().unwrap_or_default();
            if let Some(number) = coco_number(stem) {
                by_number.entry(number).or_insert_with(|| photo.path.clone());
            }
            by_file.entry(photo.file().to_string()).or_insert_with(|| photo.path.clone());
            by_file.insert(photo.relative, photo.path);
        }
        Ok(Arc::new(Self { by_file, by_number }))
    }

    /// The photo of an image, also where the file has the name of the other release.
    pub fn find(&self, image: &Image) -> Option<PathBuf> {
        let file = &image.file_name;
        let base = file.rsplit('/').next()?;
        let stem = base.rsplit_once('.').map_or(base, |(stem, _)| stem);
        let by_number = || self.by_number.get(&coco_number(stem)?);
        self.by_file.get(file).or_else(|| self.by_file.get(base)).or_else(by_number).cloned()
    }
}

fn folder_of(root: &Path, annotations: &Path) -> PathBuf {
    let stem = annotations.file_stem().unwrap_or_default().to_string_lossy();
    let split = stem.split_once('_').map_or("", |(_, split)| split);
    let named = [root.join(split), root.join("images").join(split)];
    let named = named.into_iter().filter(|_| !split.is_empty());
    let usual = [root.join("images"), root.join("JPEGImages")];
    let known = named.chain(usual).find(|folder| folder.is_dir());
    known.unwrap_or_else(|| root.to_path_buf())
}

/// The number in COCO's names: `000000000009`, `COCO_train2014_000000000009`.
pub fn coco_number(name: &str) -> Option<u64> {
    let digits = name.rsplit('_').next()?;
    let usual = digits.len() == 12 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let styled = usual && (digits.len() == name.len() || name.starts_with("COCO_"));
    styled.then(|| digits.parse().ok()).flatten()
}
