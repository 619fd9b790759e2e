//! The photos below a folder, whatever its layout.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::dataset::suffix_of;

/// Folders that hold masks, not photos.
const MASKS: [&str; 4] =
    ["SegmentationClass", "SegmentationClassAug", "SegmentationObject", "annotations"];

/// Folders deeper than this are not looked into; links may lead in circles.
const DEEPEST: usize = 16;

/// A photo that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Photo {
    /// The path from the folder, with `/` between its parts.
    pub relative: String,
    /// Where it is.
    pub path: PathBuf,
}

impl Photo {
    /// The relative path without the suffix.
    pub fn name(&self) -> &str {
        self.relative.rsplit_once('.').map_or(&self.relative, |(name, _)| name)
    }

    /// The file's own name.
    pub fn file(&self) -> &str {
        self.relative.rsplit('/').next().unwrap_or(&self.relative)
    }
}

/// All photos below `root` in the order of their relative paths. Hidden folders, folders of masks in VOC's layout
/// and folders with a `settings.yaml` (our output) are left out.
///
/// # Errors
/// A folder that can't be listed.
pub fn photos(root: &Path) -> Result<Vec<Photo>> {
    let mut found = Vec::new();
    let mut open = vec![(root.to_path_buf(), String::new(), 0)];
    while let Some((folder, prefix, depth)) = open.pop() {
        for entry in fs_err::read_dir(&folder)? {
            let path = entry?.path();
            let Some(file) = path.file_name().and_then(|file| file.to_str()) else { continue };
            let relative = format!("{prefix}{file}");
            let skipped = file.starts_with('.') || MASKS.contains(&file);
            if path.is_dir() {
                if !skipped && depth < DEEPEST && !path.join("settings.yaml").exists() {
                    open.push((path, relative + "/", depth + 1));
                }
            } else if suffix_of(file).is_some() && !file.starts_with('.') {
                found.push(Photo { relative, path });
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Photos by what a list or table may call them.
#[derive(Debug, Default)]
pub struct Index {
    /// Position by relative path or name, file or stem; `None` where several photos share it.
    positions: HashMap<String, Option<usize>>,
}

impl Index {
    /// An index of `photos`.
    pub fn new(photos: &[Photo]) -> Self {
        let mut index = Self::default();
        for (at, photo) in photos.iter().enumerate() {
            let stem = photo.file().rsplit_once('.').map_or(photo.file(), |(stem, _)| stem);
            let mut keys = vec![photo.relative.as_str(), photo.name(), photo.file(), stem];
            keys.sort_unstable();
            keys.dedup();
            for key in keys {
                let shared = |held: &mut Option<usize>| *held = None;
                index.positions.entry(key.to_string()).and_modify(shared).or_insert(Some(at));
            }
        }
        index
    }

    /// The photo that is called `listed`: a path from the root, a name, or either without suffix, as long as only
    /// one photo is called so.
    pub fn find(&self, listed: &str) -> Option<usize> {
        let listed = listed.trim().trim_start_matches("./").replace('\\', "/");
        self.positions.get(&listed).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn photos_anywhere_below() {
        let root = tempfile::tempdir().unwrap();
        for file in [
            "b.jpg",
            "a/x.PNG",
            "a/deep/x.jpeg",
            ".hidden/x.jpg",
            "SegmentationClass/b.png",
            "notes.txt",
            "out/settings.yaml",
            "out/x.png",
        ] {
            let path = root.path().join(file);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, "").unwrap();
        }
        let photos = photos(root.path()).unwrap();
        let names: Vec<_> = photos.iter().map(Photo::name).collect();
        assert_eq!(names, ["a/deep/x", "a/x", "b"]);
        let index = Index::new(&photos);
        for (listed, at) in
            [("b", 2), ("./b.jpg", 2), ("x.PNG", 1), ("a\\x", 1), ("deep/x", 9), ("x", 9)]
        {
            assert_eq!(index.find(listed), (at < 3).then_some(at), "{listed}");
        }
    }
}
