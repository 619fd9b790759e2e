//! `irn-train`: data, training, the whole pipeline.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};

use super::check::CheckData;
use super::{Settings, irn_args};
use crate::data::demo;
use crate::pipeline;
use crate::stage::{Context, Outcome};
use crate::train::calibrate;

const EXAMPLES: &str = "\
Examples:
  irn-train demo-data --out demo/data && irn-train run --config configs/demo.yaml
  irn-train run --config configs/voc12.yaml network.weights=resnet50.safetensors
  irn-train run --config configs/voc12.yaml run.passes=[make_sem_seg,eval_sem_seg]

Exit codes: 0 all done, 1 error, 3 some images were skipped (they are listed), 130 interrupted.
What is finished is kept: the same command goes on where it stopped; --force starts afresh.";

/// Training of IRNet and the whole pipeline, from image-level labels to instance masks.
#[derive(Parser, Debug)]
#[command(name = "irn-train", version, about, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// All steps in order (run.passes), finished ones skipped: the original's run_sample.py
    #[command(after_help = "Examples:
  irn-train run -c configs/voc12.yaml run.out=out/voc12 run.seed=1
  irn-train run --irn-args \"--voc12_root VOCdevkit/VOC2012 --cam_num_epoches 3\"")]
    Run {
        /// Command line of the original's run_sample.py, taken as it is (docs/moving-from-irn.md)
        #[arg(long, value_name = "FLAGS", allow_hyphen_values = true)]
        irn_args: Option<String>,
        #[command(flatten)]
        settings: Settings,
    },
    /// Train the CAM network, write cam.safetensors and cam.onnx
    #[command(after_help = "Example: irn-train cam -c configs/voc12.yaml cam.train.epochs=3")]
    Cam(Settings),
    /// Train IRNet on the store's relation labels, write irn.safetensors and irn.onnx
    #[command(after_help = "Example: irn-train irn -c configs/voc12.yaml irn.train.batch=16")]
    Irn(Settings),
    /// Look through the data set: missing and damaged photos, labels, classes, sizes
    #[command(after_help = "Example: irn-train check-data -c configs/folder.yaml data.root=my\n\
        Exit codes: 0 nothing is wrong, 3 some photos are at fault (they are listed), 1 it can't be trained on")]
    CheckData(CheckData),
    /// Write a drawn data set in the VOC layout
    #[command(after_help = "Example: irn-train demo-data --out demo/data --images 300 --seed 1")]
    DemoData {
        /// Directory to write
        #[arg(long)]
        out: PathBuf,
        /// Number of images
        #[arg(long, default_value_t = 300)]
        images: usize,
        /// Seed of the scenes
        #[arg(long, default_value_t = 0)]
        seed: u64,
        #[command(flatten)]
        settings: Settings,
    },
    /// Write a random backbone whose normalisation is calibrated on the data, as a start without ImageNet
    #[command(after_help = "Example: irn-train calibrate -c my.yaml --out start.safetensors, \
        then network.weights=start.safetensors")]
    Calibrate {
        /// Checkpoint to write
        #[arg(long)]
        out: PathBuf,
        #[command(flatten)]
        settings: Settings,
    },
}

/// Runs the verb.
///
/// # Errors
/// Those of the step.
pub fn run(cli: Cli) -> Result<Outcome> {
    match cli.verb {
        Verb::Run { irn_args, mut settings } => {
            if let Some(flags) = irn_args {
                let context = "in the original's command line";
                let meant = irn_args::overrides(&flags).context(context)?;
                drop(settings.overrides.splice(..0, meant));
            }
            pipeline::run(&open(&settings)?)
        }
        Verb::Cam(settings) => pipeline::train_cam_and_export(&open(&settings)?),
        Verb::Irn(settings) => pipeline::train_irn_and_export(&open(&settings)?),
        Verb::CheckData(check) => check.run(),
        Verb::DemoData { out, images, seed, settings } => {
            settings.load()?;
            demo::generate(&out, images, seed, demo::DEMO_SIDES)?;
            Ok(Outcome { done: images, ..Outcome::default() })
        }
        Verb::Calibrate { out, settings } => {
            let context = open(&settings)?;
            calibrate(&context.config, &context.train_set()?, &out)?;
            Ok(Outcome::default())
        }
    }
}

fn open(settings: &Settings) -> Result<Context> {
    Context::open(settings.load()?, settings.force)
}
