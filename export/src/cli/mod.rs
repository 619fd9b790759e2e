//! The program `irn-export`: command line in, exit code out. One file a kind of work.

mod convert;
mod diff;
mod form;
mod inspect;
mod labels;
mod onnx;
mod photos;
mod verify;
mod web;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use irn_models::error::report;

use self::form::{FormArgs, Graph};
use crate::device::Device;
use crate::info::ModelInfo;
use crate::network::{Network, Overrides};
use crate::settings::Settings;
use crate::verify::Plan;
use crate::{checkpoint, settings};

const EXAMPLES: &str = "\
Examples:
  irn-export onnx out/cam.safetensors --out out/cam.onnx
  irn-export onnx sess/res50_irn.pth --out irn.onnx onnx.tolerance=1e-5
  irn-export onnx sess/res50_cam.pth.pth --out cam.onnx --classes cat,dog,bird
  irn-export verify out/cam.onnx --against out/cam.safetensors 'onnx.sizes=[[1,375,500]]'
  irn-export verify labels.onnx --runtime-report run.threads=2
  irn-export verify cam.onnx --against cam.safetensors --device cuda --runtime-report
  irn-export onnx --graph labels out/cam.safetensors out/irn.safetensors --out labels.onnx
  irn-export onnx out/cam.safetensors --out cam8.onnx --int8 photos/
  irn-export web --cam out/cam.onnx --irn out/irn.onnx --out page
  irn-export pth out/cam.safetensors --out sess/res50_cam.pth.pth
  irn-export inspect sess/res50_irn.pth
  irn-export diff sess/res50_cam.pth.pth out/cam.safetensors

ONNX Runtime is found by itself below .deps/onnxruntime (`make deps`); IRN_ONNXRUNTIME names another.";

