//! A training step on the GPU: photos copied, forward, loss, backward, descent; as `irn-train` launches it.

use std::time::Instant;

use anyhow::{Context, Result};
use candle_core::backprop::GradStore;
use candle_core::{CudaDevice, Device, Tensor};
use irn_models::cuda::{Batch, CudaEngine, Precision};
use irn_models::ops::sgd::Update;
use irn_models::resnet::BACKBONES;
use irn_models::{CamNet, IrNet, Param, Weights};
use serde_json::{Map, Value, json};

use crate::{Ours, median};

const BATCH: usize = 16;
const CROP: usize = 512;
const CLASSES: usize = 20;
const STEPS: usize = 20;
const WARM: usize = 5;

fn start(precision: Precision) -> Result<(Device, CudaEngine)> {
    let device = Device::new_cuda_with_stream(0)?;
    let cuda: &CudaDevice = device.as_cuda_device()?;
    let engine = CudaEngine::new(cuda, precision)?;
    Ok((device, engine))
}

/// Noise: what is computed does not depend on what is seen.
fn photos() -> Result<Vec<Vec<f32>>> {
    let photo = || {
        let noise = Tensor::randn(0f32, 1f32, 3 * CROP * CROP, &Device::Cpu)?;
        Ok(noise.to_vec1()?)
    };
    (0..BATCH).map(|_| photo()).collect()
}

/// The parameters that have gradients, with momenta.
fn with_momenta(params: Vec<Param>) -> Result<Vec<(Param, Tensor)>> {
    let params = params.into_iter().filter(Param::trainable);
    params.map(|param| Ok((param.clone(), param.var().as_tensor().zeros_like()?))).collect()
}

fn descend(engine: &CudaEngine, params: &[(Param, Tensor)], gradients: &GradStore) -> Result<()> {
    let updates: Vec<Update> = params
        .iter()
        .filter_map(|(param, buffer)| {
            let gradient = gradients.get(param.var())?;
            let parameter = param.var();
            Some(Update { parameter, gradient, buffer, rate: 0.01, decay: 1e-4 })
        })
        .collect();
    Ok(engine.descend(&updates, 1e-4)?)
}

fn measured(engine: &CudaEngine, mut step: impl FnMut() -> Result<()>) -> Result<Ours> {
    let mut seconds = Vec::new();
    for run in 0..WARM + STEPS {
        engine.wait()?;
        let start = Instant::now();
        step()?;
        engine.wait()?;
        if run >= WARM {
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    let mut failed = None;
    let (_, times) = engine.profiled(|| {
        failed = step().err();
        Ok(())
    })?;
    if let Some(error) = failed {
        return Err(error).context("the profiled step");
    }
    let profile: Map<String, Value> =
        times.into_iter().map(|(name, (ms, count))| (name, json!([ms, count]))).collect();
    let peak_mib = engine.peak().map(|bytes| bytes as f64 / f64::from(1 << 20));
    Ok(Ours { seconds: median(seconds), peak_mib, profile: profile.into() })
}

/// The classifier.
pub fn cam(precision: Precision) -> Result<Ours> {
    let (device, engine) = start(precision)?;
    let net = CamNet::new(&mut Weights::seeded(0, &device), BACKBONES[2], 1.0, CLASSES)?;
    let mut params = Vec::new();
    net.visit(&mut |param| params.push(param.clone()));
    let params = with_momenta(params)?;
    let photos = photos()?;
    let images: Vec<&[f32]> = photos.iter().map(Vec::as_slice).collect();
    let targets: Vec<f32> =
        (0..BATCH * CLASSES).map(|at| f32::from(u8::from(at % 11 == 0))).collect();
    measured(&engine, || {
        let batch = Batch { images: &images, size: (CROP, CROP) };
        let (_loss, gradients) = engine.class_step(&net, batch, &targets)?;
        descend(&engine, &params, &gradients)
    })
}

/// IRNet.
pub fn irn(precision: Precision) -> Result<Ours> {
    let (device, engine) = start(precision)?;
    let net = IrNet::new(&mut Weights::seeded(0, &device), BACKBONES[2], 1.0)?;
    let mut params = Vec::new();
    net.visit_edge(&mut |param| params.push(param.clone()));
    net.visit_displacement(&mut |param| params.push(param.clone()));
    let params = with_momenta(params)?;
    let photos = photos()?;
    let images: Vec<&[f32]> = photos.iter().map(Vec::as_slice).collect();
    let cells = BATCH * (CROP / 4) * (CROP / 4);
    let label = |at: usize| if at.is_multiple_of(5) { 255 } else { (at / 40 % 4) as u8 };
    let label: Vec<u8> = (0..cells).map(label).collect();
    measured(&engine, || {
        let batch = Batch { images: &images, size: (CROP, CROP) };
        let (_losses, gradients) = engine.relation_step(&net, batch, &label, 10, CLASSES)?;
        descend(&engine, &params, &gradients)
    })
}
