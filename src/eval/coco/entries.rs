//! The parts of a COCO file: categories, images, annotations (COCO's data format).

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use super::polygon::{Polygon, polygons};
use super::rle::Rle;

/// How masks are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Compressed run lengths: exact.
    #[default]
    Rle,
    /// Half-pixel outlines as upstream's: holes are lost.
    Polygons,
}

/// A class as the file names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Category {
    /// The id that annotations refer to.
    pub id: u64,
    /// The class name.
    pub name: String,
    /// COCO's group of classes; "object" where there is none.
    #[serde(default)]
    pub supercategory: String,
}

impl Category {
    /// Categories 1, 2, ... for class names in order.
    pub fn numbered(names: &[String]) -> Vec<Self> {
        let ids = 1..;
        let category = |(id, name): (u64, &String)| Self {
            id,
            name: name.clone(),
            supercategory: "object".to_string(),
        };
        ids.zip(names).map(category).collect()
    }
}

/// An image of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// See [`super::annotations::image_ids`].
    pub id: u64,
    /// File name of the photo.
    pub file_name: String,
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// `predicted` where the network named the classes of the image, nothing where they were given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes_are: Option<String>,
}

/// The two spellings of a mask.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Segmentation {
    /// Height and width, compressed counts.
    Rle {
        /// Height, width.
        size: [usize; 2],
        /// Compressed text.
        counts: String,
    },
    /// Closed outlines.
    Polygons(Vec<Polygon>),
}

/// One instance of the file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Annotation {
    /// Unique in the file.
    pub id: u64,
    /// The image's id.
    pub image_id: u64,
    /// The category's id.
    pub category_id: u64,
    /// Always 0.
    pub iscrowd: u8,
    /// Pixels of the mask.
    pub area: u64,
    /// x, y, width, height in pixels.
    pub bbox: [f64; 4],
    /// The mask.
    pub segmentation: Segmentation,
    /// Width of the image.
    pub width: usize,
    /// Height of the image.
    pub height: usize,
    /// Confidence of the instance.
    pub score: f32,
}

/// One annotation; `None` for an empty mask.
pub fn annotation(
    id: u64,
    image_id: u64,
    category_id: u64,
    mask: ArrayView2<bool>,
    score: f32,
    format: Format,
) -> Option<Annotation> {
    let rle = Rle::new(mask);
    let [height, width] = rle.size();
    let segmentation = match format {
        Format::Rle => Segmentation::Rle { size: rle.size(), counts: rle.text() },
        Format::Polygons => Segmentation::Polygons(polygons(mask)),
    };
    (rle.area() > 0).then(|| Annotation {
        id,
        image_id,
        category_id,
        iscrowd: 0,
        area: rle.area(),
        bbox: rle.bbox().map(f64::from),
        segmentation,
        width,
        height,
        score,
    })
}
