//! Class boundary map and displacement field of every image: the network half of upstream's
//! `make_sem_seg_labels.py` and `make_ins_seg_labels.py`, run once for both.

use anyhow::{Context as _, Result};
use ndarray::{Ix2, Ix3};
use serde_json::json;

use super::{Context, Outcome};
use crate::config::Config;
use crate::data::dataset::{Dataset, Item};
use crate::data::photo::read_photo;
use crate::error::Hint;
use crate::runtime::{IrnModel, Padding, Relations, SessionOptions, Workers, irn_relations};
use crate::store::{Record, Stage};

/// Opens the configured IRNet model, once for each worker.
///
/// # Errors
/// A missing file, a model of another network.
pub fn models(context: &Context) -> Result<Workers<IrnModel>> {
    let config = &context.config;
    let open = |options: &SessionOptions| {
        IrnModel::open_with(&config.run.irn_model(), options).hint(
            "train and export IRNet first (irn-train irn; irn-export onnx), or set run.irn_model",
        )
    };
    let models = Workers::open_each(context.compute()?.sessions(), open)?;
    context.compute()?.say(Stage::Irn, models.lend().info())?;
    Ok(models)
}

/// The padding that the settings ask for.
pub fn padding(config: &Config) -> Padding {
    Padding { crop: config.irn.pad, compat: config.run.compat }
}

/// Runs the network on the images that the store lacks.
///
/// # Errors
/// No model, a store that can't be written, Ctrl-C. Single images that fail are skipped and listed.
pub fn run(context: &Context, set: &Dataset) -> Result<Outcome> {
    let config = &context.config;
    let models = models(context)?;
    let settings = json!({
        "pad": config.irn.pad,
        "compat": config.run.compat,
        "normalisation": config.network.normalisation,
        "model": models.lend().fingerprint(),
    });
    let settings = context.compute()?.with_precision(settings);
    let normalisation = &config.network.normalisation;
    let prepare = |item: &Item| {
        let photo = read_photo(&item.photo, config.data.exif)?;
        let pair = normalisation.pair(photo.view());
        let relations = irn_relations(&mut models.lend(), &pair, padding(config))?;
        Ok(Record::new()
            .with("edge", relations.edge.into_dyn())
            .with("displacement", relations.displacement.into_dyn()))
    };
    let sides = |(h, w)| padding(config).size((h, w));
    let items = context.compute()?.gathered(&set.items, config.data.exif, sides);
    context.make(Stage::Irn, &settings, &items, prepare, |_, record| Ok(record))
}

/// Reads an image's boundary map and displacement field.
///
/// # Errors
/// An image without them, a damaged store.
pub fn read(context: &Context, name: &str) -> Result<Relations> {
    let record = context
        .store
        .read(Stage::Irn, name)
        .with_context(|| format!("no boundary and displacement maps of {name}"))?;
    Ok(Relations {
        edge: record.f32::<Ix2>("edge")?,
        displacement: record.f32::<Ix3>("displacement")?,
    })
}
