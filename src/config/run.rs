//! Settings of a run: `run.*`.

use std::path::PathBuf;

pub use irn_export::Device;
use serde::{Deserialize, Serialize};

use super::Method;

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
    /// Device of training and inference: `auto`, `cpu`, `cuda` (all that are visible), `cuda:1`, `cuda:0,2`.
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
            device: Device::Auto,
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
