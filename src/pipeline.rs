//! All steps in upstream's order: `run_sample.py`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use irn_export::network::{Network, Overrides};
use irn_export::verify::{Plan, verify};
use irn_models::checkpoint::save_pth;

use crate::config::{Config, Pass};
use crate::data::atomic::write_atomically;
use crate::data::dataset::{Dataset, Item};
use crate::stage::eval::{self, What};
use crate::stage::{Context, Outcome, cam, coco, ins_seg, ir_label, report, sem_seg};
use crate::timings::{self, Timing};
use crate::train::network::Files;
use crate::train::{Trained, train_cam, train_irn};

/// Runs the passes of `run.passes`, in order; finished work is left alone.
///
/// # Errors
/// The first step that can't be done, Ctrl-C. Single images that fail are skipped and listed.
pub fn run(context: &Context) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    adopt(context)?;
    for pass in Pass::ALL.into_iter().filter(|pass| context.config.run.passes.contains(pass)) {
        outcome.absorb(step(context, pass)?);
    }
    Ok(context.outcome(outcome))
}

fn step(context: &Context, pass: Pass) -> Result<Outcome> {
    match pass {
        Pass::TrainCam => train_cam_and_export(context),
        Pass::MakeCam => cam::run(context, &context.every_set()?),
        Pass::EvalCam => evaluate(context, What::Cam),
        Pass::MakeIrLabel => ir_label::run(context, &context.train_set()?),
        Pass::EvalIrLabel => evaluate_on(context, &context.train_set()?, What::IrLabel),
        Pass::TrainIrn => train_irn_and_export(context),
        Pass::MakeSemSeg => sem_seg::run(context, &context.infer_set()?),
        Pass::EvalSemSeg => evaluate(context, What::SemSeg),
        Pass::MakeInsSeg => ins_seg::run(context, &context.infer_set()?),
        Pass::EvalInsSeg => evaluate(context, What::InsSeg),
        Pass::Coco => coco::run(context, &context.infer_set()?),
        Pass::Report => report::run(context, &context.eval_set()?),
    }
}

fn evaluate(context: &Context, what: What) -> Result<Outcome> {
    evaluate_on(context, &context.eval_set()?, what)
}

/// Evaluates the images that have ground truth; without any there is nothing to do.
fn evaluate_on(context: &Context, set: &Dataset, what: What) -> Result<Outcome> {
    let has_truth = |item: &&Item| match what {
        What::InsSeg => item.has_instance_truth(),
        _ => item.has_semantic_truth(),
    };
    let items: Vec<Item> = set.items.iter().filter(has_truth).cloned().collect();
    if items.is_empty() {
        eprintln!("eval {}: no ground truth, nothing to compare with", what.name());
        return Ok(Outcome::default());
    }
    Ok(eval::run(context, &Dataset { items, ..set.clone() }, what)?.1)
}

/// Trains the CAM network where that is not finished, and exports it to `cam.onnx`.
///
/// # Errors
/// Those of the training and of the export.
pub fn train_cam_and_export(context: &Context) -> Result<Outcome> {
    let config = &context.config;
    let set = context.train_set()?;
    let validation = config.data.val_list.as_ref().map(|list| context.dataset(list)).transpose()?;
    timed(context, "train cam", config.cam.train.epochs * set.items.len(), || {
        train_cam(config, &set, validation.as_ref(), context.force)
    })
    .and_then(|outcome| export(context, "cam").map(|()| outcome))
    .and_then(|outcome| write_pth(config, "cam", &config.run.cam_weights).map(|()| outcome))
}

/// Trains IRNet where that is not finished, and exports it to `irn.onnx`.
///
/// # Errors
/// Those of the training and of the export.
pub fn train_irn_and_export(context: &Context) -> Result<Outcome> {
    let config = &context.config;
    let set = context.train_set()?;
    timed(context, "train irn", config.irn.train.epochs * set.items.len(), || {
        train_irn(config, &set, &context.store, context.force)
    })
    .and_then(|outcome| export(context, "irn").map(|()| outcome))
    .and_then(|outcome| write_pth(config, "irn", &config.run.irn_weights).map(|()| outcome))
}

fn timed(
    context: &Context,
    stage: &str,
    images: usize,
    train: impl FnOnce() -> Result<Trained>,
) -> Result<Outcome> {
    let started = Instant::now();
    let Trained { skipped, device } = train()?;
    let seconds = started.elapsed().as_secs_f64();
    let timing = Timing { stage: stage.into(), seconds, images, device };
    timings::append(&context.config.run.out, &timing)?;
    Ok(Outcome { skipped, ..Outcome::default() })
}

/// Models from the original's weights where their training is no pass of this run: `--train_cam_pass
/// False` with a `sess/res50_cam.pth.pth` that is there.
fn adopt(context: &Context) -> Result<()> {
    let run = &context.config.run;
    let networks = [
        (Pass::TrainCam, "cam", &run.cam_weights, &run.cam_model),
        (Pass::TrainIrn, "irn", &run.irn_weights, &run.irn_model),
    ];
    for (pass, network, weights, model) in networks {
        let Some(weights) = weights.as_ref().filter(|weights| weights.exists()) else { continue };
        let files = Files::new(&context.config, network);
        if !run.passes.contains(&pass) && model.is_none() && !files.onnx.exists() {
            eprintln!("{network}: not trained, taken from {}", weights.display());
            let classes = (network == "cam").then(|| context.config.data.classes.clone());
            export_from(context, weights, &Overrides { classes, ..Overrides::default() }, &files)?;
        }
    }
    Ok(())
}

/// The original's kind of file of a finished training, where the settings name one.
fn write_pth(config: &Config, network: &str, path: &Option<PathBuf>) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let (tensors, known) = irn_export::checkpoint::load(&Files::new(config, network).checkpoint)?;
    let (network, _) = Network::build(tensors, known, &Overrides::default())?;
    if let Some(folder) = path.parent() {
        fs_err::create_dir_all(folder)?;
    }
    save_pth(path, &network.tensors())
}

/// Writes and verifies the model of a finished training, unless it is there.
fn export(context: &Context, network: &str) -> Result<()> {
    let files = Files::new(&context.config, network);
    if files.onnx.exists() && !context.force {
        return Ok(());
    }
    export_from(context, &files.checkpoint, &Overrides::default(), &files)
}

fn export_from(
    context: &Context,
    checkpoint: &Path,
    overrides: &Overrides,
    files: &Files,
) -> Result<()> {
    let (tensors, known) = irn_export::checkpoint::load(checkpoint)?;
    let (network, info) = Network::build(tensors, known, overrides)
        .with_context(|| format!("failed to build a network from {}", checkpoint.display()))?;
    let bytes = network.export(&info)?;
    let onnx = &context.config.onnx;
    let threads = context.config.run.thread_count();
    let plan =
        Plan { sizes: onnx.sizes.clone(), tolerance: onnx.tolerance, threads, ..Plan::default() };
    let report = verify(&network, bytes.clone(), &plan).context("failed to compare the export")?;
    if !report.passed() {
        bail!(
            "{} was not written, ONNX Runtime disagrees with Candle:\n{report}",
            files.onnx.display()
        );
    }
    write_atomically(&files.onnx, |file| Ok(file.write_all(&bytes)?))?;
    eprintln!("wrote {}, compared with Candle on {} sizes", files.onnx.display(), plan.sizes.len());
    Ok(())
}
