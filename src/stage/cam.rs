//! CAMs of all images, multi-scale and mirrored: upstream's `step/make_cam.py`.

use anyhow::{Context as _, Result};
use ndarray::Array3;
use serde_json::json;

use super::classes::{self, Tally};
use super::{Context, Outcome};
use crate::data::dataset::{Dataset, Item};
use crate::data::npy;
use crate::data::photo::read_photo;
use crate::data::resize;
use crate::error::Hint;
use crate::label::{MergedCam, merge};
use crate::runtime::{CamModel, cam_pair_and_logits};
use crate::store::{Record, Stage};

/// A photo at every scale, ready for the network.
pub struct Scaled {
    /// Height and width of the photo.
    pub size: (usize, usize),
    /// Normalised, `[3, h, w]` each, in the order of `cam.scales`.
    pub images: Vec<Array3<f32>>,
}

/// Reads a photo and scales and normalises it.
///
/// # Errors
/// A photo that can't be read.
pub fn scaled(context: &Context, item: &Item) -> Result<Scaled> {
    let config = &context.config;
    let photo = read_photo(&item.photo, config.data.exif)?;
    let (h, w, _) = photo.dim();
    let normalisation = &config.network.normalisation;
    let at = |&scale: &f64| {
        let rescaled = resize::rescale(photo.view(), scale);
        let (h, w, _) = rescaled.dim();
        anyhow::ensure!(h > 0 && w > 0, "at scale {scale} nothing is left of the photo");
        Ok(normalisation.normalise(rescaled.view()))
    };
    Ok(Scaled { size: (h, w), images: config.cam.scales.iter().map(at).collect::<Result<_>>()? })
}

/// What the network says of a scaled photo: the maps of all classes at every scale, and the probability of each
/// class at the scale nearest to 1.
///
/// # Errors
/// Those of ONNX Runtime.
pub fn activations(
    context: &Context,
    model: &mut CamModel,
    scaled: &Scaled,
) -> Result<(Vec<Array3<f32>>, Vec<f32>)> {
    let run = |image: &Array3<f32>| cam_pair_and_logits(model, image.view());
    let (maps, mut logits): (Vec<_>, Vec<_>) =
        scaled.images.iter().map(run).collect::<Result<Vec<_>>>()?.into_iter().unzip();
    let from_one = |at: &usize| (context.config.cam.scales[*at] - 1.0).abs();
    let nearest = (0..logits.len()).min_by(|a, b| from_one(a).total_cmp(&from_one(b)));
    let logits = logits.swap_remove(nearest.context("cam.scales is empty")?);
    Ok((maps, classes::probabilities(logits)))
}

/// Opens the configured CAM model.
///
/// # Errors
/// A missing file, a model of another network or other classes.
pub fn model(context: &Context) -> Result<CamModel> {
    let config = &context.config;
    CamModel::open(&config.run.cam_model(), config.run.thread_count(), Some(&config.data.classes))
        .hint("train and export the CAM network first (irn-train cam; irn-export onnx), or set run.cam_model")
}

/// Makes the CAMs that the store lacks. The classes of photos without a label are predicted, which is said and
/// noted in the store.
///
/// # Errors
/// No model, a store that can't be written, Ctrl-C. Single images that fail are skipped and listed.
pub fn run(context: &Context, set: &Dataset) -> Result<Outcome> {
    let config = &context.config;
    let mut model = model(context)?;
    let threshold = config.cam.class_threshold;
    let settings = json!({
        "scales": config.cam.scales,
        "normalisation": config.network.normalisation,
        "class_threshold": threshold,
        "model": model.fingerprint(),
    });
    let npy_dir = config.cam.write_npy.then(|| context.dir("cam")).transpose()?;
    let (trained_on, mut tally) = (classes::trained_on(context), Tally::default());
    let prepare = |item: &Item| scaled(context, item);
    let outcome = context.make(Stage::Cam, &settings, &set.items, prepare, |item, scaled| {
        let (maps, probabilities) = activations(context, &mut model, &scaled)?;
        let keys = match &item.classes {
            Some(given) => given.clone(),
            None => classes::predicted(&probabilities, threshold),
        };
        if let Some(given) = item.classes.as_ref().filter(|_| !trained_on.contains(&item.name)) {
            tally.add(&probabilities, given, threshold);
        }
        let merged = merge(&maps, scaled.size, &keys)?;
        if let Some(dir) = &npy_dir {
            let path = dir.join(format!("{}.npy", item.name));
            npy::write_cam(&path, &keys, merged.cam.view(), merged.high_res.view())?;
        }
        let mut record = record(&keys, merged);
        record.insert("probability", ndarray::Array1::from_vec(probabilities));
        let how = if item.classes.is_some() { GIVEN } else { PREDICTED };
        record.insert_text("classes", how);
        Ok(record)
    })?;
    classes::report(context, set, &tally)?;
    Ok(outcome)
}

/// What a record says of where its classes come from.
const GIVEN: &str = "given";
const PREDICTED: &str = "predicted";

fn record(keys: &[usize], merged: MergedCam) -> Record {
    let keys = keys.iter().map(|&key| key as i64).collect::<ndarray::Array1<i64>>();
    Record::new()
        .with("keys", keys.into_dyn())
        .with("cam", merged.cam.into_dyn())
        .with("high_res", merged.high_res.into_dyn())
}

/// What the store holds of an image's CAMs.
pub struct Stored {
    /// Classes, 0-based, ascending.
    pub keys: Vec<usize>,
    /// The record; `cam` and `high_res` are read from it.
    pub record: Record,
    /// Whether the network named the classes, for want of a label.
    pub predicted: bool,
}

/// Reads an image's CAMs.
///
/// # Errors
/// An image without CAMs, a damaged store.
pub fn read(context: &Context, name: &str) -> Result<Stored> {
    let record = context
        .store
        .read(Stage::Cam, name)
        .with_context(|| format!("no CAMs of {name}"))
        .hint("make them first: irn-infer cam")?;
    let keys = keys_of(&record)?;
    let predicted = record.text("classes").is_ok_and(|how| how == PREDICTED);
    Ok(Stored { keys, record, predicted })
}

/// The class numbers of a record.
///
/// # Errors
/// A record without them.
pub fn keys_of(record: &Record) -> Result<Vec<usize>> {
    let keys = record.i64::<ndarray::Ix1>("keys")?;
    keys.iter().map(|&key| usize::try_from(key).context("a negative class number")).collect()
}
