//! Training of the CAM network: upstream's `step/train_cam.py`.

use anyhow::{Context, Result};
use candle_core::Device;
use candle_core::backprop::GradStore;
use irn_models::checkpoint;
use irn_models::{CamNet, Param, Weights};
use ndarray::Array3;
use rand_chacha::ChaCha8Rng;
use rayon::ThreadPool;

use super::Trained;
use super::fit::{self, Setting, Task, fit};
use super::machine::{self, Losses, Machine};
use super::network::{self, Files};
use super::optimizer::{Group, PolySgd};
use super::state;
use crate::config::Config;
use crate::data::augment::{cam_sample, top_left_sample};
use crate::data::dataset::{Dataset, Item};
use crate::data::photo::read_photo;
use crate::overlap::overlapped;

struct CamTask<'a> {
    net: &'a CamNet,
    items: Vec<&'a Item>,
    validation: Vec<&'a Item>,
    config: &'a Config,
    machine: Machine,
}

/// An image and its classes.
struct Sample {
    image: Array3<f32>,
    keys: Vec<usize>,
}

impl Task for CamTask<'_> {
    type Sample = Sample;

    fn name(&self) -> &'static str {
        "cam"
    }

    fn images(&self) -> usize {
        self.items.len()
    }

    fn image_name(&self, index: usize) -> &str {
        &self.items[index].name
    }

    fn sample(&self, index: usize, rng: &mut ChaCha8Rng) -> Result<Sample> {
        let item = self.items[index];
        let photo = read_photo(&item.photo, self.config.data.exif)?;
        let (crop, normalisation) =
            (self.config.cam.train.crop, &self.config.network.normalisation);
        let long_side = self.config.cam.long_side;
        let image = cam_sample(photo.view(), normalisation, rng, crop, long_side);
        Ok(Sample { image, keys: item.classes.clone().unwrap_or_default() })
    }

    fn machine(&self) -> &Machine {
        &self.machine
    }

    fn gradients(&self, batch: Vec<Sample>) -> Result<(Losses, GradStore)> {
        let (photos, keys) = parts(&batch);
        self.machine.class_step(self.net, &photos, &keys, self.config.data.classes.len())
    }

    fn named(&self, losses: &[f32]) -> Vec<(&'static str, f32)> {
        vec![("loss", losses[0])]
    }

    fn validate(&self, pool: &ThreadPool) -> Result<Option<f64>> {
        let (mut sum, mut count) = (0.0, 0usize);
        let classes = self.config.data.classes.len();
        let prepare = |item: &Item| self.validation_sample(item);
        overlapped(pool, 8, self.validation.iter().copied(), prepare, |sample| {
            // An unreadable validation photo is left out of the mean and named once per epoch.
            match sample {
                Ok(sample) => {
                    let batch = [sample];
                    let (photos, keys) = parts(&batch);
                    let loss = self.machine.class_loss(self.net, &photos, &keys, classes)?;
                    sum += f64::from(loss);
                    count += 1;
                }
                Err(error) => eprintln!("warning: left out of the validation: {error:#}"),
            }
            Ok(())
        })?;
        Ok((count > 0).then(|| sum / count as f64))
    }
}

impl CamTask<'_> {
    fn validation_sample(&self, item: &Item) -> Result<Sample> {
        let photo = read_photo(&item.photo, self.config.data.exif)?;
        let (crop, normalisation) =
            (self.config.cam.train.crop, &self.config.network.normalisation);
        let image = top_left_sample(photo.view(), normalisation, crop);
        Ok(Sample { image, keys: item.classes.clone().unwrap_or_default() })
    }
}

/// The photos and their classes.
fn parts(batch: &[Sample]) -> (Vec<&Array3<f32>>, Vec<&[usize]>) {
    batch.iter().map(|sample| (&sample.image, sample.keys.as_slice())).unzip()
}

/// The groups of upstream's optimizer: the backbone at the rate, the classifier at ten times it.
pub fn groups(net: &CamNet, rate: f64, weight_decay: f64) -> Vec<Group> {
    let mut backbone: Vec<Param> = Vec::new();
    net.resnet.visit(&mut |param| backbone.push(param.clone()));
    vec![
        Group::new(rate, weight_decay, &backbone),
        Group::new(10.0 * rate, weight_decay, [&net.classifier.weight]),
    ]
}

/// The CAM network of a checkpoint, complete.
///
/// # Errors
/// A file that is no CAM checkpoint of these settings.
pub fn build(config: &Config, weights: &mut Weights) -> Result<CamNet> {
    let backbone = network::backbone(config)?;
    let (width, classes) = (config.network.width, config.data.classes.len());
    CamNet::frozen_at(weights, backbone, width, classes, config.network.freeze_at)
        .context("failed to build the CAM network")
}

/// The network on `device`; a random start is calibrated on the processor.
fn start(config: &Config, dataset: &Dataset, device: &Device) -> Result<CamNet> {
    let seed = config.run.seed;
    let Some(path) = &config.network.weights else {
        let net = build(config, &mut Weights::seeded(seed, &Device::Cpu))?;
        network::calibrate_on(&net.resnet, dataset, config)?;
        if device.is_cpu() {
            return Ok(net);
        }
        let started = state::tensors_of(&network::params_of(|f| net.visit(&mut |param| f(param))));
        return build(config, &mut Weights::stored(started, seed, device));
    };
    let mut weights = network::weights_from(path, seed, device)?;
    let net = build(config, &mut weights)
        .with_context(|| format!("with the weights of {}", path.display()))?;
    network::expect_backbone(&weights, path)?;
    Ok(net)
}

/// Trains the CAM network and writes `cam.safetensors`; a finished training is left alone unless
/// `force`. Returns what came of it.
///
/// # Errors
/// Those of [`fit()`], wrong weights, an output directory that can't be written.
pub fn train_cam(
    config: &Config,
    dataset: &Dataset,
    validation: Option<&Dataset>,
    force: bool,
) -> Result<Trained> {
    let files = Files::new(config, "cam");
    let optim = &config.cam.train;
    let metadata = network::metadata("cam", config, dataset, optim);
    if files.finished(&metadata, force)? {
        eprintln!("train cam: finished before ({})", files.checkpoint.display());
        return Ok(Trained::default());
    }
    fs_err::create_dir_all(&config.run.out)?;
    let labelled = |item: &&Item| item.classes.is_some();
    let items: Vec<&Item> = dataset.items.iter().filter(labelled).collect();
    let validation =
        validation.map_or(Vec::new(), |set| set.items.iter().filter(labelled).collect());
    let (machine, device) = machine::choose(config, optim.precision)?;
    eprintln!("train cam: device: {device}");
    let net = start(config, dataset, &machine.device())?;
    let params = network::params_of(|f| net.visit(&mut |param| f(param)));
    let steps = fit::steps_per_epoch("cam", items.len(), optim)? * optim.epochs;
    let momentum = optim.momentum.unwrap_or(optim.weight_decay);
    let groups = groups(&net, optim.rate, optim.weight_decay);
    let mut optimizer = PolySgd::new(groups, momentum, optim.power, steps);
    let task = CamTask { net: &net, items, validation, config, machine };
    let setting = Setting {
        optim,
        seed: config.run.seed,
        threads: config.run.thread_count(),
        log_dir: files.log.clone(),
        state: state::StateFile { path: files.state.clone(), metadata: metadata.clone(), params },
    };
    let skipped = fit(&task, &mut optimizer, &setting)?;
    checkpoint::save(&files.checkpoint, &state::tensors_of(&setting.state.params), &metadata)?;
    setting.state.remove()?;
    Ok(Trained { skipped, device })
}
