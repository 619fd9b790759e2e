//! Group 1: the CAM network, stage by stage.

use anyhow::{Context, Result, ensure};
use candle_core::{D, Tensor};
use irn_models::CamNet;
use ndarray::{ArrayD, Axis, IxDyn, Slice};

use super::case::Case;
use super::compare::{max_abs, rel_l2, within};
use super::weights;

pub fn run(case: &Case) -> Result<()> {
    let net = weights::cam_net(weights::seed_of(case)?)?;
    let image = tensor(&case.f32("in.x")?)?;
    check_stages(case, &candle_stages(&net, &image)?)?;
    let scores = array(&net.forward(&image)?)?;
    let pair = array(&net.forward(&mirrored_pair(&image)?)?)?;
    check_scores(case, &scores, &pair)
}

/// An array of the golden set as a tensor.
pub fn tensor(array: &ArrayD<f32>) -> Result<Tensor> {
    let values: Vec<f32> = array.iter().copied().collect();
    Ok(Tensor::from_vec(values, array.shape(), &candle_core::Device::Cpu)?)
}

/// And back.
pub fn array(tensor: &Tensor) -> Result<ArrayD<f32>> {
    let values = tensor.flatten_all()?.to_vec1::<f32>()?;
    Ok(ArrayD::from_shape_vec(IxDyn(tensor.dims()), values)?)
}

/// The first image and its mirror image.
pub fn mirrored_pair(images: &Tensor) -> Result<Tensor> {
    let first = images.narrow(0, 0, 1)?;
    Ok(Tensor::cat(&[&first, &first.flip(&[3])?], 0)?)
}

fn candle_stages(net: &CamNet, image: &Tensor) -> Result<Vec<ArrayD<f32>>> {
    let [_, stages @ ..] = net.resnet.forward(image)?;
    stages.iter().map(array).collect()
}

/// The outputs of the four stages; any backend's.
pub fn check_stages(case: &Case, stages: &[ArrayD<f32>]) -> Result<()> {
    let mut means = Vec::new();
    let mut deviations = Vec::new();
    for (i, stage) in stages.iter().enumerate() {
        let name = format!("stage{}", i + 1);
        let image = |i| stage.index_axis(Axis(0), i);
        let first = image(0).slice_axis(Axis(0), Slice::from(0..8)).to_owned();
        agree(case, &format!("out.{name}_img0_ch0to8"), &first)?;
        let last = image(1).slice_axis(Axis(0), Slice::from(-4..)).to_owned();
        agree(case, &format!("out.{name}_img1_last4"), &last)?;
        let channels = tensor(stage)?.mean(D::Minus1)?.mean(D::Minus1)?;
        agree(case, &format!("out.{name}_chmean"), &array(&channels)?)?;
        let mean = stage.iter().map(|&x| f64::from(x)).sum::<f64>() / stage.len() as f64;
        let squares = stage.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>();
        means.push(mean as f32);
        deviations.push((squares / stage.len() as f64).sqrt() as f32);
    }
    agree(case, "out.stage_mean", &ndarray::arr1(&means).into_dyn())?;
    agree(case, "out.stage_std", &ndarray::arr1(&deviations).into_dyn())
}

/// `scores` of both images, and `pair` of the first image and its mirror image; any backend's.
pub fn check_scores(case: &Case, scores: &ArrayD<f32>, pair: &ArrayD<f32>) -> Result<()> {
    let logits = scores.mean_axis(Axis(3)).and_then(|rows| rows.mean_axis(Axis(2)));
    agree(case, "out.logits", &logits.context("empty scores")?)?;
    let positive = pair.mapv(|x| x.max(0.0));
    let mut mirror = positive.index_axis(Axis(0), 1).to_owned();
    mirror.invert_axis(Axis(2));
    agree(case, "out.cam", &(&positive.index_axis(Axis(0), 0) + &mirror))
}

fn agree(case: &Case, name: &str, ours: &ArrayD<f32>) -> Result<()> {
    let theirs = case.f32(name)?;
    ensure!(ours.shape() == theirs.shape(), "{name}: {:?} {:?}", ours.shape(), theirs.shape());
    within(name, rel_l2(ours, &theirs)?, case.tolerance("rel_l2")?)?;
    let largest = theirs.iter().fold(0f64, |largest, x| largest.max(f64::from(x.abs())));
    within(name, max_abs(ours, &theirs)?, case.tolerance("max_abs_over_max")? * largest)
}
