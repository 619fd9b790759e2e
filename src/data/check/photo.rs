//! One photo of a data set under the magnifying glass.

use anyhow::{Result, ensure};

use super::Look;
use crate::data::dataset::Item;
use crate::data::photo::{read_photo, size_of};

/// Shorter sides than this hold less than two cells of the CAM network at half scale.
const SHORTEST: usize = 64;

/// Longer sides than this take minutes and gigabytes.
const LONGEST: usize = 4096;

/// A photo this many times as long as wide is cut to a strip of itself in training.
const SLIMMEST: usize = 5;

/// What a photo turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Height and width.
    pub size: (usize, usize),
    /// What looks wrong.
    pub strange: Vec<String>,
}

/// Reads a photo and what belongs to it.
///
/// # Errors
/// A photo that can't be read, one of another size than its ground truth.
pub fn look(item: &Item, look: Look) -> Result<Found> {
    let size = if look.quick {
        size_of(&item.photo, look.exif)?
    } else {
        let (height, width, _) = read_photo(&item.photo, look.exif)?.dim();
        (height, width)
    };
    let truth = truth_size(item, look)?;
    let ((height, width), (rows, columns)) = (size, truth.unwrap_or(size));
    ensure!(
        truth.is_none_or(|truth| truth == size),
        "the photo is {width} x {height}, its ground truth {columns} x {rows} pixels"
    );
    Ok(Found { size, strange: strange(size) })
}

fn truth_size(item: &Item, look: Look) -> Result<Option<(usize, usize)>> {
    if let Some(of) = &item.annotated {
        return Ok(Some((of.image.height, of.image.width)));
    }
    let known = !look.quick && item.has_semantic_truth();
    known.then(|| Ok(item.semantic_truth()?.dim())).transpose()
}

fn strange((height, width): (usize, usize)) -> Vec<String> {
    let (short, long) = (height.min(width), height.max(width));
    let mut found = Vec::new();
    if short < SHORTEST {
        found.push(format!("small: {width} x {height} pixels"));
    }
    if long > LONGEST {
        found.push(format!("large: {width} x {height} pixels"));
    }
    if long > SLIMMEST * short {
        found.push(format!("a strip: {width} x {height} pixels"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_look_wrong() {
        assert!(strange((375, 500)).is_empty());
        assert_eq!(strange((10, 20)), ["small: 20 x 10 pixels"]);
        assert_eq!(
            strange((100, 5000)),
            ["large: 5000 x 100 pixels", "a strip: 5000 x 100 pixels"]
        );
    }
}
