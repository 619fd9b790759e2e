//! One training step of either network: forward, loss, backward, optimizer; batch 4.

use anyhow::Result;
use candle_core::{Device, Tensor};
use irn::config::TrainPrecision;
use irn::train::machine::Machine;
use irn::train::optimizer::PolySgd;
use irn::train::{cam as cam_training, irn as irn_training};
use irn_models::tape::Processor;
use ndarray::ArrayD;

use super::inputs::{Inputs, alone};
use super::measure::Measured;
use super::networks::{cam_net, irnet};

const RATE: f64 = 0.01;
const WEIGHT_DECAY: f64 = 1e-4;
const STEPS: usize = 10_000;

fn tensor(array: &ArrayD<f32>) -> Result<Tensor> {
    let values: Vec<f32> = array.iter().copied().collect();
    Ok(Tensor::from_vec(values, array.shape(), &Device::Cpu)?)
}

/// Four pictures of noise.
fn noise(crop: usize) -> Result<Tensor> {
    Ok(Tensor::randn(0f32, 1f32, (4, 3, crop, crop), &Device::Cpu)?)
}

/// The loss before the first step beside the peer's.
fn said(inputs: &Inputs, stage: &str, ours: f32) -> Result<String> {
    let name = format!("{stage}.loss");
    if !inputs.has(&name) {
        return Ok(alone());
    }
    let theirs = inputs.f32(&name)?[[0]];
    Ok(format!("first loss {ours:.7}, the peer's {theirs:.7}"))
}

/// The classifier on crops of `crop` pixels.
pub fn cam(inputs: &Inputs, crop: usize) -> Result<Measured> {
    let stage = format!("cam_train_{crop}");
    let net = cam_net(inputs)?;
    let (image, label) = if inputs.has(&format!("{stage}.x")) {
        let read = |name: &str| inputs.f32(&format!("{stage}.{name}"));
        (tensor(&read("x")?)?, tensor(&read("y")?)?)
    } else {
        let label: Vec<f32> = (0..80).map(|at| f32::from(at % 11 == 0)).collect();
        (noise(crop)?, Tensor::from_vec(label, (4, 20), &Device::Cpu)?)
    };
    let groups = cam_training::groups(&net, RATE, WEIGHT_DECAY);
    let mut optimizer = PolySgd::new(groups, WEIGHT_DECAY, 0.9, STEPS);
    let engine = Processor::default();
    let step = || {
        let step = net.class_gradients(&engine, &image, &label)?;
        optimizer.step(&step.gradients, &Machine::processor(TrainPrecision::F32))?;
        Ok(step.loss)
    };
    Measured::of(if crop > 300 { 3 } else { 5 }, step, |loss| said(inputs, &stage, loss))
}

/// IRNet on crops of 512 pixels.
pub fn irn(inputs: &Inputs) -> Result<Measured> {
    irn_by(inputs, &Processor::default())
}

/// The same with `irn.train.precision: tf32`.
pub fn irn_tf32(inputs: &Inputs) -> Result<Measured> {
    irn_by(inputs, &Processor::frozen())
}

fn irn_by(inputs: &Inputs, engine: &Processor) -> Result<Measured> {
    let net = irnet(inputs)?;
    let (image, label) = if inputs.has("irn_train_512.x") {
        let label = inputs.bytes("irn_train_512.label")?;
        let (shape, values) = (label.shape().to_vec(), label.iter().copied().collect::<Vec<u8>>());
        (tensor(&inputs.f32("irn_train_512.x")?)?, Tensor::from_vec(values, shape, &Device::Cpu)?)
    } else {
        let label =
            (0..4 * 128 * 128).map(|at| if at % 5 == 0 { 255 } else { (at / 40 % 4) as u8 });
        let label = Tensor::from_vec(label.collect::<Vec<u8>>(), (4, 128, 128), &Device::Cpu)?;
        (noise(512)?, label)
    };
    let groups = irn_training::groups(&net, RATE, WEIGHT_DECAY);
    let mut optimizer = PolySgd::new(groups, WEIGHT_DECAY, 0.9, STEPS);
    let step = || {
        let (terms, gradients) = net.relation_gradients(engine, &image, &label, 10, 20)?;
        optimizer.step(&gradients, &Machine::processor(TrainPrecision::F32))?;
        Ok(terms.total.to_scalar::<f32>()?)
    };
    Measured::of(3, step, |loss| said(inputs, "irn_train_512", loss))
}
