//! Pictures of what the store holds about a photo: photo, CAM, relation label, boundary map, displacement
//! field, semantic and instance masks, and ground truth where there is one.

use anyhow::Result;
use ndarray::{Array3, Ix3};

use super::each::each;
use super::{Context, Outcome, cam, ins_seg, ir_label, irn, sem_seg};
use crate::data::dataset::{Dataset, Item};
use crate::data::photo::{read_label, read_photo, write_rgb_png};
use crate::store::Stage;
use crate::view::{Picture, field, heat, instances, labels, strip};

/// The panels of a photo, in the pipeline's order; what was not computed is left out.
///
/// # Errors
/// A photo that can't be read, a damaged store.
pub fn panels(context: &Context, item: &Item) -> Result<Vec<(String, Picture)>> {
    let photo = read_photo(&item.photo, context.config.data.exif)?;
    let (height, width, _) = photo.dim();
    let size = (height, width);
    let has = |stage| context.store.has(stage, &item.name);
    let names = &context.config.data.classes;
    let mut panels: Vec<(String, Picture)> = vec![("photo".into(), photo.clone())];
    if has(Stage::Cam)? {
        let maps = cam::read(context, &item.name)?.record.f32::<Ix3>("high_res")?;
        panels.push(("CAM".into(), heat::cam(&photo, &maps)));
    }
    if has(Stage::IrLabel)? {
        let label = ir_label::read(&context.store, &item.name)?;
        panels.push(("relation label".into(), labels::relation_label(&label)));
    }
    if has(Stage::Irn)? {
        let relations = irn::read(context, &item.name)?;
        panels.push(("boundary".into(), heat::boundary(&relations.edge, size)));
        let arrows = field::displacement_with_wheel(&relations.displacement, size);
        panels.push(("displacement".into(), arrows));
    }
    if has(Stage::SemSeg)? {
        let stored = sem_seg::read(context, &item.name)?;
        panels.push(("semantic".into(), labels::semantic(&photo, &stored.label)));
    }
    if has(Stage::InsSeg)? {
        let found = scored(ins_seg::read(context, &item.name)?);
        let drawn = instances::instances(&photo, &found.mask, &found.class, &found.score, names);
        panels.push(("instances".into(), drawn));
    }
    panels.extend(truth(item, &photo, names)?);
    Ok(panels)
}

/// The instances above score 0: fragments are kept for the evaluation, not for the eye.
fn scored(found: ins_seg::Stored) -> ins_seg::Stored {
    let kept: Vec<usize> = (0..found.score.len()).filter(|&i| found.score[i] > 0.0).collect();
    ins_seg::Stored {
        score: kept.iter().map(|&i| found.score[i]).collect(),
        class: kept.iter().map(|&i| found.class[i]).collect(),
        mask: found.mask.select(ndarray::Axis(0), &kept),
    }
}

fn truth(item: &Item, photo: &Array3<u8>, names: &[String]) -> Result<Vec<(String, Picture)>> {
    if !item.has_semantic_truth() {
        return Ok(Vec::new());
    }
    let label = item.semantic_truth()?;
    let mut panels = vec![("semantic truth".to_string(), labels::semantic(photo, &label))];
    if item.annotated.is_some() {
        let truth = item.instance_truth()?;
        let drawn = instances::instances(photo, &truth.masks, &truth.classes, &[], names);
        panels.push(("instance truth".to_string(), drawn));
    } else if item.has_instance_truth() {
        let object = read_label(&item.instance_mask_path())?;
        let drawn = instances::ground_truth_instances(photo, &object, &label, names);
        panels.push(("instance truth".to_string(), drawn));
    }
    Ok(panels)
}

/// Writes `draw/NAME.png` for every image of `set`: all panels side by side.
///
/// # Errors
/// A directory that can't be written, Ctrl-C. Single images that fail are skipped and listed.
pub fn run(context: &Context, set: &Dataset) -> Result<Outcome> {
    let dir = context.dir("draw")?;
    let outcome = each(context, "draw", set, |item| {
        let path = dir.join(format!("{}.png", item.name));
        write_rgb_png(&path, strip::grid(&panels(context, item)?, 5).view())
    })?;
    eprintln!("pictures in {}", dir.display());
    Ok(outcome)
}
