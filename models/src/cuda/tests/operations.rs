//! Every operation and its gradients.

use candle_core::{Device, Result};

use super::{Precision, Results, agree, gradients};
use crate::ops::testing::numbers;
use crate::tape::{Engine, Wanted};
use crate::{BatchNorm, Conv, ConvNorm, GroupNorm, Param, Weights};

fn set(param: &Param, name: &str, offset: f64) -> Result<()> {
    let var = param.var();
    let values = (numbers(name, var.dims()) + offset)?;
    var.set(&values.to_device(var.device())?)
}

fn unit(
    device: &Device,
    io: (usize, usize),
    kernel: usize,
    stride: usize,
    relu: bool,
) -> Result<ConvNorm> {
    let mut w = Weights::seeded(1, device);
    let conv = Conv::new(&mut w, "conv", io, kernel, true)?.stride(stride);
    let norm = BatchNorm::new(&mut w, "norm", io.1, 1.0, true)?;
    set(&norm.weight, "gamma", 0.0)?;
    set(&norm.bias, "beta", 0.0)?;
    set(&norm.running_mean, "mean", 0.0)?;
    set(&norm.running_var, "variance", 1.5)?;
    Ok(ConvNorm { conv, norm, relu })
}

/// Channels in and out, kernel, stride, height, width, ReLU and residual.
const UNITS: [(usize, usize, usize, usize, usize, usize, bool); 6] = [
    (3, 8, 7, 2, 19, 23, true),
    (8, 16, 3, 1, 7, 6, true),
    (16, 5, 3, 2, 8, 11, false),
    (24, 20, 1, 1, 5, 3, false),
    (8, 8, 1, 2, 5, 9, true),
    (16, 1, 1, 1, 4, 7, false),
];

fn units<E: Engine>(engine: &E, device: &Device) -> Result<Results> {
    let mut results = Results::new();
    for (case, (c_in, c_out, kernel, stride, height, width, relu)) in UNITS.into_iter().enumerate()
    {
        let layer = unit(device, (c_in, c_out), kernel, stride, relu)?;
        let x = engine.load(&numbers("x", &[2, c_in, height, width]))?;
        let shape = engine.shape(&engine.conv_norm(&layer, &x, None)?);
        let residual = engine.load(&numbers("residual", &shape))?;
        let residual = relu.then_some(&residual).filter(|_| c_out % 8 == 0);
        let y = engine.conv_norm(&layer, &x, residual)?;
        let dy = engine.load(&numbers("dy", &shape))?;
        let wanted = Wanted { input: c_in != 3, residual: residual.is_some() };
        let mut store = Default::default();
        let inputs = engine.conv_norm_gradient(&layer, &x, &y, dy, wanted, &mut store)?;
        results.push((format!("{case} y"), engine.read(&y)?));
        for (name, map) in [("dx", inputs.input), ("d_residual", inputs.residual)] {
            if let Some(map) = map {
                results.push((format!("{case} {name}"), engine.read(&map)?));
            }
        }
        let params = [&layer.conv.weight, &layer.norm.weight, &layer.norm.bias];
        results.extend(gradients(&store, &params)?);
    }
    Ok(results)
}

#[test]
fn convolutions_and_what_follows_them() {
    agree(Precision::F32, 1e-4, units, units);
    agree(Precision::Bf16, 0.1, units, units);
}

fn others<E: Engine>(engine: &E, device: &Device) -> Result<Results> {
    let mut results = Results::new();
    let mut w = Weights::seeded(1, device);
    let mut store = Default::default();
    let bias = Conv::new(&mut w, "conv", (16, 3), 1, true)?.bias(&mut w)?;
    let x = engine.load(&numbers("x", &[2, 16, 9, 6]))?;
    let dy = engine.load(&numbers("dy", &[2, 3, 9, 6]))?;
    results.push(("conv".into(), engine.read(&engine.conv(&bias, &x)?)?));
    let dx = engine.conv_gradient(&bias, &x, dy, true, &mut store)?.unwrap();
    results.push(("d conv".into(), engine.read(&dx)?));
    let params = [Some(&bias.weight), bias.bias.as_ref()].into_iter().flatten();
    results.extend(gradients(&store, &params.collect::<Vec<_>>())?);

    for groups in [1, 2, 4] {
        let norm = GroupNorm::new(&mut w, &format!("norm{groups}"), groups, 16)?;
        set(&norm.weight, "gamma", 0.0)?;
        set(&norm.bias, "beta", 0.0)?;
        results.push(("group norm".into(), engine.read(&engine.group_norm(&norm, &x)?)?));
        let dy = engine.load(&numbers("dy", &[2, 16, 9, 6]))?;
        let dx = engine.group_norm_gradient(&norm, &x, dy, true, &mut store)?.unwrap();
        results.push(("d group norm".into(), engine.read(&dx)?));
        results.extend(gradients(&store, &[&norm.weight, &norm.bias])?);
    }

    let y = engine.relu(&x)?;
    let dy = || engine.load(&numbers("dy", &[2, 16, 9, 6]));
    results.push(("relu".into(), engine.read(&y)?));
    results.push(("d relu".into(), engine.read(&engine.relu_gradient(&y, dy()?)?)?));
    results.push(("add".into(), engine.read(&engine.add(dy()?, &x)?)?));
    for factor in [2, 4] {
        let y = engine.upsample(&x, factor)?;
        let dy = engine.load(&numbers("dy", &engine.shape(&y)))?;
        results.push(("upsample".into(), engine.read(&y)?));
        let dx = engine.upsample_gradient(engine.shape(&x), factor, dy)?;
        results.push(("d upsample".into(), engine.read(&dx)?));
    }
    let y = engine.max_pool(&x)?;
    let dy = engine.load(&numbers("dy", &engine.shape(&y)))?;
    results.push(("max pool".into(), engine.read(&y)?));
    results.push(("d max pool".into(), engine.read(&engine.max_pool_gradient(&x, &y, dy)?)?));
    let y = engine.crop(&x, (7, 5))?;
    results.push(("crop".into(), engine.read(&y)?));
    results.push(("d crop".into(), engine.read(&engine.crop_gradient(engine.shape(&x), y)?)?));
    let all = engine.concat(&[&x, &engine.relu(&x)?])?;
    results.push(("concat".into(), engine.read(&all)?));
    for part in engine.concat_gradient(&[16, 8, 8], all)? {
        results.push(("d concat".into(), engine.read(&part)?));
    }
    Ok(results)
}

#[test]
fn everything_else_of_a_network() {
    agree(Precision::F32, 1e-4, others, others);
    agree(Precision::Bf16, 2e-2, others, others);
}
