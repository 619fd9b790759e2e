//! The COCO JSON file of predicted instances: unique ids, 1-based categories, area, box, score (upstream's
//! `make_cocoann.py` without its faults, ALGORITHMS B4).

use std::path::Path;

use anyhow::{Context, Result, ensure};
use ndarray::ArrayView2;
use serde::Serialize;

pub use super::entries::{Annotation, Category, Format, Image, Segmentation, annotation};
pub use super::ids::image_ids;
use crate::data::atomic::write_atomically;
use crate::error::Hint;

/// What is written, and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Run lengths or polygons.
    pub format: Format,
    /// Keeps fragments of score 0, which upstream's post-processing leaves in its lists.
    pub keep_zero_scores: bool,
}

/// `info` of the file.
#[derive(Clone, Debug, Serialize)]
struct Info {
    description: String,
    version: String,
}

/// A COCO data set in the making.
#[derive(Clone, Debug, Serialize)]
pub struct CocoFile {
    info: Info,
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
    #[serde(skip)]
    options: Options,
}

impl CocoFile {
    /// An empty file; class `k` is `categories[k]`.
    ///
    /// # Errors
    /// When two categories share an id.
    pub fn new(description: &str, categories: Vec<Category>, options: Options) -> Result<Self> {
        let mut ids: Vec<_> = categories.iter().map(|category| category.id).collect();
        ids.sort_unstable();
        let repeated = ids.windows(2).find(|pair| pair[0] == pair[1]);
        ensure!(repeated.is_none(), "category ids {ids:?} are not unique");
        let version = env!("CARGO_PKG_VERSION").to_string();
        let info = Info { description: description.to_string(), version };
        Ok(Self { info, images: Vec::new(), annotations: Vec::new(), categories, options })
    }

    /// Adds the image that the next instances belong to.
    pub fn add_image(&mut self, image: Image) {
        self.images.push(image);
    }

    /// Adds an instance of the image added last: its 0-based class, mask `[h, w]` and score. Empty masks and, unless
    /// kept, scores of 0 are skipped; returns whether it was added.
    ///
    /// # Errors
    /// When there is no image yet, the mask is not of its size, the class is unknown, or the score is not finite.
    pub fn add_instance(
        &mut self,
        class: usize,
        mask: ArrayView2<bool>,
        score: f32,
    ) -> Result<bool> {
        let image = self.images.last().context("an instance before any image")?;
        let (height, width) = mask.dim();
        let size_agrees = (height, width) == (image.height, image.width);
        let name = &image.file_name;
        ensure!(
            size_agrees,
            "{name}: mask is {width} x {height}, the image {} x {}",
            image.width,
            image.height
        );
        ensure!(score.is_finite(), "{name}: an instance has score {score}");
        let category = self.categories.get(class);
        let category = category
            .with_context(|| format!("{name}: class {class} of {}", self.categories.len()))
            .hint("give the class names that the instances were made with")?;
        if score == 0.0 && !self.options.keep_zero_scores {
            return Ok(false);
        }
        let id = self.annotations.len() as u64 + 1;
        let made = annotation(id, image.id, category.id, mask, score, self.options.format);
        let added = made.is_some();
        self.annotations.extend(made);
        Ok(added)
    }

    /// The instances added so far.
    pub fn annotations(&self) -> &[Annotation] {
        &self.annotations
    }

    /// Writes the file; there is never half a file at `path`.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_atomically(path, |file| Ok(serde_json::to_writer(file, self)?))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use serde_json::{Value, json};

    use super::*;

    fn file(options: Options) -> CocoFile {
        let categories = Category::numbered(&["cat".to_string(), "dog".to_string()]);
        let mut file = CocoFile::new("test", categories, options).unwrap();
        file.add_image(Image {
            id: 9,
            file_name: "9.jpg".into(),
            width: 3,
            height: 2,
            ..Image::default()
        });
        file
    }

    #[test]
    fn a_file_as_coco_wants_it() {
        let mut file = file(Options::default());
        let mask = array![[false, true, true], [false, false, true]];
        assert!(file.add_instance(1, mask.view(), 0.5).unwrap());
        assert!(!file.add_instance(0, mask.view(), 0.0).unwrap(), "a fragment");
        assert!(!file.add_instance(0, array![[false; 3], [false; 3]].view(), 0.5).unwrap());
        assert!(file.add_instance(0, mask.view(), 0.25).unwrap());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sub/coco.json");
        file.write(&path).unwrap();
        let json: Value = serde_json::from_slice(&fs_err::read(&path).unwrap()).unwrap();
        let expected = json!({
            "id": 1, "image_id": 9, "category_id": 2, "iscrowd": 0, "area": 3,
            "bbox": [1.0, 0.0, 2.0, 2.0], "segmentation": {"size": [2, 3], "counts": "2111"},
            "width": 3, "height": 2, "score": 0.5
        });
        assert_eq!(json["annotations"][0], expected);
        assert_eq!(json["annotations"][1]["id"], 2);
        assert_eq!(json["categories"][1]["name"], "dog");
    }

    #[test]
    fn zero_scores_and_polygons_on_request() {
        let mut file = file(Options { format: Format::Polygons, keep_zero_scores: true });
        assert!(file.add_instance(0, array![[true; 3], [true; 3]].view(), 0.0).unwrap());
        assert!(
            matches!(&file.annotations()[0].segmentation, Segmentation::Polygons(p) if p.len() == 1)
        );
    }

    #[test]
    fn wrong_instances_are_errors() {
        let mut file = file(Options::default());
        let mask = array![[true; 3], [true; 3]];
        assert!(file.add_instance(2, mask.view(), 0.5).is_err());
        assert!(file.add_instance(0, array![[true]].view(), 0.5).is_err());
        assert!(file.add_instance(0, mask.view(), f32::NAN).is_err());
        let twice = vec![Category { id: 1, name: String::new(), supercategory: String::new() }; 2];
        assert!(CocoFile::new("", twice, Options::default()).is_err());
    }
}
