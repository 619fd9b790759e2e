//! The GPU beside the processor: every operation, both steps, the descent.
//!
//! They run where there is a device (a real one, or `scripts/cuda/fake`), and say that they are skipped where
//! there is none.

use candle_core::{CudaDevice, Device, Result, Tensor};

use super::{Batch, CudaEngine, Precision};
use crate::ops::sgd::{Sgd, Update};
use crate::ops::testing::numbers;
use crate::resnet::BACKBONES;
use crate::tape::{Engine, Processor, Wanted};
use crate::{BatchNorm, CamNet, Conv, ConvNorm, GroupNorm, IrNet, Param, Weights};

fn device() -> Option<(Device, CudaDevice)> {
    match Device::new_cuda_with_stream(0) {
        Ok(device) => {
            let cuda = device.as_cuda_device().unwrap().clone();
            Some((device, cuda))
        }
        Err(error) => {
            eprintln!("skipped, there is no GPU: {error}");
            None
        }
    }
}

/// What is compared: tensors of main memory.
type Results = Vec<(String, Tensor)>;

/// Everything that is given on the GPU is what is given on the processor: to within `tolerance` of the largest value
/// in f32; in bf16, where some values change sides of a ReLU, to within that of the length of all values.
fn agree(
    precision: Precision,
    tolerance: f64,
    on_cpu: impl Fn(&Processor, &Device) -> Result<Results>,
    on_gpu: impl Fn(&CudaEngine, &Device) -> Result<Results>,
) {
    let Some((device, cuda)) = device() else { return };
    let engine = CudaEngine::new(&cuda, precision).unwrap();
    let theirs = on_cpu(&Processor::default(), &Device::Cpu).unwrap();
    let ours = on_gpu(&engine, &device).unwrap();
    assert_eq!(ours.len(), theirs.len());
    for ((name, ours), (_, theirs)) in ours.iter().zip(&theirs) {
        assert_eq!(ours.dims(), theirs.dims(), "{name}");
        let ours = ours.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let theirs = theirs.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let apart = |(ours, theirs): (&f32, &f32)| f64::from((ours - theirs).abs());
        let pairs = || ours.iter().zip(&theirs);
        let (distance, size) = if precision == Precision::Bf16 {
            let length = |sum: f64| sum.sqrt().max(1e-6);
            let size = theirs.iter().map(|x| f64::from(*x).powi(2)).sum();
            (pairs().map(|pair| apart(pair).powi(2)).sum::<f64>().sqrt(), length(size))
        } else {
            let largest = theirs.iter().fold(1e-6f64, |most, x| most.max(f64::from(x.abs())));
            (pairs().map(apart).fold(0.0, f64::max), largest)
        };
        assert!(distance <= tolerance * size, "{name}: {distance:e} apart, size {size:e}");
    }
}

/// The gradients of `params` that there are.
fn gradients(store: &candle_core::backprop::GradStore, params: &[&Param]) -> Result<Results> {
    let found = params.iter().filter_map(|param| Some((param, store.get(param.var())?)));
    found.map(|(param, tensor)| Ok((param.name.clone(), tensor.to_device(&Device::Cpu)?))).collect()
}

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

const CLASSES: usize = 5;

/// A network, its photos and which of its parameters have gradients.
fn cam(device: &Device, backbone: usize, freeze_at: usize) -> Result<CamNet> {
    let backbone = BACKBONES[backbone];
    CamNet::frozen_at(&mut Weights::seeded(3, device), backbone, 0.25, CLASSES, freeze_at)
}

fn params<'a>(visit: impl FnOnce(&mut dyn FnMut(&'a Param))) -> Vec<&'a Param> {
    let mut params = Vec::new();
    visit(&mut |param| params.push(param));
    params
}

fn on_photos<R>(images: &Tensor, f: impl FnOnce(Batch) -> Result<R>) -> Result<R> {
    let (count, _, height, width) = images.dims4()?;
    let values = images.flatten_all()?.to_vec1::<f32>()?;
    let images: Vec<&[f32]> = values.chunks_exact(values.len() / count).collect();
    f(Batch { images: &images, size: (height, width) })
}

#[test]
fn the_classifier_learns_the_same() {
    for (backbone, freeze_at) in [(0, 0), (2, 3)] {
        let images = numbers("images", &[2, 3, 52, 37]);
        let targets: Vec<f32> = (0..2 * CLASSES).map(|i| f32::from(u8::from(i % 3 == 0))).collect();
        let on_cpu = |engine: &Processor, device: &Device| {
            let net = cam(device, backbone, freeze_at)?;
            let wanted = Tensor::from_vec(targets.clone(), (2, CLASSES), device)?;
            let step = net.class_gradients(engine, &images, &wanted)?;
            let mut results = vec![("loss".into(), Tensor::new(step.loss, device)?)];
            results.extend(gradients(&step.gradients, &params(|f| net.visit(&mut |p| f(p))))?);
            Ok(results)
        };
        let on_gpu = |engine: &CudaEngine, device: &Device| {
            let net = cam(device, backbone, freeze_at)?;
            // A batch before it: the second uses memory that the first has given back.
            let run = || on_photos(&images, |batch| engine.class_step(&net, batch, &targets));
            run()?;
            let (loss, store) = run()?;
            let loss = engine.arrived(loss)?[0];
            let mut results = vec![("loss".into(), Tensor::new(loss, &Device::Cpu)?)];
            results.extend(gradients(&store, &params(|f| net.visit(&mut |p| f(p))))?);
            Ok(results)
        };
        agree(Precision::F32, 2e-3, on_cpu, on_gpu);
        agree(Precision::Bf16, 0.2, on_cpu, on_gpu);
    }
}

