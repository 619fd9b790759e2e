//! Training of IRNet on relation labels, then its mean displacement: upstream's `step/train_irn.py`.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor};
use irn_models::checkpoint;
use irn_models::{IrNet, Param};
use ndarray::{Array2, Array3};
use rand_chacha::ChaCha8Rng;

use super::Trained;
use super::fit::{self, Setting, Task, fit};
use super::machine::{self, Losses, Machine};
use super::network::{self, Files};
use super::optimizer::{Group, PolySgd};
use super::state;
use crate::config::Config;
use crate::data::augment::{irn_sample, top_left_sample};
use crate::data::dataset::{Dataset, Item};
use crate::data::photo::read_photo;
use crate::error::Hint;
use crate::overlap::{self, overlapped};
use crate::progress::Progress;
use crate::stage::ir_label;
use crate::store::Store;

struct IrnTask<'a> {
    net: &'a IrNet,
    items: Vec<&'a Item>,
    store: &'a Store,
    config: &'a Config,
    machine: Machine,
}

impl Task for IrnTask<'_> {
    /// The image and its relation label at a quarter of the size.
    type Sample = (Array3<f32>, Array2<u8>);

    fn name(&self) -> &'static str {
        "irn"
    }

    fn images(&self) -> usize {
        self.items.len()
    }

    fn image_name(&self, index: usize) -> &str {
        &self.items[index].name
    }

    fn sample(&self, index: usize, rng: &mut ChaCha8Rng) -> Result<Self::Sample> {
        let item = self.items[index];
        let photo = read_photo(&item.photo, self.config.data.exif)?;
        let label = ir_label::read(self.store, &item.name)?;
        let (crop, scale) = (self.config.irn.train.crop, self.config.irn.scale);
        let normalisation = &self.config.network.normalisation;
        Ok(irn_sample(photo.view(), label.view(), normalisation, rng, crop, scale))
    }

    fn machine(&self) -> &Machine {
        &self.machine
    }

    fn gradients(&self, batch: Vec<Self::Sample>) -> Result<(Losses, GradStore)> {
        let (photos, labels): (Vec<_>, Vec<_>) = batch.iter().map(|(x, label)| (x, label)).unzip();
        let (radius, classes) = (self.config.irn.radius, self.config.data.classes.len());
        self.machine.relation_step(self.net, &photos, &labels, radius, classes)
    }

    fn named(&self, losses: &[f32]) -> Vec<(&'static str, f32)> {
        let names = ["loss", "positive affinity", "negative affinity"];
        let names = names.into_iter().chain(["displacement foreground", "displacement background"]);
        names.zip([6, 2, 3, 4, 5].map(|at| losses[at])).collect()
    }
}

/// The groups of upstream's optimizer: boundary branch at the rate, displacement branch at ten times.
pub fn groups(net: &IrNet, rate: f64, weight_decay: f64) -> Vec<Group> {
    let (mut edge, mut displacement): (Vec<Param>, Vec<Param>) = Default::default();
    net.visit_edge(&mut |param| edge.push(param.clone()));
    net.visit_displacement(&mut |param| displacement.push(param.clone()));
    vec![
        Group::new(rate, weight_decay, &edge),
        Group::new(10.0 * rate, weight_decay, &displacement),
    ]
}

/// ImageNet weights as in the original, or the trained CAM network's backbone.
fn start(config: &Config, device: &Device) -> Result<IrNet> {
    let cam = Files::new(config, "cam").checkpoint;
    let path: &Path = match &config.network.weights {
        Some(path) if !config.network.irn_from_cam => path,
        _ => &cam,
    };
    let mut weights = network::weights_from(path, config.run.seed, device)?;
    let net = IrNet::new(&mut weights, network::backbone(config)?, config.network.width)
        .with_context(|| format!("failed to build IRNet with the weights of {}", path.display()))?;
    network::expect_backbone(&weights, path)?;
    Ok(net)
}

