//! Relation labels: confident foreground, confident background, unknown; upstream's
//! `step/cam_to_ir_label.py`.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use ndarray::{Array2, Ix2, Ix3};
use serde_json::json;

use super::{Context, Outcome, cam};
use crate::data::dataset::{Dataset, Item};
use crate::data::photo::{read_photo, voc_palette, write_palette_png};
use crate::label::crf::relation_label;
use crate::store::{Record, Stage, Store};

/// Makes the relation labels that the store lacks, and `ir_label/NAME.png`.
///
/// # Errors
/// A store or directory that can't be written, Ctrl-C. Single images that fail are skipped and listed.
pub fn run(context: &Context, set: &Dataset) -> Result<Outcome> {
    let config = &context.config;
    let settings = context.with_method(json!({
        "ir_label": config.ir_label,
        "cam": context.settings_of(Stage::Cam)?,
    }));
    let (dir, palette) = (context.dir("ir_label")?, voc_palette());
    let prepare = |item: &Item| {
        let label = label(context, item)?;
        write_palette_png(&dir.join(format!("{}.png", item.name)), label.view(), &palette)?;
        Ok(label)
    };
    context.make(Stage::IrLabel, &settings, &set.items, prepare, |_, label| {
        Ok(Record::new().with("label", label.into_dyn()))
    })
}

fn label(context: &Context, item: &Item) -> Result<Array2<u8>> {
    let settings = &context.config.ir_label;
    let stored = cam::read(context, &item.name)?;
    anyhow::ensure!(!stored.predicted, "no class label; predicted classes are not trained on");
    let photo = read_photo(&item.photo, context.config.data.exif)?;
    let maps = stored.record.f32::<Ix3>("high_res")?;
    relation_label(
        photo.view(),
        maps.view(),
        &stored.keys,
        settings.conf_fg,
        settings.conf_bg,
        &settings.crf,
    )
}

/// The relation label of image `name`, `[H, W]`.
///
/// # Errors
/// An image without one, a damaged store.
pub fn read(store: &Store, name: &str) -> Result<Array2<u8>> {
    let record =
        store.read(Stage::IrLabel, name).with_context(|| format!("no relation label of {name}"))?;
    record.u8::<Ix2>("label")
}

/// Names of the images that have a relation label.
///
/// # Errors
/// A store that can't be read.
pub fn names(store: &Store) -> Result<BTreeSet<String>> {
    store.names(Stage::IrLabel)
}
