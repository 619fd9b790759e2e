//! The COCO annotation file of the instance masks: upstream's `step/make_cocoann.py`.

use anyhow::{Context as _, Result};
use ndarray::Axis;

use super::{Context, Outcome, ins_seg};
use crate::data::dataset::Dataset;
use crate::data::photo::size_of;
use crate::eval::coco::annotations::{Category, CocoFile, Format, Image, Options, image_ids};

/// Writes `coco.json` for the instance masks of `set`; images without masks are skipped and listed.
///
/// # Errors
/// A file that can't be written.
pub fn run(context: &Context, set: &Dataset) -> Result<Outcome> {
    let config = &context.config;
    let format = if config.coco.polygons { Format::Polygons } else { Format::Rle };
    let options = Options { format, keep_zero_scores: config.coco.min_score <= 0.0 };
    let categories = Category::numbered(&config.data.classes);
    let mut file = CocoFile::new("instance masks by irn", categories, options)?;
    let names: Vec<&str> = set.items.iter().map(|item| item.name.as_str()).collect();
    let mut outcome = Outcome::default();
    for (item, id) in set.items.iter().zip(image_ids(&names)) {
        let found = ins_seg::read(context, &item.name)
            .and_then(|found| Ok((found, size_of(&item.photo, config.data.exif)?)));
        let (found, (height, width)) = match found {
            Ok(found) => found,
            Err(error) => {
                outcome.skipped.insert(item.name.clone(), format!("{error:#}"));
                continue;
            }
        };
        let file_name = item.photo.file_name().context("a photo has a file name")?;
        let file_name = file_name.to_string_lossy().into_owned();
        file.add_image(Image { id, file_name, width, height });
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
