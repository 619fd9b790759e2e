//! CAMs of all images, multi-scale and mirrored: upstream's `step/make_cam.py`.

use anyhow::{Context as _, Result, anyhow};
use ndarray::Array3;
use serde_json::json;

use super::{Context, Outcome};
use crate::data::dataset::{Dataset, Item};
use crate::data::npy;
use crate::data::photo::read_photo;
use crate::data::resize;
use crate::error::Hint;
use crate::label::{MergedCam, merge};
use crate::runtime::{CamModel, cam_pair};
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

/// The CAMs of the classes `keys` in a scaled photo.
///
/// # Errors
/// Those of ONNX Runtime.
pub fn maps(model: &mut CamModel, scaled: &Scaled, keys: &[usize]) -> Result<MergedCam> {
    let maps: Vec<Array3<f32>> =
        scaled.images.iter().map(|image| cam_pair(model, image.view())).collect::<Result<_>>()?;
    merge(&maps, scaled.size, keys)
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

/// Makes the CAMs that the store lacks.
///
/// # Errors
/// No model, a store that can't be written, Ctrl-C. Single images that fail are skipped and listed.
pub fn run(context: &Context, set: &Dataset) -> Result<Outcome> {
    let config = &context.config;
    let mut model = model(context)?;
    let settings = json!({
        "scales": config.cam.scales,
        "normalisation": config.network.normalisation,
        "model": model.fingerprint(),
    });
    let npy_dir = config.cam.write_npy.then(|| context.dir("cam")).transpose()?;
    let prepare = |item: &Item| {
        let keys = item.classes.clone().ok_or_else(|| anyhow!("no class label for this image"))?;
        Ok((keys, scaled(context, item)?))
    };
    context.make(Stage::Cam, &settings, &set.items, prepare, |item, (keys, scaled)| {
        let merged = maps(&mut model, &scaled, &keys)?;
        if let Some(dir) = &npy_dir {
            let path = dir.join(format!("{}.npy", item.name));
            npy::write_cam(&path, &keys, merged.cam.view(), merged.high_res.view())?;
        }
        Ok(record(&keys, merged))
    })
}

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
    Ok(Stored { keys, record })
}

/// The class numbers of a record.
///
/// # Errors
/// A record without them.
pub fn keys_of(record: &Record) -> Result<Vec<usize>> {
    let keys = record.i64::<ndarray::Ix1>("keys")?;
    keys.iter().map(|&key| usize::try_from(key).context("a negative class number")).collect()
}
