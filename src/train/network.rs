//! Where the networks start: ImageNet weights, a trained CAM network's backbone, or a random start
//! whose normalisation is calibrated on the data.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use candle_core::Device;
use irn_models::checkpoint::{self, Metadata};
use irn_models::{Backbone, Param, ResNet, Weights, calibrate};
use serde_json::json;

use super::samples;
use crate::config::{Config, OptimConfig, TrainPrecision};
use crate::data::augment::{cam_sample, sample_rng};
use crate::data::dataset::Dataset;
use crate::data::photo::read_photo;
use crate::error::Hint;

/// The configured backbone.
///
/// # Errors
/// A name that is no backbone.
pub fn backbone(config: &Config) -> Result<Backbone> {
    let name = &config.network.backbone;
    Backbone::named(name)
        .ok_or_else(|| anyhow!("network.backbone is '{name}'"))
        .hint("there are resnet18, resnet34, resnet50 and resnet101")
}

/// The tensors of `path` as a source of parameters on `device`.
///
/// # Errors
/// A file that is no checkpoint.
pub fn weights_from(path: &Path, seed: u64, device: &Device) -> Result<Weights> {
    let loaded = checkpoint::load(path)?;
    Ok(Weights::stored(loaded.tensors, seed, device))
}

/// Fails when the backbone was not found whole in the weights.
///
/// # Errors
/// Names the first missing parameter.
pub fn expect_backbone(weights: &Weights, path: &Path) -> Result<()> {
    match weights.missing.iter().find(|name| name.starts_with("resnet50.")) {
        None => Ok(()),
        Some(name) => Err(anyhow!("{} lacks {name}", path.display()))
            .hint("network.backbone and network.width must be those of the weights"),
    }
}

/// Sets the normalisation of a random start to the statistics of training samples.
///
/// # Errors
/// No readable photo.
pub fn calibrate_on(resnet: &ResNet, dataset: &Dataset, config: &Config) -> Result<()> {
    let train = &config.cam.train;
    let mut batch = Vec::new();
    for (index, item) in dataset.items.iter().enumerate() {
        if batch.len() >= config.network.calibration_images {
            break;
        }
        // An unreadable photo is reported by the training itself.
        let Ok(photo) = read_photo(&item.photo, config.data.exif) else { continue };
        let mut rng = sample_rng(config.run.seed, u64::MAX, index as u64);
        let (normalisation, long_side) = (&config.network.normalisation, config.cam.long_side);
        batch.push(cam_sample(photo.view(), normalisation, &mut rng, train.crop, long_side));
    }
    if batch.is_empty() {
        return Err(anyhow!("no readable photo to calibrate on")).hint("look at data.root");
    }
    eprintln!("calibrating the random start's normalisation on {} photos", batch.len());
    let images = samples::images(&batch.iter().collect::<Vec<_>>(), &Device::Cpu)?;
    calibrate(resnet, &images).context("failed to calibrate")
}

/// What a checkpoint says about itself; `settings` decides whether a training goes on or is finished.
pub fn metadata(
    network: &str,
    config: &Config,
    dataset: &Dataset,
    train: &OptimConfig,
) -> Metadata {
    let mut training = json!(train);
    if let (TrainPrecision::F32, Some(training)) = (train.precision, training.as_object_mut()) {
        // As it was before there was a choice: such trainings are gone on with.
        training.remove("precision");
    }
    let names: Vec<&str> = dataset.items.iter().map(|item| item.name.as_str()).collect();
    Metadata {
        network: network.into(),
        backbone: config.network.backbone.clone(),
        width: config.network.width,
        classes: config.data.classes.clone(),
        mean: config.network.normalisation.mean,
        std: config.network.normalisation.std,
        settings: json!({
            "network": config.network,
            "train": training,
            "long_side": config.cam.long_side,
            "irn_scale": config.irn.scale,
            "radius": config.irn.radius,
            "seed": config.run.seed,
            "images": names.len(),
            "list_crc32": crc32fast::hash(names.join("\n").as_bytes()),
        }),
        ..Metadata::default()
    }
}

/// Files of a training below the output directory.
pub struct Files {
    /// The final checkpoint.
    pub checkpoint: PathBuf,
    /// The resumable state.
    pub state: PathBuf,
    /// The exported model.
    pub onnx: PathBuf,
    /// The log directory.
    pub log: PathBuf,
}

impl Files {
    /// The files of `network` (`cam` or `irn`).
    pub fn new(config: &Config, network: &str) -> Self {
        let out = &config.run.out;
        Self {
            checkpoint: out.join(format!("{network}.safetensors")),
            state: out.join(format!("{network}.state.safetensors")),
            onnx: out.join(format!("{network}.onnx")),
            log: out.join("log"),
        }
    }

    /// Whether a training with these settings has ended here; `force` forgets whatever is there.
    ///
    /// # Errors
    /// A finished training of other settings.
    pub fn finished(&self, metadata: &Metadata, force: bool) -> Result<bool> {
        if force {
            for file in [&self.state, &self.checkpoint, &self.onnx] {
                if file.exists() {
                    fs_err::remove_file(file)?;
                }
            }
            return Ok(false);
        }
        if !self.checkpoint.exists() {
            return Ok(false);
        }
        let there = checkpoint::load(&self.checkpoint)?.metadata.unwrap_or_default();
        if there.settings == metadata.settings {
            return Ok(true);
        }
        let path = self.checkpoint.display();
        Err(anyhow!("{path} is a training with other settings"))
            .hint("choose another run.out, or train again with --force")
    }
}

/// Clones of all parameters (they share their values with the network).
pub fn params_of(visit: impl FnOnce(&mut dyn FnMut(&Param))) -> Vec<Param> {
    let mut params = Vec::new();
    visit(&mut |param| params.push(param.clone()));
    params
}

/// Writes a random backbone whose normalisation is calibrated on the training images, as weights to
/// start from.
///
/// # Errors
/// No readable photo, a file that can't be written.
pub fn calibrate_to(config: &Config, dataset: &Dataset, path: &Path) -> Result<()> {
    let mut weights = Weights::seeded(config.run.seed, &Device::Cpu);
    let resnet = ResNet::new(&mut weights, "resnet50", backbone(config)?, config.network.width, 0)?;
    calibrate_on(&resnet, dataset, config)?;
    let params = params_of(|f| resnet.visit(&mut |param| f(param)));
    let metadata = metadata("backbone", config, dataset, &config.cam.train);
    checkpoint::save(path, &super::state::tensors_of(&params), &metadata)?;
    eprintln!("wrote {}", path.display());
    Ok(())
}
