//! The GPU beside the processor: every operation, both steps, the descent.
//!
//! They run where there is a device (a real one, or `scripts/cuda/fake`), and say that they are skipped where
//! there is none.

mod operations;
mod steps;

use candle_core::{CudaDevice, Device, Result, Tensor};

use super::{Batch, CudaEngine, Precision};
use crate::Param;
use crate::tape::Processor;

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