/// Trains IRNet on the store's relation labels and writes `irn.safetensors`; a finished training is
/// left alone unless `force`. Returns what came of it.
///
/// # Errors
/// Those of [`fit()`], no relation labels, wrong weights, an output directory that can't be written.
pub fn train_irn(
    config: &Config,
    dataset: &Dataset,
    store: &Store,
    force: bool,
) -> Result<Trained> {
    let files = Files::new(config, "irn");
    let optim = &config.irn.train;
    let metadata = network::metadata("irn", config, dataset, optim);
    if files.finished(&metadata, force)? {
        eprintln!("train irn: finished before ({})", files.checkpoint.display());
        return Ok(Trained::default());
    }
    let labelled = ir_label::names(store)?;
    let items: Vec<&Item> =
        dataset.items.iter().filter(|item| labelled.contains(&item.name)).collect();
    if items.is_empty() {
        return Err(anyhow!("the store has no relation label of a training image"))
            .hint("make them first: irn-infer ir-label");
    }
    let (machine, device) = machine::choose(config, optim.precision)?;
    eprintln!("train irn: device: {device}");
    let net = start(config, &machine.device())?;
    let params = network::params_of(|f| net.visit(&mut |param| f(param)));
    let steps = fit::steps_per_epoch("irn", items.len(), optim)? * optim.epochs;
    let momentum = optim.momentum.unwrap_or(optim.weight_decay);
    let groups = groups(&net, optim.rate, optim.weight_decay);
    let mut optimizer = PolySgd::new(groups, momentum, optim.power, steps);
    let task = IrnTask { net: &net, items, store, config, machine };
    let setting = Setting {
        optim,
        seed: config.run.seed,
        threads: config.run.thread_count(),
        log_dir: files.log.clone(),
        state: state::StateFile { path: files.state.clone(), metadata: metadata.clone(), params },
    };
    let skipped = fit(&task, &mut optimizer, &setting)?;
    let mean = mean_displacement(&task)?;
    net.mean_shift.var().set(&mean.to_device(&task.machine.device())?)?;
    checkpoint::save(&files.checkpoint, &state::tensors_of(&setting.state.params), &metadata)?;
    setting.state.remove()?;
    Ok(Trained { skipped, device })
}

/// The mean of the batches' mean displacements over the training images, cut or padded at the top left;
/// the padding counts and the incomplete last batch is dropped (quirk Q8).
fn mean_displacement(task: &IrnTask) -> Result<Tensor> {
    let (crop, batch) = (task.config.irn.train.crop, task.config.irn.train.batch);
    let pool = overlap::pool(task.config.run.thread_count())?;
    let mut progress = Progress::new("mean displacement", task.items.len(), "images");
    let read = |item: &Item| -> Result<Array3<f32>> {
        let photo = read_photo(&item.photo, task.config.data.exif)?;
        Ok(top_left_sample(photo.view(), &task.config.network.normalisation, crop))
    };
    let (mut images, mut means) = (Vec::with_capacity(batch), Vec::new());
    overlapped(&pool, 2 * batch, task.items.iter().copied(), read, |image| {
        progress.advance(1);
        // Unreadable photos were reported by the training.
        let Ok(image) = image else { return Ok(()) };
        images.push(image);
        if images.len() == batch {
            means.push(batch_mean(task, &images)?);
            images.clear();
        }
        Ok(())
    })?;
    progress.finish();
    let count = means.len().max(1) as f64;
    let sum = means.iter().fold([0f64; 2], |sum, mean| [sum[0] + mean[0], sum[1] + mean[1]]);
    Ok(Tensor::new(&[(sum[0] / count) as f32, (sum[1] / count) as f32], &Device::Cpu)?)
}

fn batch_mean(task: &IrnTask, images: &[Array3<f32>]) -> Result<[f64; 2]> {
    let photos: Vec<_> = images.iter().collect();
    let displacement = task.machine.displacement(task.net, &photos)?;
    let (n, c, h, w) = displacement.dims4()?;
    let values = displacement.flatten_all()?.to_vec1::<f32>()?;
    let mut mean = [0f64; 2];
    for (plane, values) in values.chunks_exact(h * w).enumerate() {
        mean[plane % c] += values.iter().map(|&v| f64::from(v)).sum::<f64>();
    }
    Ok(mean.map(|sum| sum / (n * h * w) as f64))
}
