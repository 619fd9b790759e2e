//! `instances_*.json` of COCO and of everybody who writes its format: images, categories, regions.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Deserializer};

pub use super::entries::{Category, Image};
use super::rle::Rle;
use super::segmentation::Outline;
use crate::error::Hint;

/// Longest side of an image; a file that says more is damaged.
const MAX_SIDE: usize = 65_535;

/// Most pixels of an image, as many as a photo may have.
const MAX_PIXELS: usize = 1 << 28;

/// The ground truth of a data set.
#[derive(Clone, Debug)]
pub struct Instances {
    /// In the order of the file.
    pub images: Vec<Image>,
    /// In the order of the file.
    pub categories: Vec<Category>,
    /// By image id, in the order of the file.
    pub regions: HashMap<u64, Vec<Region>>,
}

/// One annotation.
#[derive(Clone, Debug, PartialEq)]
pub struct Region {
    /// The category's id.
    pub category: u64,
    /// A crowd: many objects in one region, which is neither right nor wrong to find.
    pub crowd: bool,
    /// The area the file gives: COCO's is that of the polygons, not of the pixels. `None` without.
    pub area: Option<f64>,
    /// The mask.
    pub outline: Outline,
}

impl Region {
    /// The mask in its image.
    ///
    /// # Errors
    /// An outline that does not fit the image.
    pub fn encode(&self, image: &Image) -> Result<Rle> {
        let encoded = self.outline.encode(image.height, image.width);
        encoded.with_context(|| format!("annotation of {}", image.file_name))
    }
}

#[derive(Deserialize)]
struct File {
    images: Vec<Image>,
    #[serde(default)]
    categories: Vec<Category>,
    #[serde(default)]
    annotations: Vec<Annotation>,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: u64,
    category_id: u64,
    #[serde(default)]
    segmentation: Option<Outline>,
    #[serde(default)]
    area: Option<f64>,
    #[serde(default, deserialize_with = "flag")]
    iscrowd: bool,
}

/// 0, 1, false, true or null.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Flag {
        Truth(bool),
        Number(f64),
    }
    Ok(match Option::deserialize(deserializer)? {
        Some(Flag::Truth(set)) => set,
        Some(Flag::Number(number)) => number != 0.0,
        None => false,
    })
}

/// Reads the file. Annotations without a mask (boxes alone) are left out.
///
/// # Errors
/// A file that can't be read or is none of this kind, an image id or category id given twice, an annotation of an
/// image that is not in the file, an image without pixels or of more than 2^28.
pub fn read(path: &Path) -> Result<Instances> {
    // Reading a file of 450 MB at once is several times as fast as parsing it from a reader.
    let bytes = fs_err::read(path).hint("check the name of the annotation file")?;
    serde_json::from_slice(&bytes)
        .map_err(anyhow::Error::from)
        .and_then(checked)
        .with_context(|| format!("COCO annotations {}", path.display()))
        .hint("a COCO instances file has images, annotations and categories")
}

fn checked(file: File) -> Result<Instances> {
    ensure!(!file.categories.is_empty(), "no categories");
    let mut regions = HashMap::with_capacity(file.images.len());
    for image in &file.images {
        let (id, width, height) = (image.id, image.width, image.height);
        let usable = (1..=MAX_SIDE).contains(&width)
            && (1..=MAX_SIDE).contains(&height)
            && width * height <= MAX_PIXELS;
        ensure!(usable, "image {id} is {width} x {height} pixels");
        ensure!(regions.insert(id, Vec::new()).is_none(), "image id {id} is given twice");
    }
    let mut ids: Vec<u64> = file.categories.iter().map(|category| category.id).collect();
    ids.sort_unstable();
    let repeated = ids.windows(2).find(|pair| pair[0] == pair[1]);
    ensure!(repeated.is_none(), "category ids {ids:?} are not unique");
    for annotation in file.annotations {
        let Annotation { image_id, category_id: category, area, iscrowd: crowd, .. } = annotation;
        let of_image = regions.get_mut(&image_id);
        let of_image = of_image
            .with_context(|| format!("an annotation of image {image_id}, which is not there"))?;
        let masked = annotation.segmentation;
        of_image.extend(masked.map(|outline| Region { category, crowd, area, outline }));
    }
    Ok(Instances { images: file.images, categories: file.categories, regions })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Instances> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("instances.json");
        fs_err::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn regions_lie_with_their_image() {
        let found = parse(
            r#"{"info": {}, "images": [{"id": 9, "file_name": "9.jpg", "width": 8, "height": 6, "license": 3}],
            "categories": [{"id": 90, "name": "toothbrush", "supercategory": "indoor"}, {"id": 1, "name": "person"}],
            "annotations": [
              {"id": 1, "image_id": 9, "category_id": 90, "area": 7.5, "iscrowd": 0, "segmentation": [[1,1,5,1,5,4]]},
              {"id": 2, "image_id": 9, "category_id": 1, "iscrowd": 1, "segmentation": {"size": [6, 8], "counts": [40, 8]}},
              {"id": 3, "image_id": 9, "category_id": 1, "bbox": [0, 0, 1, 1]}]}"#,
        )
        .unwrap();
        let regions = &found.regions[&9];
        assert_eq!(regions.len(), 2, "a box alone is no mask");
        assert_eq!(
            (regions[0].category, regions[0].area, regions[0].crowd),
            (90, Some(7.5), false)
        );
        assert!(regions[1].crowd);
        assert_eq!(regions[1].encode(&found.images[0]).unwrap().area(), 8);
    }

    #[test]
    fn damaged_files_are_errors_with_a_hint() {
        let image = r#"{"id": 9, "file_name": "9.jpg", "width": 8, "height": 6}"#;
        let huge = r#"{"id": 9, "file_name": "9.jpg", "width": 60000, "height": 60000}"#;
        let category = r#"{"id": 1, "name": "person"}"#;
        let stray = r#"{"image_id": 5, "category_id": 1, "segmentation": [[0,0,1,0,1,1]]}"#;
        for text in [
            "[]".to_string(),
            "{".to_string(),
            format!(r#"{{"images": [{image}]}}"#),
            format!(r#"{{"images": [{image}, {image}], "categories": [{category}]}}"#),
            format!(r#"{{"images": [{huge}], "categories": [{category}]}}"#),
            format!(r#"{{"images": [{image}], "categories": [{category}, {category}]}}"#),
            format!(
                r#"{{"images": [{image}], "categories": [{category}], "annotations": [{stray}]}}"#
            ),
        ] {
            let said = crate::error::report(&parse(&text).unwrap_err());
            assert!(said.contains("instances.json") && said.contains("hint:"), "{said}");
        }
    }
}
