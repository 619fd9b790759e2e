//! Seconds per training step of the CAM network: `cam_step [batch] [crop] [steps]`.

use std::time::Instant;

use candle_core::{DType, Device, Result, Tensor};
use irn_models::ops::{pool, soft_margin};
use irn_models::resnet::BACKBONES;
use irn_models::{CamNet, Weights};

// With the system's allocator page faults double the time of a backward pass.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).filter_map(|text| text.parse::<usize>().ok());
    let mut argument = |default| arguments.next().unwrap_or(default);
    let (batch, crop, steps) = (argument(4), argument(256), argument(5));
    let device = Device::Cpu;
    let net = CamNet::new(&mut Weights::seeded(0, &device), BACKBONES[2], 1.0, 20)?;
    let images = Tensor::randn(0f32, 1.0, (batch, 3, crop, crop), &device)?;
    let targets = Tensor::zeros((batch, 20), DType::F32, &device)?;
    for _ in 0..steps {
        let start = Instant::now();
        let loss = soft_margin(&pool(&net.forward(&images)?)?, &targets)?;
        let forward = start.elapsed().as_secs_f64();
        loss.backward()?;
        let both = start.elapsed().as_secs_f64();
        println!("forward {forward:.3} s, forward and backward {both:.3} s");
    }
    Ok(())
}
