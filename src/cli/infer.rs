//! `irn-infer`: every inference stage, evaluation, pictures.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

use super::Settings;
use super::coco_files::CocoFiles;
use super::devices::Devices;
use crate::data::dataset::Dataset;
use crate::stage::eval::{Source, What};
use crate::stage::{
    Context, Outcome, cam, coco, eval, export_npy, figures, import_cam, ins_seg, ir_label, one,
    report, scores, sem_seg, sweep,
};

const EXAMPLES: &str = "\
Examples:
  irn-infer cam --config configs/voc12.yaml
  irn-infer sem-seg --config configs/voc12.yaml sem_seg.background=0.3
  irn-infer eval sem-seg --config configs/voc12.yaml data.eval_list=val.txt
  irn-infer one photo.jpg --classes cat,dog --config configs/voc12.yaml

Exit codes: 0 all done, 1 error, 3 some images were skipped (they are listed), 130 interrupted.
Finished images are kept: the same command goes on where it stopped; --force computes them again.";

/// Inference stages of IRNet: from photos and exported models to masks, figures and pictures.
#[derive(Parser, Debug)]
#[command(name = "irn-infer", version, about, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Class activation maps of all images (multi-scale, mirrored) into the store
    #[command(after_help = "Example: irn-infer cam -c configs/voc12.yaml cam.scales=[1.0,0.5]")]
    Cam(Settings),
    /// CAMs of another method (files of irn, AdvCAM, RIB, ReCAM, AMN, CLIMS, SIPE, psa, ...) into the store
    #[command(after_help = "Example: irn-infer import-cam result/cam -c configs/voc12.yaml \
        --method advcam")]
    ImportCam {
        /// Folder of NAME.npy
        dir: PathBuf,
        #[command(flatten)]
        settings: Settings,
    },
    /// The store's CAMs as NAME.npy in the original's layout
    #[command(after_help = "Example: irn-infer export-npy -c configs/voc12.yaml --out result/cam")]
    ExportNpy {
        /// Folder to write; OUT/cam otherwise
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        #[command(flatten)]
        settings: Settings,
    },
    /// Relation labels from the CAMs by two dense CRFs
    #[command(
        after_help = "Example: irn-infer ir-label -c configs/voc12.yaml ir_label.conf_fg=0.35"
    )]
    IrLabel(Settings),
    /// Semantic masks: CAMs spread by the random walk
    #[command(
        after_help = "Example: irn-infer sem-seg -c configs/voc12.yaml sem_seg.background=0.3"
    )]
    SemSeg(Settings),
    /// Instance masks: CAMs split by the displacement field, then spread
    #[command(
        after_help = "Example: irn-infer ins-seg -c configs/voc12.yaml ins_seg.write_npy=false"
    )]
    InsSeg(Settings),
    /// Compare with ground truth: mIoU, threshold sweep, AP
    #[command(after_help = "Examples:
  irn-infer eval ins-seg -c configs/voc12.yaml eval.classes=[cat,dog]
  irn-infer eval cam --from result/cam -c configs/voc12.yaml
  irn-infer eval coco --gt instances_val2017.json --dt results.json")]
    Eval {
        /// What to evaluate
        what: What,
        /// Folder of results that anyone made, in the original's layout: NAME.npy or NAME.png
        #[arg(long, value_name = "DIR")]
        from: Option<PathBuf>,
        #[command(flatten)]
        files: CocoFiles,
        #[command(flatten)]
        settings: Settings,
    },
    /// Find the thresholds of CAMs and masks: with ground truth the best ones, without a proposal
    #[command(after_help = "Example: irn-infer sweep -c configs/voc12.yaml data.eval_list=val.txt")]
    Sweep(Settings),
    /// Score maps as npz files, confidence masks, and semantic masks with 255 where unsure
    #[command(after_help = "Example: irn-infer scores -c configs/voc12.yaml scores.margin=0.1")]
    Scores(Settings),
    /// Instance masks as one COCO annotation file
    #[command(after_help = "Example: irn-infer coco -c configs/voc12.yaml coco.min_score=0.1")]
    Coco(Settings),
    /// A picture per image: photo, CAM, label, boundary, displacement, masks, ground truth
    #[command(after_help = "Example: irn-infer draw -c configs/voc12.yaml data.infer_list=few.txt")]
    Draw(Settings),
    /// One HTML page: curves, figures, pictures
    #[command(after_help = "Example: irn-infer report -c configs/voc12.yaml run.report_images=100")]
    Report(Settings),
    /// What there is to compute on, and why something of it can't be used
    #[command(after_help = "Example: irn-infer devices --device cuda\n\
        Exit codes: 0 the device can be used, 1 it can't")]
    Devices(Devices),
    /// Masks of a single photo with exported models
    #[command(after_help = "Example: irn-infer one photo.jpg --classes cat,dog --out masks \
        run.cam_model=cam.onnx run.irn_model=irn.onnx")]
    One {
        /// The photo
        photo: PathBuf,
        /// Classes it shows, separated by commas; predicted when not given
        #[arg(long, value_delimiter = ',')]
        classes: Option<Vec<String>>,
        /// Directory of the results
        #[arg(long, default_value = ".")]
        out: PathBuf,
        #[command(flatten)]
        settings: Settings,
    },
}

