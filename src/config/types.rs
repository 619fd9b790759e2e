//! Every setting with its default: the values of the paper and of upstream's `run_sample.py`.

use serde::{Deserialize, Serialize};

pub use super::data::{DataConfig, Layout};
pub use super::infer::{InferConfig, Precision};
pub use super::network::{NetworkConfig, OptimConfig, TrainPrecision};
pub use super::run::{Device, DirsConfig, Pass, RunConfig};
pub use super::stages::{
    CamConfig, CocoConfig, EvalConfig, InsSegConfig, IrLabelConfig, IrnConfig, OnnxConfig,
    ScoresConfig, SemSegConfig,
};
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
    /// The networks' inference on a GPU.
    pub infer: InferConfig,
    /// Threads, seed, directories, passes.
    pub run: RunConfig,
}
