//! Seconds per training step: `train_step cam|irn [batch] [crop] [steps]`, with random weights, as the stages
//! `cam_train_*` and `irn_train_512` of the baseline. `MIMALLOC_PURGE_DELAY=-1` keeps freed memory, as
//! `irn-train` does.

use std::time::Instant;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Result, Tensor};
use irn_models::ops::sgd::Sgd;
use irn_models::resnet::BACKBONES;
use irn_models::tape::Processor;
use irn_models::{CamNet, IrNet, Param, Weights};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let irn = std::env::args().nth(1).is_some_and(|name| name == "irn");
    let mut numbers = std::env::args().skip(2).filter_map(|text| text.parse::<usize>().ok());
    let mut number = |default| numbers.next().unwrap_or(default);
    let (batch, crop, steps) = (number(4), number(256), number(5));
    let device = Device::Cpu;
    let images = Tensor::randn(0f32, 1.0, (batch, 3, crop, crop), &device)?;
    if irn {
        let net = IrNet::new(&mut Weights::seeded(0, &device), BACKBONES[2], 1.0)?;
        let label = labels(batch, crop.div_ceil(4))?;
        let mut params = Vec::new();
        net.visit_edge(&mut |param| params.push(param.clone()));
        net.visit_displacement(&mut |param| params.push(param.clone()));
        let engine = Processor::frozen();
        time(steps, &params, || Ok(net.relation_gradients(&engine, &images, &label, 10, 20)?.1))
    } else {
        let net = CamNet::new(&mut Weights::seeded(0, &device), BACKBONES[2], 1.0, 20)?;
        let targets = Tensor::zeros((batch, 20), DType::F32, &device)?;
        let mut params = Vec::new();
        net.visit(&mut |param| params.push(param.clone()));
        params.retain(Param::trainable);
        let engine = Processor::default();
        time(steps, &params, || Ok(net.class_gradients(&engine, &images, &targets)?.gradients))
    }
}

fn time(steps: usize, params: &[Param], gradients: impl Fn() -> Result<GradStore>) -> Result<()> {
    let buffer = |param: &Param| param.var().as_detached_tensor().zeros_like();
    let buffers = params.iter().map(buffer).collect::<Result<Vec<_>>>()?;
    let sgd = Sgd { momentum: 1e-4, decay: 1e-4, rate: 0.01 };
    for _ in 0..steps {
        let (start, before) = (Instant::now(), usage());
        let gradients = gradients()?;
        let almost = start.elapsed().as_secs_f64();
        for (param, buffer) in params.iter().zip(&buffers) {
            if let Some(gradient) = gradients.get(param.var()) {
                sgd.step(param.var(), gradient, buffer)?;
            }
        }
        let (all, after) = (start.elapsed().as_secs_f64(), usage());
        let [user, system, faults] = std::array::from_fn(|i| after[i] - before[i]);
        print!("step {all:.3} s, {:.3} s of it SGD; ", all - almost);
        println!("cpu {user:.2} + {system:.2} s, {faults} page faults, peak {} MiB", peak());
    }
    Ok(())
}

/// The most memory this process ever held.
fn peak() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap_or(0) / 1024
}

/// User and system seconds and page faults of this process so far.
fn usage() -> [f64; 3] {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let field = |i: usize| text.split(' ').nth(i).and_then(|x| x.parse().ok()).unwrap_or(0.0);
    [field(13) / 100.0, field(14) / 100.0, field(9)]
}

/// Blobs of three classes on background, a fifth of it unknown.
fn labels(batch: usize, size: usize) -> Result<Tensor> {
    let value = |i: usize| {
        let (image, y, x) = (i / size / size, i / size % size, i % size);
        if (i * 2_654_435_761) % 1000 < 200 {
            return 255;
        }
        let inside = |k: usize| {
            let centre = [(2 + 3 * (k % 2)) * size / 7, (2 * k + 1) * size / 6 + image];
            y.abs_diff(centre[0]).pow(2) + x.abs_diff(centre[1]).pow(2) < (size / 6).pow(2)
        };
        (0..3usize).find(|&k| inside(k)).map_or(0, |k| k as u8 + 1)
    };
    let values: Vec<u8> = (0..batch * size * size).map(value).collect();
    Tensor::from_vec(values, (batch, size, size), &Device::Cpu)
}
