//! Settings of the stages: `cam.*`, `ir_label.*`, `irn.*`, `sem_seg.*`, `ins_seg.*`, `scores.*`, and of what
//! follows them: `eval.*`, `onnx.*`, `coco.*`.

use serde::{Deserialize, Serialize};

use super::OptimConfig;
use crate::label::crf::CrfSettings;

/// The CAM network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CamConfig {
    /// Training.
    pub train: OptimConfig,
    /// Smallest and largest long side of a training photo, inclusive.
    pub long_side: [usize; 2],
    /// Scales of the photo whose maps are summed, each together with its mirror image.
    pub scales: Vec<f64>,
    /// Background threshold of `eval cam`.
    pub eval_threshold: f32,
    /// Class probability above which an unlabelled photo is said to show a class.
    pub class_threshold: f32,
    /// Write `cam/NAME.npy` files in upstream's layout besides the store.
    pub write_npy: bool,
}

impl Default for CamConfig {
    fn default() -> Self {
        Self {
            train: OptimConfig::upstream(16, 5),
            long_side: [320, 640],
            scales: vec![1.0, 0.5, 1.5, 2.0],
            eval_threshold: 0.15,
            class_threshold: 0.5,
            write_npy: false,
        }
    }
}

/// Relation labels: two thresholds, each followed by a dense CRF.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IrLabelConfig {
    /// Above it a pixel is confidently foreground.
    pub conf_fg: f32,
    /// Below it a pixel is confidently background.
    pub conf_bg: f32,
    /// The dense CRF.
    pub crf: CrfSettings,
}

impl Default for IrLabelConfig {
    fn default() -> Self {
        Self { conf_fg: 0.30, conf_bg: 0.05, crf: CrfSettings::default() }
    }
}

/// IRNet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IrnConfig {
    /// Training.
    pub train: OptimConfig,
    /// Smallest and largest scale of a training photo.
    pub scale: [f64; 2],
    /// Radius of the pixel pairs, cells of stride 4.
    pub radius: usize,
    /// Side that photos are padded to at inference (GroupNorm sees the padding).
    pub pad: usize,
}

impl Default for IrnConfig {
    fn default() -> Self {
        Self { train: OptimConfig::upstream(32, 3), scale: [0.5, 1.5], radius: 10, pad: 512 }
    }
}

/// Semantic masks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SemSegConfig {
    /// Background threshold on the normalised walk result.
    pub background: f32,
    /// Exponent applied to the CAMs before the walk (1 in the original).
    pub cam_power: f32,
}

impl Default for SemSegConfig {
    fn default() -> Self {
        Self { background: 0.25, cam_power: 1.0 }
    }
}

/// Instance masks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InsSegConfig {
    /// Background threshold on the normalised walk result.
    pub background: f32,
    /// Write `ins_seg/NAME.npy` files in upstream's layout besides the store.
    pub write_npy: bool,
}

impl Default for InsSegConfig {
    fn default() -> Self {
        Self { background: 0.25, write_npy: true }
    }
}

/// Score maps and confidence masks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScoresConfig {
    /// By how much the label of a pixel must lead (background counts with its threshold) to be sure.
    pub margin: f32,
}

impl Default for ScoresConfig {
    fn default() -> Self {
        Self { margin: 0.1 }
    }
}

/// Evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvalConfig {
    /// Class names the means are taken over (with background for mIoU); all where empty.
    pub classes: Vec<String>,
    /// Background thresholds of the sweep: first, last, step.
    pub sweep: [f32; 3],
    /// IoU thresholds of the instance AP.
    pub ap_iou: Vec<f32>,
    /// Use VOC 2007's eleven-point AP.
    pub voc2007: bool,
    /// Evaluate instance masks as COCO does, too; COCO data sets always are.
    pub coco: bool,
}

impl Default for EvalConfig {
    fn default() -> Self {
        Self {
            classes: Vec::new(),
            sweep: [0.05, 0.6, 0.05],
            ap_iou: vec![0.25, 0.5, 0.7, 0.75],
            voc2007: false,
            coco: false,
        }
    }
}

/// The comparison of an exported model with Candle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OnnxConfig {
    /// Largest difference allowed, relative to the output's largest magnitude.
    pub tolerance: f64,
    /// `[batch, height, width]` of every comparison.
    pub sizes: Vec<[usize; 3]>,
}

impl Default for OnnxConfig {
    fn default() -> Self {
        Self { tolerance: 1e-4, sizes: vec![[1, 64, 64], [1, 65, 97], [2, 33, 129], [2, 80, 50]] }
    }
}

/// The COCO annotation file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CocoConfig {
    /// Write half-pixel polygons instead of RLE (holes are lost).
    pub polygons: bool,
    /// Masks below this score are left out; fragments have score 0.
    pub min_score: f32,
}

impl Default for CocoConfig {
    fn default() -> Self {
        Self { polygons: false, min_score: 1e-6 }
    }
}
