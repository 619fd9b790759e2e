//! Settings of networks and training: `network.*`, `cam.train.*`, `irn.train.*`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::data::normalise::Normalisation;

/// Backbone, width and where the weights start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkConfig {
    /// `resnet18`, `resnet34`, `resnet50` or `resnet101`.
    pub backbone: String,
    /// Width factor; 1 is the original.
    pub width: f64,
    /// ImageNet weights (torchvision's names; safetensors or `.pth`). Without: a calibrated random
    /// start.
    pub weights: Option<PathBuf>,
    /// Whether IRNet starts from the trained CAM network's backbone instead of `weights`. The
    /// original starts from ImageNet; without ImageNet weights there is nothing better than the CAM's.
    pub irn_from_cam: bool,
    /// How many of the five parts (stem, layer 1-4) the CAM training leaves as they are.
    pub freeze_at: usize,
    /// Images that calibrate the normalisation of a random start.
    pub calibration_images: usize,
    /// Mean and standard deviation that photos are normalised by.
    pub normalisation: Normalisation,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            backbone: "resnet50".into(),
            width: 1.0,
            weights: None,
            irn_from_cam: false,
            freeze_at: 3,
            calibration_images: 64,
            normalisation: Normalisation::default(),
        }
    }
}

/// In what a training computes products; sums, norms, losses and the parameters are f32 in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainPrecision {
    /// 32 bits, as the original.
    #[default]
    F32,
    /// 32 bits, of which a GPU multiplies the first 19 (TensorFloat-32). On a processor with a matrix unit the
    /// products of IRNet's frozen backbone are that unit's, within 4e-6 of their size; else f32.
    Tf32,
    /// Maps and filters in bfloat16 on a GPU; on the processor as `tf32`.
    Bf16,
}

impl TrainPrecision {
    /// Its name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        }
    }
}

/// What both trainings have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimConfig {
    /// Images a step; an incomplete last batch is dropped.
    pub batch: usize,
    /// Passes over the training list.
    pub epochs: usize,
    /// Initial rate of the base group; new layers learn ten times as fast.
    pub rate: f64,
    /// Weight decay of all trained parameters.
    pub weight_decay: f64,
    /// Momentum. Upstream passes the weight decay in its place (quirk Q1): absent means that.
    pub momentum: Option<f64>,
    /// Exponent of the rate's polynomial decay.
    pub power: f64,
    /// Side of the square crops, pixels.
    pub crop: usize,
    /// In what products are computed.
    pub precision: TrainPrecision,
}

impl OptimConfig {
    pub(super) fn upstream(batch: usize, epochs: usize) -> Self {
        let (rate, weight_decay) = (0.1, 1e-4);
        let (power, precision) = (0.9, TrainPrecision::F32);
        Self { batch, epochs, rate, weight_decay, momentum: None, power, crop: 512, precision }
    }
}

impl Default for OptimConfig {
    fn default() -> Self {
        Self::upstream(16, 5)
    }
}