/// Runs the verb.
///
/// # Errors
/// Those of the stage.
pub fn run(cli: Cli) -> Result<Outcome> {
    match cli.verb {
        Verb::Cam(settings) => on_set(&settings, Context::every_set, cam::run),
        Verb::IrLabel(settings) => on_set(&settings, Context::train_set, ir_label::run),
        Verb::SemSeg(settings) => on_set(&settings, Context::infer_set, sem_seg::run),
        Verb::InsSeg(settings) => on_set(&settings, Context::infer_set, ins_seg::run),
        Verb::Eval { what: What::Coco, files, .. } => files.evaluate(),
        Verb::Eval { what, from, settings, .. } => {
            let source = from.map_or(Source::Store, Source::Folder);
            on_set(&settings, Context::eval_set, |context, set| {
                Ok(eval::run_on(context, set, what, &source)?.1)
            })
        }
        Verb::ImportCam { dir, settings } => {
            on_set(&settings, Context::every_set, |context, set| {
                import_cam::run(context, set, &dir)
            })
        }
        Verb::ExportNpy { out, settings } => {
            on_set(&settings, Context::every_set, |context, set| {
                let dir = out.clone().unwrap_or_else(|| context.config.run.dir("cam"));
                export_npy::run(context, set, &dir)
            })
        }
        Verb::Sweep(settings) => sweep::run(&open(&settings)?),
        Verb::Scores(settings) => on_set(&settings, Context::infer_set, scores::run),
        Verb::Coco(settings) => on_set(&settings, Context::infer_set, coco::run),
        Verb::Draw(settings) => on_set(&settings, Context::infer_set, figures::run),
        Verb::Report(settings) => on_set(&settings, Context::eval_set, report::run),
        Verb::Devices(devices) => devices.run(),
        Verb::One { photo, classes, out, settings } => {
            let found = one::run(&settings.load()?, &photo, classes.as_deref(), &out)?;
            print(&found, classes.is_none());
            Ok(Outcome { done: 1, ..Outcome::default() })
        }
    }
}

fn open(settings: &Settings) -> Result<Context> {
    Context::open(settings.load()?, settings.force)
}

fn on_set(
    settings: &Settings,
    set: impl Fn(&Context) -> Result<Dataset>,
    work: impl Fn(&Context, &Dataset) -> Result<Outcome>,
) -> Result<Outcome> {
    let context = open(settings)?;
    let set = set(&context)?;
    Ok(context.outcome(work(&context, &set)?))
}

fn print(found: &one::Found, predicted: bool) {
    let how = if predicted { "predicted" } else { "given" };
    for (class, probability) in &found.classes {
        println!("class {class} ({how}, the network says {probability:.2})");
    }
    for (class, score) in &found.instances {
        println!("instance {class} {score:.3}");
    }
    for file in &found.files {
        println!("wrote {}", file.display());
    }
}
