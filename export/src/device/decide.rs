//! The wish against the machine.

use anyhow::{Context, Result, anyhow};
use irn_models::error::Hint;

use super::driver::Driver;
use super::libraries;
use super::probe::probe;
use super::wish::{Device, Place};
use crate::onnxruntime::environment;

/// What it came to.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Where sessions are opened, never empty.
    pub places: Vec<Place>,
    /// The driver, where a GPU is used.
    pub driver: Option<Driver>,
    /// Why there is no GPU, where one was looked for.
    pub why_not: Option<String>,
}

const FETCH: &str = "`sh scripts/deps.sh cuda` fetches ONNX Runtime's CUDA build and the libraries it needs \
                     into .deps; docs/cuda.md says what else there may be";

/// Where to compute.
///
/// # Errors
/// CUDA was asked for and can't be had; no ONNX Runtime.
pub fn decide(device: &Device) -> Result<Decision> {
    match device {
        Device::Cpu => Ok(on_processor(None)),
        Device::Cuda(numbers) => {
            let wanted = || format!("run.device is {device}, and CUDA can't be used");
            cuda(numbers).with_context(wanted).hint("run.device=auto computes on the CPU instead")
        }
        Device::Auto => Ok(cuda(&[]).unwrap_or_else(|error| on_processor(Some(in_a_line(&error))))),
    }
}

const LOOK: &str = "does `nvidia-smi` list the device, with a driver from 580 on and memory to spare? \
                    docs/cuda.md says what else there may be";

fn on_processor(why_not: Option<String>) -> Decision {
    Decision { places: vec![Place::Cpu], driver: None, why_not }
}

/// The causes without the advice.
fn in_a_line(error: &anyhow::Error) -> String {
    format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// CUDA on the devices with these numbers, on all where there are none.
fn cuda(numbers: &[u32]) -> Result<Decision> {
    let driver = Driver::ask()?;
    let places = places(&driver, numbers)?;
    usable()?;
    for &place in &places {
        let failed = || format!("{place} does not compute");
        let missing = libraries::missing();
        let hint = if missing.is_some() { FETCH } else { LOOK };
        let lost = |names| Err(anyhow!("{names} can't be loaded")).with_context(failed);
        match (probe(place).with_context(failed), missing) {
            (Err(_), Some(names)) => lost(names).hint(hint)?,
            (tried, _) => tried.hint(hint)?,
        }
    }
    Ok(Decision { places, driver: Some(driver), why_not: None })
}

fn places(driver: &Driver, numbers: &[u32]) -> Result<Vec<Place>> {
    let known = u32::try_from(driver.gpus.len())?;
    if let Some(unknown) = numbers.iter().find(|&&number| number >= known) {
        let gpus =
            driver.gpus.iter().zip(0..).map(|(gpu, number)| format!("{number} {}", gpu.name));
        let gpus = gpus.collect::<Vec<_>>().join(", ");
        return Err(anyhow!("there is no CUDA device {unknown}; the driver lists {gpus}"))
            .hint("CUDA_VISIBLE_DEVICES hides devices and gives the others numbers from 0");
    }
    let all: Vec<u32> = (0..known).collect();
    let numbers = if numbers.is_empty() { &all } else { numbers };
    Ok(numbers.iter().map(|&number| Place::Cuda(number)).collect())
}

/// ONNX Runtime's half, as far as it can be told without a device; loads CUDA's libraries.
///
/// # Errors
/// No ONNX Runtime, or a build for the processor.
pub fn usable() -> Result<()> {
    let library = environment::loaded()?;
    if library.has_cuda {
        libraries::load();
        return Ok(());
    }
    Err(anyhow!("{} is ONNX Runtime's CPU build", library.path.display())).hint(FETCH)
}

impl Decision {
    /// How the place and what computes there are named in logs and reports; `precision` in a word.
    ///
    /// # Errors
    /// No ONNX Runtime.
    pub fn describe(&self, threads: usize, precision: &str) -> Result<String> {
        let library = environment::loaded()?;
        let runtime = format!("ONNX Runtime {}", library.version);
        let Some(driver) = &self.driver else {
            let threads =
                if threads == 1 { "1 thread".into() } else { format!("{threads} threads") };
            let why_not = self.why_not.iter().map(|why| format!("; not CUDA: {why}"));
            return Ok(format!("CPU ({threads}, {runtime}){}", why_not.collect::<String>()));
        };
        let name = |place: &Place| match place {
            Place::Cuda(number) => format!("{place}, {}", driver.gpus[*number as usize].name),
            Place::Cpu => place.to_string(),
        };
        let names = self.places.iter().map(name).collect::<Vec<_>>().join(" + ");
        Ok(format!("{names} ({}, {runtime}, CUDA provider, {precision})", driver.version()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Gpu;

    fn driver(names: &[&str]) -> Driver {
        let gpu = |name: &&str| Gpu { name: (*name).into(), memory: 80 << 30, capability: [9, 0] };
        Driver { cuda: [13, 0], release: None, gpus: names.iter().map(gpu).collect() }
    }

    #[test]
    fn all_devices_or_those_that_are_named() {
        let two = driver(&["NVIDIA H100", "NVIDIA L4"]);
        let places = |numbers: &[u32]| super::places(&two, numbers);
        assert_eq!(places(&[]).unwrap(), [Place::Cuda(0), Place::Cuda(1)]);
        assert_eq!(places(&[1]).unwrap(), [Place::Cuda(1)]);
        assert_eq!(places(&[1, 0]).unwrap(), [Place::Cuda(1), Place::Cuda(0)]);
        let error = irn_models::error::report(&places(&[2]).unwrap_err());
        assert!(error.contains("0 NVIDIA H100, 1 NVIDIA L4"), "{error}");
        assert!(error.contains("CUDA_VISIBLE_DEVICES"), "{error}");
    }

    #[test]
    fn the_processor_needs_no_driver() {
        let decision = decide(&Device::Cpu).unwrap();
        assert_eq!((&decision.places[..], &decision.why_not), (&[Place::Cpu][..], &None));
        let line = decision.describe(2, "f32").unwrap();
        assert!(line.starts_with("CPU (2 threads, ONNX Runtime 1."), "{line}");
    }

    #[test]
    fn a_gpu_is_named_with_its_driver() {
        let places = vec![Place::Cuda(0), Place::Cuda(1)];
        let decision = Decision { places, driver: Some(driver(&["A", "B"])), why_not: None };
        let line = decision.describe(2, "tf32").unwrap();
        assert!(line.starts_with("CUDA 0, A + CUDA 1, B (driver of CUDA 13.0, ONNX"), "{line}");
        assert!(line.ends_with("CUDA provider, tf32)"), "{line}");
    }
}
