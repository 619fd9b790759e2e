//! Bilinear resizing with its gradient, division by the maximum, group normalisation.

use anyhow::{Context, Result, bail, ensure};
use candle_core::{Device, Tensor, Var};
use irn::label::interpolate::{resize, upscale4};
use irn::label::merge::divide_by_maximum;
use irn_models::tape::{Engine, Processor, Tape};
use irn_models::{FeatureMap, GroupNorm, Weights};
use ndarray::{Array3, Array4, ArrayD, Axis, IxDyn};

use super::case::{Case, shaped};
use super::compare::{max_abs, within};

pub fn run(case: &Case) -> Result<()> {
    if case.has("out.grad_weight") {
        run_group_norm(case)
    } else if case.has("out.grad_x") {
        run_gradient(case)
    } else if case.has("out.y") {
        run_maximum(case)
    } else if case.name.starts_with("interpolate") {
        run_resize(case)
    } else {
        bail!("{}: an unknown kind of case", case.name)
    }
}

fn run_resize(case: &Case) -> Result<()> {
    let x: Array4<f32> = shaped(case.f32("in.x")?)?;
    ensure!(x.dim().0 == 1, "one image");
    let x = x.index_axis(Axis(0), 0);
    let (_, h, w) = x.dim();
    for name in case.tensor_names()?.iter().filter_map(|name| name.strip_prefix("out.")) {
        let ours = if let Some(size) = name.strip_prefix("to_") {
            let (height, width) = size.split_once('x').context("to_HxW")?;
            resize(x, (height.parse()?, width.parse()?))
        } else if name == "scale_factor_4" {
            upscale4(x, (4 * h, 4 * w))
        } else if let Some(factor) = name.strip_prefix("scale_factor_") {
            let factor: usize = factor.parse()?;
            resize(x, (factor * h, factor * w))
        } else if name == "abs_divided_by_max" {
            let mut divided = x.mapv(f32::abs);
            divide_by_maximum(divided.view_mut());
            divided
        } else {
            bail!("unknown output {name}")
        };
        let theirs = case.f32(&format!("out.{name}"))?;
        ensure!(theirs.shape().ends_with(ours.shape()), "{name}: {:?}", ours.shape());
        within(name, max_abs(&ours, &theirs)?, case.tolerance("max_abs")?)?;
    }
    Ok(())
}

fn run_maximum(case: &Case) -> Result<()> {
    let mut x: Array3<f32> = shaped(case.f32("in.x")?)?;
    divide_by_maximum(x.view_mut());
    let theirs = case.f32("out.y")?;
    let largest = theirs.iter().fold(0f32, |largest, y| largest.max(y.abs()));
    within("y", max_abs(&x, &theirs)? / f64::from(largest), case.tolerance("rel")?)
}

fn run_gradient(case: &Case) -> Result<()> {
    let x = Var::from_tensor(&tensor(case, "in.x")?)?;
    let upstream = tensor(case, "in.grad_out")?;
    let factor = upstream.dims4()?.2 / x.dims4()?.2;
    let engine = Processor::default();
    let tape = Tape::new(&engine);
    let y = tape.variable(&x)?.upsample(factor)?;
    let gradients = tape.backward(vec![(y, engine.load(&upstream)?)])?;
    close(case, "out.grad_x", gradients.get(&x))
}

fn run_group_norm(case: &Case) -> Result<()> {
    let x = Var::from_tensor(&tensor(case, "in.x")?)?;
    let parameters = ["weight", "bias"]
        .map(|name| Ok((format!("norm.{name}"), tensor(case, &format!("in.{name}"))?)));
    let parameters = parameters.into_iter().collect::<Result<_>>()?;
    let mut weights = Weights::stored(parameters, 0, &Device::Cpu);
    let groups = case.params()["groups"].as_u64().context("groups")? as usize;
    let layer = GroupNorm::new(&mut weights, "norm", groups, x.dims4()?.1)?;
    ensure!(case.params()["eps"] == layer.eps, "eps");
    let engine = Processor::default();
    let tape = Tape::new(&engine);
    let y = tape.variable(&x)?.group_norm(&layer)?;
    close(case, "out.y", Some(&engine.read(y.map())?))?;
    let upstream = engine.load(&tensor(case, "in.grad_out")?)?;
    let gradients = tape.backward(vec![(y, upstream)])?;
    close(case, "out.grad_x", gradients.get(&x))?;
    close(case, "out.grad_weight", gradients.get(layer.weight.var()))?;
    close(case, "out.grad_bias", gradients.get(layer.bias.var()))
}

fn tensor(case: &Case, name: &str) -> Result<Tensor> {
    let values = case.f32(name)?;
    let shape = values.shape().to_vec();
    Ok(Tensor::from_vec(values.into_raw_vec_and_offset().0, shape, &Device::Cpu)?)
}

fn close(case: &Case, name: &str, ours: Option<&Tensor>) -> Result<()> {
    let ours = ours.with_context(|| format!("no {name}"))?;
    let theirs = case.f32(name)?;
    let values = ours.flatten_all()?.to_vec1::<f32>()?;
    let ours = ArrayD::from_shape_vec(IxDyn(ours.dims()), values)?;
    ensure!(ours.shape() == theirs.shape(), "{name}: {:?}", ours.shape());
    within(name, max_abs(&ours, &theirs)?, case.tolerance("max_abs")?)
}
