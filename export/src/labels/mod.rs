//! One graph from photo to semantic mask: both networks and everything between and after them as
//! standard operators, so that any runtime makes masks with one call and none of our code.
//!
//! Inputs: `photo`, u8 `(height, width, 3)`, and `classes`, f32 `(classes,)`, 1 for each class that the
//! photo shows. Outputs: `scores`, f32 `(present, height, width)` in the order of the classes present,
//! and `label`, u8 `(height, width)`, 0 for background and class + 1. The steps are those of
//! `irn-infer cam` and `sem-seg`; the power of the transition matrix is the same Chebyshev sum.

mod bicubic;
mod cam;
mod relations;
mod scores;
mod tools;
mod walk;

use anyhow::{Result, ensure};
use irn_models::{CamNet, IrNet, Param};
use serde::{Deserialize, Serialize};

use self::tools::Tools;
use crate::export::encode;
use crate::form::{Form, Input};
use crate::graph::Builder;
use crate::info::{ModelInfo, NetworkKind};
use crate::onnx::{FLOAT, UINT8, ValueInfoProto};

/// The first operator set whose `ReduceMax` takes its axes as an input, and the one written unless a later is
/// asked for.
pub const OPSET: i64 = 18;

/// How the masks are made; the defaults are those of `irn-infer`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LabelSettings {
    /// Sizes of the photo, relative to its own, whose CAMs are added.
    pub scales: Vec<f64>,
    /// IRNet's photo is padded to at least this height and width.
    pub pad: usize,
    /// Pixels of the quarter-size map closer than this are neighbours of the walk.
    pub radius: usize,
    /// Affinities are raised to this power.
    pub beta: f64,
    /// The walk takes `2^exp_times` steps.
    pub exp_times: u32,
    /// Scores up to this are background.
    pub background: f32,
}

impl Default for LabelSettings {
    fn default() -> Self {
        Self {
            scales: vec![1.0, 0.5, 1.5, 2.0],
            pad: 512,
            radius: 5,
            beta: 10.0,
            exp_times: 8,
            background: 0.25,
        }
    }
}

impl LabelSettings {
    fn validate(&self) -> Result<()> {
        let Self { scales, radius, beta, exp_times, .. } = self;
        ensure!(!scales.is_empty(), "no scale to compute CAMs at");
        for scale in scales {
            ensure!(*scale > 0.0 && *scale <= 16.0, "scale {scale} is not in 0..16");
        }
        ensure!((2..=16).contains(radius), "radius {radius} is not in 2..=16");
        ensure!(beta.is_finite() && *beta >= 0.0, "beta is {beta}, it must be 0 or more");
        ensure!((1..=16).contains(exp_times), "exp_times {exp_times} is not in 1..=16");
        Ok(())
    }
}

/// A network and its description.
pub struct Part<'a, N> {
    /// The network.
    pub net: &'a N,
    /// What it says about itself.
    pub info: &'a ModelInfo,
}

/// The ONNX file of the whole way from photo to mask.
///
/// # Errors
/// Networks that are not a CAM network and an IRNet, or settings out of range.
pub fn export_labels(
    cam: &Part<CamNet>,
    irn: &Part<IrNet>,
    settings: &LabelSettings,
) -> Result<Vec<u8>> {
    settings.validate()?;
    let form = Form { opset: cam.info.form.opset.max(OPSET), ..cam.info.form.clone() };
    form.validate()?;
    ensure!(form.size.is_none(), "the graph from photo to mask is for photos of any size");
    ensure!(cam.info.network == NetworkKind::Cam, "the first network is {}", cam.info.network);
    ensure!(irn.info.network == NetworkKind::Irn, "the second network is {}", irn.info.network);
    let graph = Builder::default();
    let tools = Tools::new(&graph);
    let shape = vec!["height".into(), "width".into(), 3usize.into()];
    let photo = graph.input(ValueInfoProto::tensor("photo", UINT8, shape));
    let shape = vec![cam.info.classes.len().into()];
    let classes = graph.input(ValueInfoProto::float("classes", shape));
    let photo = tools.photo(&photo)?;
    let present = cam::present(&graph, &classes)?;
    let maps = cam::maps(&graph, &photo, cam, &settings.scales, &present)?;
    let edge = relations::edge(&graph, &photo, irn, settings.pad)?;
    let walked = walk::walk(&graph.within("walk"), &maps, &edge, settings)?;
    let (scores, label) =
        scores::label(&graph.within("label"), &walked, &photo, &present, settings.background)?;
    let shape = || vec!["height".into(), "width".into()];
    let all = [vec!["present".into()], shape()].concat();
    graph.output(&scores, ValueInfoProto::tensor("scores", FLOAT, all));
    graph.output(&label, ValueInfoProto::tensor("label", UINT8, shape()));
    let mut params: Vec<&Param> = Vec::new();
    cam.net.visit(&mut |param| params.push(param));
    irn.net.visit(&mut |param| params.push(param));
    let info = ModelInfo {
        network: NetworkKind::Labels,
        settings: serde_json::to_value(settings)?,
        stride: 1,
        form: Form { input: Input::Rgb8, ..form },
        ..cam.info.clone()
    };
    encode(graph.finish("labels"), &info, &params)
}
