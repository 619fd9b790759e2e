//! Detections as COCO results: a list of image, category, mask and score, or our own `coco.json`.

use std::collections::HashMap;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::instances::Image;
use super::rle::Rle;
use super::segmentation::Outline;
use crate::error::Hint;

/// One detection of a file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Found {
    /// The image's id.
    pub image_id: u64,
    /// The category's id.
    pub category_id: u64,
    /// Confidence.
    pub score: f64,
    #[serde(default)]
    segmentation: Option<Outline>,
    #[serde(default)]
    bbox: Option<Vec<f64>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum File {
    List(Vec<Found>),
    Annotations { annotations: Vec<Found> },
}

/// The detections of a file, and how their area is meant.
#[derive(Debug)]
pub struct Results {
    /// In the order of the file.
    pub found: Vec<Found>,
    /// Areas are those of the boxes.
    box_areas: bool,
}

impl Results {
    /// The mask of a detection, and the area that decides whether it is small, medium or large.
    ///
    /// pycocotools' `loadRes` takes the area of the *box* for all detections of a list whose first has one, and of
    /// the mask for others; so do we. In a file with `annotations` (ours) it is the mask's.
    ///
    /// # Errors
    /// No mask and no box, a mask that does not fit the image.
    pub fn mask(&self, found: &Found, image: &Image) -> Result<(Rle, f64)> {
        let bbox = || {
            let values = found.bbox.as_deref().context("a detection without mask and box")?;
            let [x, y, w, h] = *values else { anyhow::bail!("a box of {} values", values.len()) };
            Ok([x, y, w, h])
        };
        let rle = match &found.segmentation {
            Some(outline) => outline.encode(image.height, image.width)?,
            None => {
                let [x, y, w, h] = bbox()?;
                let corners = vec![x, y, x, y + h, x + w, y + h, x + w, y];
                Outline::Polygons(vec![corners]).encode(image.height, image.width)?
            }
        };
        let area = if self.box_areas {
            let [_, _, w, h] = bbox()?;
            w * h
        } else {
            rle.area() as f64
        };
        Ok((rle, area))
    }
}

/// Reads detections: a JSON list, or an object whose `annotations` have scores.
///
/// # Errors
/// A file that can't be read or is none of this kind, a score that is no number.
pub fn read(path: &Path) -> Result<Results> {
    let file = fs_err::File::open(path).hint("check the name of the results file")?;
    serde_json::from_reader(BufReader::with_capacity(1 << 20, file))
        .map_err(anyhow::Error::from)
        .and_then(checked)
        .with_context(|| format!("COCO results {}", path.display()))
        .hint("a list of {image_id, category_id, segmentation, score} is expected, or irn's coco.json")
}

fn checked(file: File) -> Result<Results> {
    let (found, box_areas) = match file {
        File::List(found) => {
            let boxed = |first: &Found| first.bbox.as_ref().is_some_and(|bbox| !bbox.is_empty());
            let box_areas = found.first().is_some_and(boxed);
            (found, box_areas)
        }
        File::Annotations { annotations } => (annotations, false),
    };
    let strange = found.iter().find(|found| !found.score.is_finite());
    ensure!(strange.is_none(), "a score is not a number: {strange:?}");
    Ok(Results { found, box_areas })
}

/// Positions in [`Results::found`] by image id, in the order of the file.
pub fn by_image(found: &[Found]) -> HashMap<u64, Vec<usize>> {
    let mut positions = HashMap::<u64, Vec<usize>>::new();
    for (at, found) in found.iter().enumerate() {
        positions.entry(found.image_id).or_default().push(at);
    }
    positions
}
