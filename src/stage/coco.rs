//! The COCO annotation file of the instance masks: upstream's `step/make_cocoann.py`.

use anyhow::Result;
use ndarray::Axis;

use super::{Context, Outcome, cam, ins_seg};
use crate::data::dataset::{Dataset, Item};
use crate::data::photo::size_of;
use crate::eval::coco::annotations::{CocoFile, Format, Image, Options, image_ids};

/// Writes `coco.json` for the instance masks of `set`; images without masks are skipped and listed.
///
/// # Errors
/// A file that can't be written.
pub fn run(context: &Context, set: &Dataset) -> Result<Outcome> {
    let config = &context.config;
    let format = if config.coco.polygons { Format::Polygons } else { Format::Rle };
    let options = Options { format, keep_zero_scores: config.coco.min_score <= 0.0 };
    let mut file = CocoFile::new("instance masks by irn", set.categories.clone(), options)?;
    let names: Vec<&str> = set.items.iter().map(|item| item.name.as_str()).collect();
    let mut outcome = Outcome::default();
    for (item, id) in set.items.iter().zip(image_ids(&names)) {
        let found = ins_seg::read(context, &item.name).and_then(|found| {
            Ok((found, size_of(&item.photo, config.data.exif)?, said(context, item)?))
        });
        let (found, (height, width), classes_are) = match found {
            Ok(found) => found,
            Err(error) => {
                outcome.skipped.insert(item.name.clone(), format!("{error:#}"));
                continue;
            }
        };
        let (id, file_name) = (item.image_id().unwrap_or(id), item.file_name());
        file.add_image(Image { id, file_name, width, height, classes_are });
        for ((mask, &class), &score) in
            found.mask.axis_iter(Axis(0)).zip(&found.class).zip(&found.score)
        {
            if score >= config.coco.min_score {
                file.add_instance(class, mask, score)?;
            }
        }
        outcome.done += 1;
    }
    let path = config.run.out.join("coco.json");
    file.write(&path)?;
    eprintln!("{}: {} images, {} masks", path.display(), outcome.done, file.annotations().len());
    Ok(outcome)
}

/// `predicted` where the image has no label of its own.
fn said(context: &Context, item: &Item) -> Result<Option<String>> {
    let predicted = item.classes.is_none() && cam::read(context, &item.name)?.predicted;
    Ok(predicted.then(|| "predicted".to_string()))
}
