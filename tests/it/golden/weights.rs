//! Group 0: the parameters every other group computes with, each made from a seed and its name.

use anyhow::{Context, Result, bail, ensure};
use candle_core::{Device, Tensor};
use irn_models::resnet::Backbone;
use irn_models::weights::splitmix;
use irn_models::{CamNet, IrNet, Param, Weights};
use serde_json::Value;

use super::case::Case;
use super::compare::within;

pub fn run(case: &Case) -> Result<()> {
    let seed = seed_of(case)?;
    let expected = case.expected().as_object().context("expected is an object")?;
    for (key, value) in expected {
        match key.as_str() {
            "cam_net" => {
                let net = cam_net(seed)?;
                check(case, value, |f| net.visit(&mut |param| f(param)))?;
            }
            "irn_only" => {
                let net = irnet(seed)?;
                check(case, value, |f| {
                    net.visit(&mut |param| {
                        if !param.name.starts_with("resnet50.") {
                            f(param);
                        }
                    });
                })?;
            }
            "splitmix64_state_0_first3" => {
                let values = value.as_array().context("a list")?.iter().map(hex);
                let values = values.collect::<Result<Vec<u64>>>()?;
                for (i, theirs) in values.into_iter().enumerate() {
                    ensure!(splitmix::bits(0, i as u64) == theirs, "splitmix64 number {i}");
                }
            }
            hash if hash.starts_with("fnv1a64('") => {
                let name = hash.trim_start_matches("fnv1a64('").trim_end_matches("')");
                ensure!(splitmix::state(0, name) == hex(value)?, "hash of {name}");
            }
            _ => bail!("unknown check {key}"),
        }
    }
    Ok(())
}

/// The parameter `weight_seed` of a case.
pub fn seed_of(case: &Case) -> Result<u64> {
    case.params()["weight_seed"].as_u64().context("weight_seed")
}

/// ResNet-50 CAM network for 20 classes with the golden parameters of `seed`.
pub fn cam_net(seed: u64) -> Result<CamNet> {
    cam_net_on(seed, &Device::Cpu)
}

/// The same on a device.
pub fn cam_net_on(seed: u64, device: &Device) -> Result<CamNet> {
    let net = CamNet::new(&mut Weights::seeded(0, device), resnet50()?, 1.0, 20)?;
    fill(seed, |f| net.visit(&mut |param| f(param)))?;
    Ok(net)
}

/// ResNet-50 IRNet with the golden parameters of `seed`.
pub fn irnet(seed: u64) -> Result<IrNet> {
    irnet_on(seed, &Device::Cpu)
}

/// The same on a device.
pub fn irnet_on(seed: u64, device: &Device) -> Result<IrNet> {
    let net = IrNet::new(&mut Weights::seeded(0, device), resnet50()?, 1.0)?;
    fill(seed, |f| net.visit(&mut |param| f(param)))?;
    Ok(net)
}

fn resnet50() -> Result<Backbone> {
    Backbone::named("resnet50").context("resnet50 is a backbone")
}

/// Sets every parameter to its golden value of `seed`.
pub fn fill<'a>(seed: u64, visit: impl FnOnce(&mut dyn FnMut(&'a Param))) -> Result<()> {
    let mut outcome = Ok(());
    visit(&mut |param| {
        let result = parameter(seed, &param.name, param.var().dims());
        let result = result
            .and_then(|tensor| Ok(param.var().set(&tensor.to_device(param.var().device())?)?));
        outcome = std::mem::replace(&mut outcome, Ok(())).and(result);
    });
    outcome
}

/// ALGORITHMS.md section 0.
pub fn parameter(seed: u64, name: &str, shape: &[usize]) -> Result<Tensor> {
    let (low, high) = range(name, shape);
    let state = splitmix::state(seed, name);
    let value = |i| (low + (high - low) * splitmix::uniform(state, i)) as f32;
    let count = shape.iter().product::<usize>() as u64;
    Ok(Tensor::from_vec((0..count).map(value).collect::<Vec<_>>(), shape, &Device::Cpu)?)
}

fn range(name: &str, shape: &[usize]) -> (f64, f64) {
    let symmetric = |limit: f64| (-limit, limit);
    if let [_, c_in, height, width] = shape {
        let limit = (6.0 / (c_in * height * width) as f64).sqrt();
        return symmetric(if name == "classifier.weight" { 0.5 * limit } else { limit });
    }
    match name {
        "mean_shift.running_mean" => symmetric(2.0),
        "fc_edge6.bias" => symmetric(1.0),
        _ if name.ends_with(".bias") || name.ends_with(".running_mean") => symmetric(0.25),
        _ if name.ends_with(".running_var") => (0.5, 1.5),
        _ if name.contains(".bn3.") => (0.1, 0.5),
        _ if name.contains(".downsample.") => (0.4, 0.9),
        _ => (0.5, 1.5),
    }
}

/// Names, shapes and values of a network's parameters against the list of the index.
fn check<'a>(
    case: &Case,
    listed: &Value,
    visit: impl FnOnce(&mut dyn FnMut(&'a Param)),
) -> Result<()> {
    let listed = listed.as_object().context("an object of parameters")?;
    let mut params = Vec::new();
    visit(&mut |param| params.push(param));
    ensure!(params.len() == listed.len(), "{} and {} parameters", params.len(), listed.len());
    for param in params {
        let theirs = listed.get(&param.name).with_context(|| format!("{} unknown", param.name))?;
        check_one(case, param, theirs).with_context(|| param.name.clone())?;
    }
    Ok(())
}

fn check_one(case: &Case, param: &Param, theirs: &Value) -> Result<()> {
    let shape: Vec<usize> = serde_json::from_value(theirs["shape"].clone())?;
    ensure!(param.var().dims() == shape, "shape {:?}", param.var().dims());
    let (low, high) = range(&param.name, &shape);
    let limits: [f64; 2] = serde_json::from_value(theirs["range"].clone())?;
    within("range", (low - limits[0]).abs().max((high - limits[1]).abs()), 1e-12)?;
    let ours = param.var().flatten_all()?.to_vec1::<f32>()?;
    // Rounded to f32 first: JSON numbers are read to within one unit of the last place of an f64.
    let first: Vec<f32> = serde_json::from_value(theirs["first"].clone())?;
    for (ours, theirs) in ours.iter().zip(first) {
        within("first", f64::from((ours - theirs).abs()), case.tolerance("first")?)?;
    }
    let last: f32 = serde_json::from_value(theirs["last"].clone())?;
    let our_last = ours.last().context("no values")?;
    within("last", f64::from((our_last - last).abs()), case.tolerance("last")?)?;
    let sum: f64 = ours.iter().map(|&value| f64::from(value)).sum();
    let their_sum = theirs["sum_f64"].as_f64().context("sum_f64")?;
    within("sum", (sum - their_sum).abs(), case.tolerance("sum_f64")?)
}

fn hex(value: &Value) -> Result<u64> {
    let text = value.as_str().context("a hexadecimal number")?;
    Ok(u64::from_str_radix(text.trim_start_matches("0x"), 16)?)
}
