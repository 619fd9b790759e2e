//! Instance masks: the displacement field's clusters split the CAMs, the random walk spreads the parts;
//! upstream's `step/make_ins_seg_labels.py`.

use anyhow::{Context as _, Result};
use ndarray::{Array1, Array3, Ix1, Ix3, aview1};
use serde_json::json;

use super::sem_seg::powered;
use super::{Context, Outcome, cam, irn};
use crate::data::dataset::{Dataset, Item};
use crate::data::npy;
use crate::data::photo::size_of;
use crate::label::{Instances, instances};
use crate::store::{Record, Stage};

/// Makes the instance masks that the store lacks, and `ins_seg/NAME.npy`.
///
/// # Errors
/// No IRNet model, a store or directory that can't be written, Ctrl-C. Single images that fail are
/// skipped and listed.
pub fn run(context: &Context, set: &Dataset) -> Result<Outcome> {
    let config = &context.config;
    let mut outcome = irn::run(context, set)?;
    let settings = context.with_method(json!({
        "walk": config.walk,
        "cam_power": config.sem_seg.cam_power,
        "background": config.ins_seg.background,
        "cam": context.settings_of(Stage::Cam)?,
        "irn": context.settings_of(Stage::Irn)?,
    }));
    let dir = config.ins_seg.write_npy.then(|| context.dir("ins_seg")).transpose()?;
    let prepare = |item: &Item| {
        let found = detect(context, item)?;
        if let Some(dir) = &dir {
            let path = dir.join(format!("{}.npy", item.name));
            let score = aview1(&found.score);
            npy::write_instances(&path, score, found.mask.clone(), &found.class)?;
        }
        Ok(found)
    };
    let made = context.make(Stage::InsSeg, &settings, &set.items, prepare, |_, found| {
        let class: Array1<i64> = found.class.iter().map(|&class| class as i64).collect();
        Ok(Record::new()
            .with("score", Array1::from_vec(found.score).into_dyn())
            .with("class", class.into_dyn())
            .with("mask", found.mask.into_dyn()))
    })?;
    outcome.absorb(made);
    Ok(outcome)
}

fn detect(context: &Context, item: &Item) -> Result<Instances> {
    let config = &context.config;
    let stored = cam::read(context, &item.name)?;
    let size = size_of(&item.photo, config.data.exif)?;
    let relations = irn::read(context, &item.name)?;
    let mut maps = stored.record.f32::<Ix3>("cam")?;
    powered(&mut maps, config.sem_seg.cam_power);
    let (edge, displacement) = (relations.edge.view(), relations.displacement.view());
    let (walk, threshold) = (&config.walk, config.ins_seg.background);
    Ok(instances(maps.view(), edge, displacement, &stored.keys, size, walk, threshold))
}

/// An image's instance masks.
pub struct Stored {
    /// `[N]`.
    pub score: Vec<f32>,
    /// `[N, H, W]`.
    pub mask: Array3<bool>,
    /// `[N]`, 0-based.
    pub class: Vec<usize>,
}

/// Reads an image's instance masks.
///
/// # Errors
/// An image without them, a damaged store.
pub fn read(context: &Context, name: &str) -> Result<Stored> {
    let record = context
        .store
        .read(Stage::InsSeg, name)
        .with_context(|| format!("no instance masks of {name}"))?;
    let class = record.i64::<Ix1>("class")?;
    Ok(Stored {
        score: record.f32::<Ix1>("score")?.to_vec(),
        mask: record.bool::<Ix3>("mask")?,
        class: class.iter().map(|&class| usize::try_from(class)).collect::<Result<_, _>>()?,
    })
}
