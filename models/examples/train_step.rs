//! Seconds per training step: `train_step cam|irn [batch] [crop] [steps]`, with random weights, as the stages
//! `cam_train_*` and `irn_train_512` of the baseline.

use std::time::Instant;

use candle_core::{DType, Device, Result, Tensor};
use irn_models::ops::relation_loss::relation_loss;
use irn_models::ops::{pool, soft_margin};
use irn_models::resnet::BACKBONES;
use irn_models::{CamNet, IrNet, Weights};

// With the system's allocator page faults double the time of a backward pass.
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
        time(steps, || {
            let maps = net.forward(&images)?;
            Ok(relation_loss(&maps.edge, &maps.displacement, &label, 10, 20)?.total)
        })
    } else {
        let net = CamNet::new(&mut Weights::seeded(0, &device), BACKBONES[2], 1.0, 20)?;
        let targets = Tensor::zeros((batch, 20), DType::F32, &device)?;
        time(steps, || soft_margin(&pool(&net.forward(&images)?)?, &targets))
    }
}

fn time(steps: usize, loss: impl Fn() -> Result<Tensor>) -> Result<()> {
    for _ in 0..steps {
        let (start, before) = (Instant::now(), usage());
        let loss = loss()?;
        let (forward, between) = (start.elapsed().as_secs_f64(), usage());
        loss.backward()?;
        let (both, after) = (start.elapsed().as_secs_f64(), usage());
        let spent = |a: [f64; 3], b: [f64; 3]| {
            format!("cpu {:.2} + {:.2} s, {} faults", b[0] - a[0], b[1] - a[1], b[2] - a[2])
        };
        println!("forward {forward:.3} s ({})", spent(before, between));
        println!("  backward {:.3} s ({})", both - forward, spent(between, after));
    }
    Ok(())
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
