//! Every setting with its default: the values of the paper and of upstream's `run_sample.py`.

use std::path::PathBuf;

use irn_models::voc::VOC_CLASSES;
use serde::{Deserialize, Serialize};

use super::Method;
use crate::data::normalise::Normalisation;
use crate::data::photo::ExifRule;
use crate::label::crf::CrfSettings;
use crate::label::random_walk::Walk;

/// The resolved settings of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The data set.
    pub data: DataConfig,
    /// The networks' backbone and start.
    pub network: NetworkConfig,
    /// The CAM network: training, maps, evaluation.
    pub cam: CamConfig,
    /// Relation labels from CAMs.
    pub ir_label: IrLabelConfig,
    /// IRNet: training and inference.
    pub irn: IrnConfig,
    /// The random walk.
    pub walk: Walk,
    /// Semantic masks.
    pub sem_seg: SemSegConfig,
    /// Instance masks.
    pub ins_seg: InsSegConfig,
    /// Score maps and confidence masks.
    pub scores: ScoresConfig,
    /// Evaluation.
    pub eval: EvalConfig,
    /// The comparison after an export.
    pub onnx: OnnxConfig,
    /// The COCO annotation file.
    pub coco: CocoConfig,
    /// Threads, seed, directories, passes.
    pub run: RunConfig,
}

/// How a data set is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// PASCAL VOC: `JPEGImages`, lists of names, `Annotations/*.xml` or `cls_labels.npy`.
    #[default]
    Voc,
    /// COCO: photos and `instances_*.json`.
    Coco,
    /// Photos anywhere below the root, labels from a table or from sub-folders.
    Folder,
}

/// Where the photos and their labels are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// How the root is laid out; see `docs/data-sets.md`.
    pub layout: Layout,
    /// Directory of the VOC layout (`JPEGImages`, `Annotations`, `ImageSets`, ...), of COCO, or of photos.
    pub root: PathBuf,
    /// Class names; a label value is the position in this list plus 1. Empty: those that a COCO file or a
    /// folder's labels name.
    pub classes: Vec<String>,
    /// Images both networks train on: a file, or a name below `ImageSets/Segmentation`; for COCO an
    /// `instances_*.json` or a list of names; in a folder also `train`, `val`, `all`.
    pub train_list: PathBuf,
    /// Images that get masks; the training list where absent.
    pub infer_list: Option<PathBuf>,
    /// Images for a validation loss after each epoch; none where absent.
    pub val_list: Option<PathBuf>,
    /// Images that are evaluated; the inference list where absent.
    pub eval_list: Option<PathBuf>,
    /// `cls_labels.npy`; the `Annotations` directory where absent. In a folder a CSV table; the names of
    /// sub-folders where absent.
    pub labels: Option<PathBuf>,
    /// COCO: the `instances_*.json` that lists of names refer to.
    pub annotations: Vec<PathBuf>,
    /// COCO: the folder of the photos, from the root; found by the annotation file's name where absent.
    pub photos: Option<PathBuf>,
    /// Folder: share of the labelled photos in the list `val`.
    pub val_share: f64,
    /// Folder: seed of the split into `train` and `val`.
    pub split_seed: u64,
    /// Folder of the SBD data set, out of which a missing `train_aug.txt` is made; found by itself beside
    /// the root.
    pub sbd: Option<PathBuf>,
    /// Whether a photo's EXIF orientation is applied.
    pub exif: ExifRule,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            layout: Layout::Voc,
            root: PathBuf::from("VOCdevkit/VOC2012"),
            classes: VOC_CLASSES.map(String::from).to_vec(),
            train_list: PathBuf::from("train_aug.txt"),
            infer_list: None,
            val_list: None,
            eval_list: Some(PathBuf::from("train.txt")),
            labels: None,
            annotations: Vec::new(),
            photos: None,
            val_share: 0.2,
            split_seed: 0,
            sbd: None,
            exif: ExifRule::Apply,
        }
    }
}

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
}

impl OptimConfig {
    fn upstream(batch: usize, epochs: usize) -> Self {
        let (rate, weight_decay) = (0.1, 1e-4);
        Self { batch, epochs, rate, weight_decay, momentum: None, power: 0.9, crop: 512 }
    }
}

impl Default for OptimConfig {
    fn default() -> Self {
        Self::upstream(16, 5)
    }
}

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