/// Writes trained networks as ONNX files and checks that they compute the same; reads, writes and compares
/// checkpoints.
#[derive(Debug, Parser)]
#[command(name = "irn-export", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write a checkpoint as an ONNX file, then compare the two.
    ///
    /// Opset 17; batch, height and width stay open; batch norm is folded. The file says which network
    /// it is, its classes, normalisation, stride, settings, and the hash of its weights. With
    /// --graph labels one file holds all that leads from a photo to its semantic mask.
    #[command(after_help = EXAMPLES)]
    Onnx {
        /// Trained network: our own .safetensors, or upstream's .pth. For --graph labels the CAM
        /// network, followed by the IRNet.
        checkpoint: PathBuf,
        /// What is written.
        #[arg(long, value_enum, default_value_t)]
        graph: Graph,
        #[command(flatten)]
        form: FormArgs,
        /// File to write.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Write without comparing (needs no ONNX Runtime).
        #[arg(long)]
        no_verify: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Compare an ONNX file with the checkpoint it was written from, on photos of several odd sizes.
    ///
    /// Prints the largest absolute and relative difference of every output; where one is out of
    /// tolerance, the first node that differs, and exits with 1. Without a checkpoint the file is compared
    /// with itself: ONNX Runtime changes the graph for the machine it runs on, and this says by how much
    /// that changes the result.
    #[command(after_help = EXAMPLES)]
    Verify {
        /// File to check: a network, or (without --against) a graph of labels.
        model: PathBuf,
        /// The trained network it was written from.
        #[arg(long, value_name = "CHECKPOINT")]
        against: Option<PathBuf>,
        /// Also say what ONNX Runtime is and did: library, providers, the operations that each ran, what
        /// ran elsewhere than asked.
        #[arg(long)]
        runtime_report: bool,
        /// Print everything as JSON.
        #[arg(long)]
        json: bool,
        /// Where ONNX Runtime computes: auto, cpu, cuda or cuda:1. Candle computes on the CPU.
        #[arg(long, default_value = "cpu")]
        device: Device,
        #[command(flatten)]
        common: Common,
    },
    /// Assemble the page that segments photos in a browser, with one's own models.
    ///
    /// Needs the built page (`make web`); any file server can serve the folder, nothing leaves the browser.
    #[command(after_help = EXAMPLES)]
    Web {
        /// Exported CAM model.
        #[arg(long, value_name = "FILE")]
        cam: PathBuf,
        /// Exported IRNet model.
        #[arg(long, value_name = "FILE")]
        irn: PathBuf,
        /// Folder to write.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// The built page; found by itself as export/web/dist above the program or the working directory.
        #[arg(long, value_name = "DIR")]
        page: Option<PathBuf>,
    },
    /// Write a checkpoint as the original's .pth.
    ///
    /// PyTorch's zip form, every parameter under each of the original's names; loads with strict=True.
    #[command(after_help = EXAMPLES)]
    Pth {
        /// Trained network: our own .safetensors, or another .pth.
        checkpoint: PathBuf,
        /// File to write.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        common: Common,
    },
    /// Write a checkpoint as our own .safetensors, which says what it is.
    #[command(after_help = EXAMPLES)]
    Safetensors {
        /// Trained network: upstream's .pth, or another .safetensors.
        checkpoint: PathBuf,
        /// File to write.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        common: Common,
    },
    /// Say what a checkpoint is, what it holds, and what it lacks for which network.
    #[command(after_help = EXAMPLES)]
    Inspect {
        /// .safetensors or .pth.
        file: PathBuf,
        /// Print as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Compare two checkpoints, parameter by parameter; exits with 1 where they differ.
    #[command(after_help = EXAMPLES)]
    Diff {
        /// One checkpoint.
        a: PathBuf,
        /// The other.
        b: PathBuf,
        /// Largest difference allowed, relative to the parameter's largest magnitude.
        #[arg(long, default_value_t = 0.0)]
        tolerance: f64,
        /// Print as JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Default, Args)]
struct Common {
    /// Class names in the network's order, for checkpoints that don't hold them (20: those of VOC).
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    classes: Option<Vec<String>>,
    /// resnet18, resnet34, resnet50 or resnet101; found out from the checkpoint otherwise.
    #[arg(long, value_name = "NAME")]
    backbone: Option<String>,
    /// Width factor of the backbone; found out from the checkpoint otherwise.
    #[arg(long, value_name = "FACTOR")]
    width: Option<f64>,
    /// Settings file; of it `onnx`, `run.threads` and what --graph labels needs are read.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Settings: `onnx.tolerance=1e-4`, `onnx.sizes=[[batch,height,width],...]`, `run.threads=2`; for
    /// --graph labels `cam.scales=[1.0,0.5]`, `irn.pad`, `walk.radius`, `walk.beta`, `walk.exp_times`,
    /// `sem_seg.background`.
    #[arg(value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

impl Common {
    fn network(&self, path: &Path) -> Result<(Network, ModelInfo)> {
        let overrides = Overrides {
            classes: self.classes.clone(),
            backbone: self.backbone.clone(),
            width: self.width,
        };
        let (tensors, known) = checkpoint::load(path)?;
        Network::build(tensors, known, &overrides)
            .with_context(|| format!("failed to build a network from {}", path.display()))
    }

    fn settings(&self) -> Result<Settings> {
        settings::read(self.config.as_deref(), &self.overrides)
    }

    fn plan(&self) -> Result<Plan> {
        Ok(self.settings()?.plan)
    }
}

/// Runs the program on the process's arguments.
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().verb {
        Verb::Onnx { checkpoint, graph: Graph::Network, form, out, no_verify, common } => {
            onnx::onnx(&checkpoint, &out, &form, no_verify, &common)
        }
        Verb::Onnx { checkpoint, graph: Graph::Labels, form, out, common, .. } => {
            labels::labels(&checkpoint, &out, &form, common)
        }
        Verb::Verify { model, against, runtime_report, json, device, common } => {
            verify::check(&model, against.as_deref(), runtime_report, json, &device, &common)
        }
        Verb::Web { cam, irn, out, page } => web::web(&cam, &irn, &out, page.as_deref()),
        Verb::Pth { checkpoint, out, common } => convert::pth(&checkpoint, &out, &common),
        Verb::Safetensors { checkpoint, out, common } => {
            convert::safetensors(&checkpoint, &out, &common)
        }
        Verb::Inspect { file, json } => inspect::inspect(&file, json),
        Verb::Diff { a, b, tolerance, json } => diff::diff(&a, &b, tolerance, json),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{}", report(&error));
            ExitCode::from(2)
        }
    }
}

/// Writes beside the target and renames, so that no half-written file is ever seen.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let failed = || format!("failed to write {}", path.display());
    fs_err::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".irn-export-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder).with_context(failed)?;
    file.write_all(bytes).with_context(failed)?;
    file.as_file().sync_all().with_context(failed)?;
    file.persist(path).map_err(|error| error.error).with_context(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
        let arguments =
            ["irn-export", "verify", "a.onnx", "run.threads=2", "--against=b.safetensors"];
        let Verb::Verify { common, .. } = Cli::parse_from(arguments).verb else { panic!("verify") };
        assert_eq!(common.overrides, ["run.threads=2"]);
    }

    #[test]
    fn writing_replaces_the_file_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/model.onnx");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs_err::read(&path).unwrap(), b"two");
        assert_eq!(fs_err::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