#[test]
fn relations_are_learnt_the_same() {
    let images = numbers("images", &[3, 3, 52, 60]);
    let label: Vec<u8> = (0..3 * 13 * 15).map(|i| [0u8, 1, 2, 255][i / 5 % 4]).collect();
    let net = |device: &Device| IrNet::new(&mut Weights::seeded(3, device), BACKBONES[0], 0.25);
    let on_cpu = |engine: &Processor, device: &Device| {
        let net = net(device)?;
        let wanted = Tensor::from_vec(label.clone(), (3, 13, 15), device)?;
        let (loss, store) = net.relation_gradients(engine, &images, &wanted, 4, 20)?;
        let terms = [loss.bg_pos_aff, loss.fg_pos_aff, loss.pos_aff, loss.neg_aff];
        let terms = [&terms[..], &[loss.dp_fg, loss.dp_bg]].concat();
        let mut results = vec![("terms".into(), Tensor::new(terms, device)?)];
        results.extend(gradients(&store, &params(|f| net.visit(&mut |p| f(p))))?);
        Ok(results)
    };
    let on_gpu = |engine: &CudaEngine, device: &Device| {
        let net = net(device)?;
        let (loss, store) =
            on_photos(&images, |batch| engine.relation_step(&net, batch, &label, 4, 20))?;
        let terms = engine.arrived(loss)?;
        let mut results = vec![("terms".into(), Tensor::new(&terms[..6], &Device::Cpu)?)];
        results.extend(gradients(&store, &params(|f| net.visit(&mut |p| f(p))))?);
        Ok(results)
    };
    agree(Precision::F32, 2e-3, on_cpu, on_gpu);
}

#[test]
fn a_step_repeats_itself_to_the_bit() {
    let Some((device, cuda)) = device() else { return };
    let engine = CudaEngine::new(&cuda, Precision::Bf16).unwrap();
    let net = IrNet::new(&mut Weights::seeded(3, &device), BACKBONES[0], 0.25).unwrap();
    let images = numbers("images", &[2, 3, 37, 50]);
    let label: Vec<u8> = (0..2 * 10 * 13).map(|i| [0u8, 2, 255][i / 4 % 3]).collect();
    let run = || {
        let (_, store) =
            on_photos(&images, |batch| engine.relation_step(&net, batch, &label, 3, 20)).unwrap();
        let params = params(|f| net.visit(&mut |p| f(p)));
        let all = gradients(&store, &params).unwrap();
        let values = all.iter().map(|(_, tensor)| tensor.flatten_all().unwrap());
        values.flat_map(|x| x.to_vec1::<f32>().unwrap()).map(f32::to_bits).collect::<Vec<_>>()
    };
    let first = run();
    assert!(!first.is_empty());
    assert_eq!(first, run());
}

#[test]
fn the_descent_is_the_processors() {
    let Some((device, cuda)) = device() else { return };
    let engine = CudaEngine::new(&cuda, Precision::F32).unwrap();
    let sgd = Sgd { momentum: 0.9, decay: 0.01, rate: 0.1 };
    let shapes: [&[usize]; 3] = [&[3, 7], &[40_000], &[1]];
    let vars = |name: &str, device: &Device| -> Vec<candle_core::Var> {
        let tensor = |shape: &&[usize]| numbers(name, shape).to_device(device).unwrap();
        shapes.iter().map(|shape| candle_core::Var::from_tensor(&tensor(shape)).unwrap()).collect()
    };
    let all = |device: &Device| ["p", "g", "b"].map(|name| vars(name, device));
    let ([p, g, b], [p_gpu, g_gpu, b_gpu]) = (all(&Device::Cpu), all(&device));
    let updates: Vec<Update> = (0..3)
        .map(|i| Update {
            parameter: &p_gpu[i],
            gradient: &g_gpu[i],
            buffer: &b_gpu[i],
            rate: sgd.rate,
            decay: sgd.decay,
        })
        .collect();
    engine.descend(&updates, sgd.momentum).unwrap();
    for i in 0..3 {
        sgd.step(&p[i], &g[i], &b[i]).unwrap();
        for (ours, theirs) in [(&p_gpu[i], &p[i]), (&b_gpu[i], &b[i])] {
            let ours = ours.to_device(&Device::Cpu).unwrap();
            crate::ops::testing::close(&ours, theirs, 1e-6);
        }
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let Some((device, cuda)) = device() else { return };
    let engine = CudaEngine::new(&cuda, Precision::F32).unwrap();
    let net = cam(&device, 0, 3).unwrap();
    let images = numbers("images", &[2, 3, 32, 32]);
    assert!(on_photos(&images, |batch| engine.class_step(&net, batch, &[0.0; 3])).is_err());
    let (long, short) = (vec![0f32; 3 * 64], vec![0f32; 3 * 63]);
    let batch = Batch { images: &[&long, &short], size: (8, 8) };
    assert!(engine.class_step(&net, batch, &[0.0; 2 * CLASSES]).is_err());
}

#[test]
fn a_profile_names_what_was_launched() {
    let Some((device, cuda)) = device() else { return };
    let engine = CudaEngine::new(&cuda, Precision::F32).unwrap();
    let net = cam(&device, 0, 3).unwrap();
    let images = numbers("images", &[1, 3, 32, 32]);
    let step = || on_photos(&images, |batch| engine.class_step(&net, batch, &[0.0; CLASSES]));
    let (_, times) = engine.profiled(step).unwrap();
    assert_eq!(times["soft_margin"].1, 1);
    assert!(times.contains_key("convolution filter F32"), "{times:?}");
}
