//! Semantic masks: CAMs spread by the random walk, cut by the boundary map; upstream's
//! `step/make_sem_seg_labels.py`.

use anyhow::{Context as _, Result};
use ndarray::{Array2, Array3, Ix2, Ix3};
use serde_json::json;

use super::{Context, Outcome, cam, classes, irn};
use crate::data::dataset::{Dataset, Item};
use crate::data::photo::{size_of, voc_palette, write_palette_png};
use crate::label::random_walk;
use crate::label::semantic::semantic;
use crate::store::{Record, Stage};

/// Makes the semantic masks that the store lacks, and `sem_seg/NAME.png`.
///
/// # Errors
/// No IRNet model, a store or directory that can't be written, Ctrl-C. Single images that fail are
/// skipped and listed.
pub fn run(context: &Context, set: &Dataset) -> Result<Outcome> {
    let config = &context.config;
    let mut outcome = irn::run(context, set)?;
    let settings = context.with_method(json!({
        "walk": config.walk,
        "sem_seg": config.sem_seg,
        "cam": context.settings_of(Stage::Cam)?,
        "irn": context.settings_of(Stage::Irn)?,
    }));
    let (dir, palette) = (context.dir("sem_seg")?, voc_palette());
    classes::write_names(context, set)?;
    let prepare = |item: &Item| {
        let (keys, walked, label) = label(context, item)?;
        write_palette_png(&dir.join(format!("{}.png", item.name)), label.view(), &palette)?;
        Ok((keys, walked, label))
    };
    let made = context.make(
        Stage::SemSeg,
        &settings,
        &set.items,
        prepare,
        |_, (keys, walked, label)| {
            let keys: ndarray::Array1<i64> = keys.iter().map(|&key| key as i64).collect();
            Ok(Record::new()
                .with("keys", keys.into_dyn())
                .with("walk", walked.into_dyn())
                .with("label", label.into_dyn()))
        },
    )?;
    outcome.absorb(made);
    Ok(outcome)
}

type Labelled = (Vec<usize>, Array3<f32>, Array2<u8>);

fn label(context: &Context, item: &Item) -> Result<Labelled> {
    let config = &context.config;
    let stored = cam::read(context, &item.name)?;
    let size = size_of(&item.photo, config.data.exif)?;
    let relations = irn::read(context, &item.name)?;
    let mut maps = stored.record.f32::<Ix3>("cam")?;
    powered(&mut maps, config.sem_seg.cam_power);
    let walked = random_walk(maps.view(), relations.edge.view(), &config.walk);
    let background = config.sem_seg.background;
    let label = semantic(walked.view(), &stored.keys, size, background, config.run.compat);
    Ok((stored.keys, walked, label))
}

/// Raises every value to `power`.
pub fn powered(maps: &mut Array3<f32>, power: f32) {
    if power != 1.0 {
        maps.mapv_inplace(|value| value.max(0.0).powf(power));
    }
}

/// What the store holds of an image's semantic mask.
pub struct Stored {
    /// Classes, 0-based.
    pub keys: Vec<usize>,
    /// The walk's result before normalisation, `[classes, h, w]` at a quarter of the size.
    pub walked: Array3<f32>,
    /// The mask, `[H, W]`: 0 background, class + 1.
    pub label: Array2<u8>,
}

/// Reads an image's semantic mask.
///
/// # Errors
/// An image without one, a damaged store.
pub fn read(context: &Context, name: &str) -> Result<Stored> {
    let record = context
        .store
        .read(Stage::SemSeg, name)
        .with_context(|| format!("no semantic mask of {name}"))?;
    Ok(Stored {
        keys: cam::keys_of(&record)?,
        walked: record.f32::<Ix3>("walk")?,
        label: record.u8::<Ix2>("label")?,
    })
}
