//! The two networks with the peer's parameters, as Candle's and as ONNX files; and what they are fed.

use std::path::PathBuf;

use anyhow::{Context, Result};
use candle_core::Device;
use irn::data::normalise::Normalisation;
use irn::stage::cam;
use irn_export::{ModelInfo, NetworkKind, export_cam, export_irn};
use irn_models::voc::VOC_CLASSES;
use irn_models::{Backbone, CamNet, IrNet, Weights, checkpoint};
use ndarray::Ix4;

use super::inputs::{Inputs, alone, largest};
use super::measure::Measured;

/// The original's scales.
pub const SCALES: [f64; 4] = [1.0, 0.5, 1.5, 2.0];

fn resnet50() -> Result<Backbone> {
    Backbone::named("resnet50").context("resnet50 is a backbone")
}

/// The peer's parameters, or some from a seed: what is computed does not depend on them.
fn weights(inputs: &Inputs, file: &str) -> Result<Weights> {
    let path = inputs.path(file);
    if !path.exists() {
        return Ok(Weights::seeded(1, &Device::Cpu));
    }
    Ok(Weights::stored(checkpoint::load(&path)?.tensors, 1, &Device::Cpu))
}

/// The CAM network.
pub fn cam_net(inputs: &Inputs) -> Result<CamNet> {
    Ok(CamNet::new(&mut weights(inputs, "cam.pth")?, resnet50()?, 1.0, VOC_CLASSES.len())?)
}

/// IRNet.
pub fn irnet(inputs: &Inputs) -> Result<IrNet> {
    Ok(IrNet::new(&mut weights(inputs, "irn.pth")?, resnet50()?, 1.0)?)
}

/// Where the exported CAM network lies.
pub fn cam_model(inputs: &Inputs) -> PathBuf {
    inputs.path("cam.onnx")
}

/// Where the exported IRNet lies.
pub fn irn_model(inputs: &Inputs) -> PathBuf {
    inputs.path("irn.onnx")
}

/// Writes both models.
pub fn export(inputs: &Inputs) -> Result<()> {
    let classes = VOC_CLASSES.map(String::from).to_vec();
    let info = |kind, classes| ModelInfo::new(kind, "resnet50", 1.0, classes);
    let cam = export_cam(&cam_net(inputs)?, &info(NetworkKind::Cam, classes))?;
    fs_err::write(cam_model(inputs), cam)?;
    let irn = export_irn(&irnet(inputs)?, &info(NetworkKind::Irn, Vec::new()))?;
    Ok(fs_err::write(irn_model(inputs), irn)?)
}

/// Resizing, normalising and mirroring of one photo at all scales.
pub fn prepare(inputs: &Inputs, _threads: usize) -> Result<Measured> {
    let photo = inputs.photo()?;
    let normalisation = Normalisation::default();
    let run = || {
        let pair = |&scale: &f64| cam::pair(photo.view(), scale, &normalisation);
        SCALES.iter().map(pair).collect::<Result<Vec<_>>>()
    };
    Measured::of(11, run, |ours| {
        let mut said = Vec::new();
        for (i, ours) in ours.iter().enumerate() {
            let name = format!("cam_prep.pair{i}");
            if !inputs.has(&name) {
                return Ok(alone());
            }
            let theirs = inputs.maps::<Ix4>(&name)?;
            said.push(largest(&format!("scale {}: pixels", SCALES[i]), ours, &theirs));
        }
        Ok(said.join("; "))
    })
}
