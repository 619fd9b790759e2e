//! `irn-infer devices`: what there is to compute on, and why something of it can't be used.

use anyhow::Result;
use clap::Args;
use irn_export::device::{Driver, decide, libraries};
use irn_export::onnxruntime::environment;

use crate::config::Device;
use crate::error::report;
use crate::stage::Outcome;

/// Which device is tried.
#[derive(Args, Clone, Debug)]
pub struct Devices {
    /// The device that is tried: auto, cpu, cuda, cuda:1, cuda:0,2
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: Device,
}

impl Devices {
    /// Prints the driver, its devices, ONNX Runtime, CUDA's libraries, and what the device comes to.
    ///
    /// # Errors
    /// The device can't be used.
    pub fn run(&self) -> Result<Outcome> {
        match Driver::ask() {
            Ok(driver) => print_driver(&driver),
            Err(error) => print_error("driver", &error),
        }
        match environment::loaded() {
            Ok(library) => {
                let build = if library.has_cuda { "with CUDA" } else { "for the CPU only" };
                print("ONNX Runtime", &format!("{}, {build}", library.version));
                print("", &library.path.display().to_string());
                if library.has_cuda {
                    print_libraries();
                }
            }
            Err(error) => print_error("ONNX Runtime", &error),
        }
        let decision = decide(&self.device)?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        print(&format!("{} is", self.device), &decision.describe(threads, "f32")?);
        Ok(Outcome::default())
    }
}

fn print_driver(driver: &Driver) {
    print("driver", &driver.version());
    for (number, gpu) in driver.gpus.iter().enumerate() {
        let [major, minor] = gpu.capability;
        let memory = gpu.memory as f64 / (1u64 << 30) as f64;
        let line = format!("{}, {memory:.1} GiB, compute capability {major}.{minor}", gpu.name);
        print(&format!("CUDA {number}"), &line);
    }
}

fn print_libraries() {
    for needed in libraries::load() {
        match &needed.loaded {
            Ok(path) => print(needed.name, &path.display().to_string()),
            Err(why) => print(needed.name, &format!("can't be loaded: {why}")),
        }
    }
}

fn print(what: &str, line: &str) {
    println!("{what:26} {line}");
}

fn print_error(what: &str, error: &anyhow::Error) {
    for (place, line) in report(error).lines().enumerate() {
        print(if place == 0 { what } else { "" }, line);
    }
}
