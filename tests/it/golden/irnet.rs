//! Group 2: IRNet, bare (`irn_net_*`) and as the inference step uses it (`irn_infer_*`).

use anyhow::{Context, Result, bail, ensure};
use ndarray::{ArrayD, Axis, Slice};

use super::cam_net::{array, tensor};
use super::case::Case;
use super::compare::{max_abs, rel_l2, within};
use super::weights;

pub fn run(case: &Case) -> Result<()> {
    let net = weights::irnet(weights::seed_of(case)?)?;
    check_mean_shift(case, &array(net.mean_shift.var())?)?;
    let image = case.f32("in.x")?;
    if case.has("out.edge_logit") {
        let x = tensor(&image)?;
        let (train, eval) = (net.forward(&x)?, net.forward_eval(&x)?);
        check_net(case, "out.edge_logit", &array(&eval.edge)?)?;
        check_net(case, "out.edge_logit", &array(&train.edge)?)?;
        check_net(case, "out.dp_eval", &array(&eval.displacement)?)?;
        check_net(case, "out.dp_train", &array(&train.displacement)?)
    } else if case.has("out.edge") {
        let padded = pad(&image, crop_size(case)?);
        let eval = net.forward_eval(&tensor(&padded)?)?;
        check_infer(case, &image, &array(&eval.edge)?, &array(&eval.displacement)?)
    } else {
        bail!("unknown kind of case")
    }
}

fn check_mean_shift(case: &Case, ours: &ArrayD<f32>) -> Result<()> {
    let Some(theirs) = case.params()["mean_shift"].as_array() else { return Ok(()) };
    for (&ours, theirs) in ours.iter().zip(theirs) {
        let theirs = theirs.as_f64().context("mean_shift")?;
        within("mean_shift", (f64::from(ours) - theirs).abs(), 1e-7)?;
    }
    Ok(())
}

/// The parameter `crop_size` of a case.
pub fn crop_size(case: &Case) -> Result<usize> {
    Ok(case.params()["crop_size"].as_u64().context("crop_size")? as usize)
}

/// Pads right and bottom with zeros to `size`; cuts what is larger, as upstream does (defect B1).
pub fn pad(images: &ArrayD<f32>, size: usize) -> ArrayD<f32> {
    let shape = images.shape();
    let mut padded = ArrayD::zeros(vec![shape[0], shape[1], size, size]);
    let [height, width] = [shape[2].min(size), shape[3].min(size)];
    let part = cut(images, height, width);
    padded
        .slice_axis_mut(Axis(2), Slice::from(0..height))
        .slice_axis_mut(Axis(3), Slice::from(0..width))
        .assign(&part);
    padded
}

fn cut(maps: &ArrayD<f32>, height: usize, width: usize) -> ArrayD<f32> {
    let rows = maps.slice_axis(Axis(2), Slice::from(0..height.min(maps.shape()[2])));
    rows.slice_axis(Axis(3), Slice::from(0..width.min(maps.shape()[3]))).to_owned()
}

/// `edge` and `displacement` of the padded pair of images; any backend's.
pub fn check_infer(
    case: &Case,
    image: &ArrayD<f32>,
    edge: &ArrayD<f32>,
    displacement: &ArrayD<f32>,
) -> Result<()> {
    let quarter = |axis: usize| (image.shape()[axis] - 1) / 4 + 1;
    let edge = cut(edge, quarter(2), quarter(3));
    let mut mirror = edge.index_axis(Axis(0), 1).to_owned();
    mirror.invert_axis(Axis(2));
    let logit = (&edge.index_axis(Axis(0), 0) + &mirror) / 2.0;
    let probability = logit.mapv(|x| 1.0 / (1.0 + (-x).exp()));
    let theirs = expect(case, "out.edge", &probability)?;
    within("edge", max_abs(&probability, &theirs)?, case.tolerance("edge_max_abs")?)?;
    let displacement = cut(displacement, quarter(2), quarter(3));
    let displacement = displacement.index_axis(Axis(0), 0).to_owned();
    let theirs = expect(case, "out.dp", &displacement)?;
    within("dp", max_abs(&displacement, &theirs)?, case.tolerance("dp_max_abs")?)?;
    match case.tolerance("dp_rel_l2") {
        Ok(limit) => within("dp", rel_l2(&displacement, &theirs)?, limit),
        Err(_) => Ok(()),
    }
}

/// One output of the network on unpadded images; any backend's.
pub fn check_net(case: &Case, name: &str, ours: &ArrayD<f32>) -> Result<()> {
    let theirs = expect(case, name, ours)?;
    within(name, rel_l2(ours, &theirs)?, case.tolerance("rel_l2")?)?;
    within(name, max_abs(ours, &theirs)?, case.tolerance("max_abs")?)
}

fn expect(case: &Case, name: &str, ours: &ArrayD<f32>) -> Result<ArrayD<f32>> {
    let theirs = case.f32(name)?;
    ensure!(ours.shape() == theirs.shape(), "{name}: {:?} {:?}", ours.shape(), theirs.shape());
    Ok(theirs)
}
