//! What `run.device` comes to for training, and what is said of it.

use anyhow::{Result, anyhow};
use irn_export::device::Device;
use irn_models::error::Hint;
use irn_models::ops::matrix_unit;

use super::Machine;
use crate::config::{Config, TrainPrecision};

/// The machine that `run.device` names, and a line for the log that says which it is.
///
/// # Errors
/// A GPU was asked for and can't be had.
pub fn choose(config: &Config, precision: TrainPrecision) -> Result<(Machine, String)> {
    let on_processor = |why: Option<String>| {
        let threads = match config.run.thread_count() {
            1 => "1 thread".to_string(),
            count => format!("{count} threads"),
        };
        let why = why.map_or(String::new(), |why| format!("; not CUDA: {why}"));
        let products = match precision {
            TrainPrecision::F32 => "",
            _ if matrix_unit() => "; IRNet's frozen backbone by the matrix unit, all else f32",
            _ => "; f32, since only a GPU computes in less",
        };
        (Machine::processor(precision), format!("CPU ({threads}){why}{products}"))
    };
    match &config.run.device {
        Device::Cpu => Ok(on_processor(None)),
        Device::Cuda(numbers) => {
            let wanted = || {
                let device = &config.run.device;
                format!("run.device is {device}, and this training can't use CUDA")
            };
            let number = numbers.first().copied().unwrap_or(0);
            gpu(number, precision).map_err(|error| error.context(wanted()))
        }
        Device::Auto => Ok(gpu(0, precision).unwrap_or_else(|error| {
            let why = format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" ");
            on_processor(Some(why))
        })),
    }
}

#[cfg(not(feature = "cuda"))]
fn gpu(_number: u32, _precision: TrainPrecision) -> Result<(Machine, String)> {
    Err(anyhow!("this program was built without it"))
        .hint("`make cuda` builds the programs with CUDA, on any machine")
}

#[cfg(feature = "cuda")]
fn gpu(number: u32, precision: TrainPrecision) -> Result<(Machine, String)> {
    use anyhow::Context;
    use irn_export::device::{Driver, libraries};

    use super::gpu::Gpu;

    let driver = Driver::ask()?;
    let Some(card) = driver.gpus.get(number as usize) else {
        return Err(anyhow!("there is no CUDA device {number}, of {}", driver.gpus.len()))
            .hint("`irn-infer devices` lists what there is");
    };
    libraries::load();
    let gpu = Gpu::start(number as usize, precision);
    let gpu = gpu.with_context(|| format!("CUDA {number}, {} does not compute", card.name));
    let gpu = gpu.hint(
        "`irn-infer devices` says which of CUDA's libraries are missing; `sh scripts/deps.sh cuda` \
         fetches them",
    )?;
    let line = format!("CUDA {number}, {} ({}, {})", card.name, driver.version(), precision.name());
    Ok((Machine::Gpu(Box::new(gpu)), line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(device: &str) -> Config {
        let mut config = Config::default();
        config.run.device = device.parse().unwrap();
        config.run.threads = 2;
        config
    }

    #[test]
    fn the_processor_is_named_with_its_threads() {
        let (machine, line) = choose(&config("cpu"), TrainPrecision::F32).unwrap();
        assert!(matches!(machine, Machine::Processor(_)));
        assert_eq!(line, "CPU (2 threads)");
        let (_, line) = choose(&config("cpu"), TrainPrecision::Bf16).unwrap();
        assert!(line.contains("f32"), "{line}");
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn a_program_without_cuda_says_so() {
        let (_, line) = choose(&config("auto"), TrainPrecision::F32).unwrap();
        assert!(line.starts_with("CPU (2 threads); not CUDA: this program"), "{line}");
        let error = choose(&config("cuda"), TrainPrecision::F32).err().unwrap();
        let report = irn_models::error::report(&error);
        assert!(report.contains("make cuda") && report.contains("run.device is cuda"), "{report}");
    }
}
