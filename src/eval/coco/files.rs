//! Detections in a file against annotations in a file: what `COCOeval(gt, gt.loadRes(dt), "segm")` prints.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use rayon::prelude::*;

use super::evaluator::{CocoEvaluator, Detection, Judged, Object, Shape};
use super::instances::{self, Category, Image, Instances, Region};
use super::results::{self, Results};
use super::summary::CocoScores;
use crate::error::Hint;

/// The figures of two files.
#[derive(Debug)]
pub struct Evaluated {
    /// The figures; classes as in `categories`.
    pub scores: CocoScores,
    /// By ascending id.
    pub categories: Vec<Category>,
    /// Images of the annotation file.
    pub images: usize,
    /// Detections of a category that the annotation file does not have: left out.
    pub strange: usize,
}

/// Evaluates the detections of `dt` on all images of `gt`.
///
/// # Errors
/// A file that can't be read, a detection in an image that is not in `gt`, a mask of another size than its image.
pub fn evaluate(gt: &Path, dt: &Path) -> Result<Evaluated> {
    let truth = instances::read(gt)?;
    let results = results::read(dt)?;
    let found = results::by_image(&results.found);
    if let Some(id) = found.keys().find(|id| !truth.regions.contains_key(id)) {
        let refused = Err(anyhow::anyhow!("{} has detections in image {id}", dt.display()));
        return refused
            .with_context(|| format!("{} does not have that image", gt.display()))
            .hint("the results must be those of the annotated images");
    }
    let classes = classes_of(&truth.categories);
    let mut images: Vec<&Image> = truth.images.iter().collect();
    images.sort_by_key(|image| image.id);
    let of_image = |image: &&Image| {
        let found = found.get(&image.id).map(Vec::as_slice).unwrap_or_default();
        let judged = judged(image, &truth, &results, found, &classes);
        judged
            .and_then(|judged| CocoEvaluator::of_image(&judged))
            .with_context(|| format!("image {} ({})", image.id, image.file_name))
    };
    let parts: Vec<CocoEvaluator> = images.par_iter().map(of_image).collect::<Result<_>>()?;
    let mut total = CocoEvaluator::default();
    parts.into_iter().for_each(|part| total.append(part));
    let strange = |found: &&results::Found| !classes.contains_key(&found.category_id);
    let strange = results.found.iter().filter(strange).count();
    let mut categories = truth.categories.clone();
    categories.sort_by_key(|category| category.id);
    Ok(Evaluated { scores: total.finish(classes.len()), categories, images: images.len(), strange })
}

/// Position of each category id in ascending order.
fn classes_of(categories: &[Category]) -> BTreeMap<u64, usize> {
    let mut ids: Vec<u64> = categories.iter().map(|category| category.id).collect();
    ids.sort_unstable();
    ids.into_iter().zip(0..).collect()
}

fn judged(
    image: &Image,
    truth: &Instances,
    results: &Results,
    found: &[usize],
    classes: &BTreeMap<u64, usize>,
) -> Result<Judged> {
    let mut judged = Judged::default();
    for region in truth.regions.get(&image.id).map(Vec::as_slice).unwrap_or_default() {
        let Some(&class) = classes.get(&region.category) else {
            bail!("an annotation of category {}, which is not there", region.category)
        };
        judged.objects.push((class, object(region, image)?));
    }
    for found in found.iter().map(|&at| &results.found[at]) {
        if let Some(&class) = classes.get(&found.category_id) {
            let (rle, area) = results.mask(found, image)?;
            let shape = Shape::new(rle);
            judged.detections.push((class, Detection { shape, area, score: found.score }));
        }
    }
    Ok(judged)
}

/// An object of the ground truth; without an area in the file, that of its pixels.
///
/// # Errors
/// Those of [`Region::encode`].
pub fn object(region: &Region, image: &Image) -> Result<Object> {
    let shape = Shape::new(region.encode(image)?);
    let area = region.area.unwrap_or(shape.pixels() as f64);
    Ok(Object { shape, area, crowd: region.crowd })
}
