//! Inference on the GPU by ONNX Runtime as the stages run it; and the random walk, which stays on the processor,
//! where it is hidden behind the network.

use std::time::Instant;

use anyhow::Result;
use candle_core::Device;
use irn::data::normalise::Normalisation;
use irn::label::{Walk, merge, random_walk};
use irn::runtime::{CamModel, IrnModel, Padding, Workers, irn_relations};
use irn::stage::cam;
use irn_export::device::Place;
use irn_export::{ModelInfo, NetworkKind, SessionOptions, export_cam, export_irn};
use irn_models::cuda::Precision;
use irn_models::resnet::BACKBONES;
use irn_models::voc::VOC_CLASSES;
use irn_models::{CamNet, IrNet, Weights};
use ndarray::{Array2, Array3};
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::{Ours, median};

const RUNS: usize = 20;
/// The peer's photo.
const SIZE: (usize, usize) = (375, 500);

fn photo() -> Array3<u8> {
    let pixel =
        |(y, x, c): (usize, usize, usize)| ((y * 7 + x * 3 + c * 50 + y * x / 97) % 256) as u8;
    Array3::from_shape_fn((SIZE.0, SIZE.1, 3), pixel)
}

fn options(precision: Precision) -> SessionOptions {
    SessionOptions {
        threads: 2,
        place: Place::Cuda(0),
        tf32: precision == Precision::Tf32,
        bound: true,
        ..SessionOptions::default()
    }
}

fn written(model: &[u8]) -> Result<NamedTempFile> {
    let file = NamedTempFile::new()?;
    fs_err::write(file.path(), model)?;
    Ok(file)
}

fn measured<T>(mut work: impl FnMut() -> Result<T>) -> Result<Ours> {
    work()?;
    let mut seconds = Vec::new();
    for _ in 0..RUNS {
        let start = Instant::now();
        work()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    Ok(Ours { seconds: median(seconds), peak_mib: None, profile: Value::Null })
}

/// CAMs of a photo at four scales, mirrored, and their merging.
pub fn cam(precision: Precision) -> Result<Ours> {
    let classes = VOC_CLASSES.map(String::from).to_vec();
    let mut weights = Weights::seeded(1, &Device::Cpu);
    let net = CamNet::new(&mut weights, BACKBONES[2], 1.0, classes.len())?;
    let info = ModelInfo::new(NetworkKind::Cam, "resnet50", 1.0, classes);
    let file = written(&export_cam(&net, &info)?)?;
    let scales = [1.0, 0.5, 1.5, 2.0];
    let workers = Workers::open(1, |_| {
        CamModel::open_with(file.path(), &options(precision), scales.len(), None)
    })?;
    let (photo, normalisation) = (photo(), Normalisation::default());
    measured(|| {
        let (maps, _) = cam::activations(&workers, photo.view(), &scales, &normalisation)?;
        merge(&maps, SIZE, &[3, 14])
    })
}

/// Boundaries and displacements of a photo, mirrored.
pub fn irn(precision: Precision) -> Result<Ours> {
    let net = IrNet::new(&mut Weights::seeded(1, &Device::Cpu), BACKBONES[2], 1.0)?;
    let info = ModelInfo::new(NetworkKind::Irn, "resnet50", 1.0, Vec::new());
    let file = written(&export_irn(&net, &info)?)?;
    let mut model = IrnModel::open_with(file.path(), &options(precision))?;
    let pair = Normalisation::default().pair(photo().view());
    measured(|| irn_relations(&mut model, &pair, Padding { crop: 512, compat: false }))
}

/// Ten maps of 94 x 125 cells along a boundary map.
pub fn walk(_precision: Precision) -> Result<Ours> {
    let noise = |at: usize| ((at * 7919 + at / 13 * 104_729) % 1000) as f32 / 1000.0;
    let maps = Array3::from_shape_fn((10, 94, 125), |(c, y, x)| noise(c * 31 + y * 125 + x));
    let edge = Array2::from_shape_fn((94, 125), |(y, x)| noise(y * 131 + x).powi(3));
    measured(|| Ok(random_walk(maps.view(), edge.view(), &Walk::default())))
}
