//! Whole steps, the descent, a profile, what is refused.

use candle_core::{Device, Result, Tensor, Var};

use super::{Batch, CudaEngine, Precision, agree, device, gradients};
use crate::ops::sgd::{Sgd, Update};
use crate::ops::testing::{close, numbers};
use crate::resnet::BACKBONES;
use crate::tape::Processor;
use crate::{CamNet, IrNet, Param, Weights};

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
    let vars = |name: &str, device: &Device| -> Vec<Var> {
        let tensor = |shape: &&[usize]| numbers(name, shape).to_device(device).unwrap();
        shapes.iter().map(|shape| Var::from_tensor(&tensor(shape)).unwrap()).collect()
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
            close(&ours, theirs, 1e-6);
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
