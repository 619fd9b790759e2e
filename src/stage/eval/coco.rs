//! COCO's figures of the instance masks in the store: those that pycocotools gives for `coco.json`.

use std::io::Write;

use anyhow::Result;
use ndarray::Axis;

use super::Context;
use crate::data::atomic::write_atomically;
use crate::data::dataset::{Dataset, Item};
use crate::eval::coco::evaluator::{CocoEvaluator, Detection, Judged, Shape};
use crate::eval::coco::rle::Rle;
use crate::overlap::overlapped;
use crate::stage::ins_seg;

/// Evaluates, prints the table and writes `eval/coco.json`; images without masks or ground truth are left out (the
/// evaluation before this one lists them).
pub fn evaluate(context: &Context, set: &Dataset) -> Result<()> {
    let mut items: Vec<&Item> = set.items.iter().collect();
    // The order in which pycocotools goes through the images; it tells equal scores apart.
    items.sort_by_key(|item| item.image_id());
    let mut total = CocoEvaluator::default();
    let mut images = 0;
    let lookahead = 2 * context.config.run.thread_count();
    overlapped(
        &context.pool,
        lookahead,
        items,
        |item| judge(context, item),
        |judged| {
            if let Ok(one) = judged {
                images += 1;
                total.append(one);
            }
            Ok(())
        },
    )?;
    let names = &set.classes;
    let scores = total.finish(names.len());
    print!("\nins-seg as COCO evaluates it, on {images} images\n{}", scores.table(names));
    let ids: Vec<u64> = set.categories.iter().map(|category| category.id).collect();
    let figures = serde_json::json!({
        "images": images, "scores": scores, "classes": names, "category_ids": ids,
    });
    let text = serde_json::to_string_pretty(&figures)?;
    let path = context.dir("eval")?.join("coco.json");
    write_atomically(&path, |file| Ok(file.write_all(text.as_bytes())?))
}

fn judge(context: &Context, item: &Item) -> Result<CocoEvaluator> {
    let found = ins_seg::read(context, &item.name)?;
    let scored = found.mask.axis_iter(Axis(0)).zip(&found.class).zip(&found.score);
    let written = scored.filter(|(_, score)| **score >= context.config.coco.min_score);
    let detection = |((mask, &class), &score): ((ndarray::ArrayView2<bool>, &usize), &f32)| {
        let shape = Shape::new(Rle::new(mask));
        let area = shape.pixels() as f64;
        (class, Detection { shape, area, score: f64::from(score) })
    };
    let detections: Vec<_> =
        written.map(detection).filter(|(_, found)| found.shape.pixels() > 0).collect();
    CocoEvaluator::of_image(&Judged { objects: item.coco_truth()?, detections })
}