/// A step of `irn-train run`, in upstream's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pass {
    /// Train the CAM network and export it.
    TrainCam,
    /// CAMs of all images.
    MakeCam,
    /// mIoU of the CAMs.
    EvalCam,
    /// Relation labels of the training images.
    MakeIrLabel,
    /// mIoU of the relation labels.
    EvalIrLabel,
    /// Train IRNet and export it.
    TrainIrn,
    /// Semantic masks.
    MakeSemSeg,
    /// mIoU of the semantic masks.
    EvalSemSeg,
    /// Instance masks.
    MakeInsSeg,
    /// AP of the instance masks.
    EvalInsSeg,
    /// The COCO annotation file.
    Coco,
    /// The report page.
    Report,
}

impl Pass {
    /// All of them, in order.
    pub const ALL: [Self; 12] = [
        Self::TrainCam,
        Self::MakeCam,
        Self::EvalCam,
        Self::MakeIrLabel,
        Self::EvalIrLabel,
        Self::TrainIrn,
        Self::MakeSemSeg,
        Self::EvalSemSeg,
        Self::MakeInsSeg,
        Self::EvalInsSeg,
        Self::Coco,
        Self::Report,
    ];
}

/// What is computed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// The processor.
    Cpu,
}

/// How and where to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// Directory of checkpoints, models, store, masks, report.
    pub out: PathBuf,
    /// Whose CAMs the IRN stage works on: a preset of thresholds under the settings file.
    pub method: Option<Method>,
    /// The original's CAM weights (`.pth`): written after training; where that is no pass, read instead.
    pub cam_weights: Option<PathBuf>,
    /// The original's IRNet weights, likewise.
    pub irn_weights: Option<PathBuf>,
    /// Where each kind of file goes, if not below `out`.
    pub dirs: DirsConfig,
    /// The CAM model to infer with; `OUT/cam.onnx` where absent.
    pub cam_model: Option<PathBuf>,
    /// The IRNet model to infer with; `OUT/irn.onnx` where absent.
    pub irn_model: Option<PathBuf>,
    /// Device of training and inference.
    pub device: Device,
    /// Threads; 0 takes all processors.
    pub threads: usize,
    /// Seed of every random choice.
    pub seed: u64,
    /// Steps of `irn-train run`.
    pub passes: Vec<Pass>,
    /// Reproduce upstream's defects (B1, B6, B7), for comparing numbers.
    pub compat: bool,
    /// Images shown by the report, at most.
    pub report_images: usize,
}

/// Directories of the files that the original writes; below `run.out` where absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DirsConfig {
    /// CAMs, `NAME.npy`.
    pub cam: Option<PathBuf>,
    /// Relation labels, `NAME.png`.
    pub ir_label: Option<PathBuf>,
    /// Semantic masks, `NAME.png`.
    pub sem_seg: Option<PathBuf>,
    /// Instance masks, `NAME.npy`.
    pub ins_seg: Option<PathBuf>,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            out: PathBuf::from("out"),
            method: None,
            cam_weights: None,
            irn_weights: None,
            dirs: DirsConfig::default(),
            cam_model: None,
            irn_model: None,
            device: Device::Cpu,
            threads: 0,
            seed: 0,
            passes: Pass::ALL.to_vec(),
            compat: false,
            report_images: 60,
        }
    }
}

impl RunConfig {
    /// The directory for the files called `name`: `cam`, `ir_label`, `sem_seg`, `ins_seg` or another.
    pub fn dir(&self, name: &str) -> PathBuf {
        let chosen = match name {
            "cam" => &self.dirs.cam,
            "ir_label" => &self.dirs.ir_label,
            "sem_seg" => &self.dirs.sem_seg,
            "ins_seg" => &self.dirs.ins_seg,
            _ => &None,
        };
        chosen.clone().unwrap_or_else(|| self.out.join(name))
    }

    /// The CAM model's path.
    pub fn cam_model(&self) -> PathBuf {
        self.cam_model.clone().unwrap_or_else(|| self.out.join("cam.onnx"))
    }

    /// The IRNet model's path.
    pub fn irn_model(&self) -> PathBuf {
        self.irn_model.clone().unwrap_or_else(|| self.out.join("irn.onnx"))
    }

    /// Threads to use, at least 1.
    pub fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        }
    }
}
