//! CAMs of all images, multi-scale and mirrored: upstream's `step/make_cam.py`.

use anyhow::{Context as _, Result, ensure};
use ndarray::{Array3, Array4, ArrayView3};
use serde_json::json;

use super::classes::{self, Tally};
use super::{Context, Outcome};
use crate::data::dataset::{Dataset, Item};
use crate::data::normalise::Normalisation;
use crate::data::npy;
use crate::data::photo::read_photo;
use crate::data::resize;
use crate::error::Hint;
use crate::label::{MergedCam, merge};
use crate::runtime::{CamModel, SessionOptions, Workers, cam_maps, canvas};
use crate::store::{Record, Stage};

/// A photo at `scale`, normalised, with its mirror image: `[2, 3, h, w]`.
///
/// # Errors
/// A scale at which nothing is left of the photo.
pub fn pair(
    photo: ArrayView3<u8>,
    scale: f64,
    normalisation: &Normalisation,
) -> Result<Array4<f32>> {
    let rescaled = resize::rescale(photo, scale);
    ensure!(!rescaled.is_empty(), "at scale {scale} nothing is left of the photo");
    Ok(normalisation.pair(rescaled.view()))
}

/// What the network says of a photo: the maps of all classes at every scale, and the probability of each class at
/// the scale nearest to 1.
///
/// # Errors
/// Those of ONNX Runtime and of [`pair`].
pub fn activations(
    models: &Workers<CamModel>,
    photo: ArrayView3<u8>,
    scales: &[f64],
    normalisation: &Normalisation,
) -> Result<(Vec<Array3<f32>>, Vec<f32>)> {
    let at = |&scale: &f64| {
        let pair = pair(photo, scale, normalisation)?;
        cam_maps(&mut models.lend(), pair.view())
    };
    let (maps, mut logits): (Vec<_>, Vec<_>) =
        scales.iter().map(at).collect::<Result<Vec<_>>>()?.into_iter().unzip();
    let from_one = |at: &usize| (scales[*at] - 1.0).abs();
    let nearest = (0..logits.len()).min_by(|a, b| from_one(a).total_cmp(&from_one(b)));
    let logits = logits.swap_remove(nearest.context("cam.scales is empty")?);
    Ok((maps, classes::probabilities(logits)))
}

/// Opens the configured CAM model, once for each worker.
///
/// # Errors
/// A missing file, a model of another network or other classes.
pub fn models(context: &Context) -> Result<Workers<CamModel>> {
    let config = &context.config;
    let shapes = context.compute()?.shapes(config.cam.scales.len());
    let open = |options: &SessionOptions| {
        CamModel::open_with(&config.run.cam_model(), options, shapes, Some(&config.data.classes)).hint(
            "train and export the CAM network first (irn-train cam; irn-export onnx), or set run.cam_model",
        )
    };
    let models = Workers::open_each(context.compute()?.sessions(), open)?;
    context.compute()?.say(Stage::Cam, models.lend().info())?;
    Ok(models)
}

/// Makes the CAMs that the store lacks. The classes of photos without a label are predicted, which is said and
/// noted in the store.
///
/// # Errors
/// No model, a store that can't be written, Ctrl-C. Single images that fail are skipped and listed.
pub fn run(context: &Context, set: &Dataset) -> Result<Outcome> {
    let config = &context.config;
    let models = models(context)?;
    let threshold = config.cam.class_threshold;
    let settings = json!({
        "scales": config.cam.scales,
        "normalisation": config.network.normalisation,
        "class_threshold": threshold,
        "model": models.lend().fingerprint(),
    });
    let settings = context.compute()?.with_precision(settings);
    let npy_dir = config.cam.write_npy.then(|| context.dir("cam")).transpose()?;
    let (trained_on, mut tally) = (classes::trained_on(context), Tally::default());
    let prepare = |item: &Item| {
        let photo = read_photo(&item.photo, config.data.exif)?;
        let (scales, normalisation) = (&config.cam.scales, &config.network.normalisation);
        let (maps, probabilities) = activations(&models, photo.view(), scales, normalisation)?;
        let keys = match &item.classes {
            Some(given) => given.clone(),
            None => classes::predicted(&probabilities, threshold),
        };
        let merged = merge(&maps, (photo.dim().0, photo.dim().1), &keys)?;
        if let Some(dir) = &npy_dir {
            let path = dir.join(format!("{}.npy", item.name));
            npy::write_cam(&path, &keys, merged.cam.view(), merged.high_res.view())?;
        }
        let mut record = record(&keys, merged);
        record.insert("probability", ndarray::Array1::from_vec(probabilities.clone()));
        let how = if item.classes.is_some() { GIVEN } else { PREDICTED };
        record.insert_text("classes", how);
        Ok((record, probabilities))
    };
    let count = |item: &Item, (record, probabilities): (Record, Vec<f32>)| {
        if let Some(given) = item.classes.as_ref().filter(|_| !trained_on.contains(&item.name)) {
            tally.add(&probabilities, given, threshold);
        }
        Ok(record)
    };
    let items = context.compute()?.gathered(&set.items, config.data.exif, |size| {
        let at = |&scale: &f64| scaled_canvas(size, scale);
        config.cam.scales.iter().map(at).collect::<Vec<_>>()
    });
    let outcome = context.make(Stage::Cam, &settings, &items, prepare, count)?;
    classes::report(context, set, &tally)?;
    Ok(outcome)
}

/// The canvas of a photo at `scale`.
fn scaled_canvas(size: (usize, usize), scale: f64) -> (usize, usize) {
    let (h, w) = resize::scaled_size(size, scale);
    (canvas(h), canvas(w))
}

/// What a record says of where its classes come from.
const GIVEN: &str = "given";
const PREDICTED: &str = "predicted";

/// A record of CAMs.
pub(super) fn record(keys: &[usize], merged: MergedCam) -> Record {
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
