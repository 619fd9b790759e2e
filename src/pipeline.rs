//! All steps in upstream's order: `run_sample.py`.

use std::time::Instant;

use anyhow::Result;
use irn_export::{ExportOptions, export_checkpoint};

use crate::config::Pass;
use crate::stage::eval::{self, What};
use crate::stage::{Context, Outcome, cam, coco, ins_seg, ir_label, report, sem_seg};
use crate::timings::{self, Timing};
use crate::train::network::Files;
use crate::train::{train_cam, train_irn};

/// Runs the passes of `run.passes`, in order; finished work is left alone.
///
/// # Errors
/// The first step that can't be done, Ctrl-C. Single images that fail are skipped and listed.
pub fn run(context: &Context) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    for pass in Pass::ALL.into_iter().filter(|pass| context.config.run.passes.contains(pass)) {
        outcome.absorb(step(context, pass)?);
    }
    Ok(outcome)
}

fn step(context: &Context, pass: Pass) -> Result<Outcome> {
    match pass {
        Pass::TrainCam => train_cam_and_export(context),
        Pass::MakeCam => {
            let set = context.every_set()?;
            let mut outcome = cam::run(context, &set.items)?;
            outcome.skipped.extend(set.problems.skips());
            Ok(outcome)
        }
        Pass::EvalCam => evaluate(context, What::Cam),
        Pass::MakeIrLabel => ir_label::run(context, &context.train_set()?.items),
        Pass::EvalIrLabel => Ok(Outcome::default()),
        Pass::TrainIrn => train_irn_and_export(context),
        Pass::MakeSemSeg => sem_seg::run(context, &context.infer_set()?.items),
        Pass::EvalSemSeg => evaluate(context, What::SemSeg),
        Pass::MakeInsSeg => ins_seg::run(context, &context.infer_set()?.items),
        Pass::EvalInsSeg => evaluate(context, What::InsSeg),
        Pass::Coco => coco::run(context, &context.infer_set()?),
        Pass::Report => report::run(context, &context.eval_set()?),
    }
}

fn evaluate(context: &Context, what: What) -> Result<Outcome> {
    Ok(eval::run(context, what)?.1)
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
        Ok(train_cam(config, &set, validation.as_ref(), context.force)?)
    })
    .and_then(|outcome| export(context, "cam").map(|()| outcome))
}

/// Trains IRNet where that is not finished, and exports it to `irn.onnx`.
///
/// # Errors
/// Those of the training and of the export.
pub fn train_irn_and_export(context: &Context) -> Result<Outcome> {
    let config = &context.config;
    let set = context.train_set()?;
    timed(context, "train irn", config.irn.train.epochs * set.items.len(), || {
        Ok(train_irn(config, &set, &context.store, context.force)?)
    })
    .and_then(|outcome| export(context, "irn").map(|()| outcome))
}

fn timed(
    context: &Context,
    stage: &str,
    images: usize,
    train: impl FnOnce() -> Result<std::collections::BTreeMap<String, String>>,
) -> Result<Outcome> {
    let started = Instant::now();
    let skipped = train()?;
    let timing = Timing { stage: stage.into(), seconds: started.elapsed().as_secs_f64(), images };
    timings::append(&context.config.run.out, &timing)?;
    Ok(Outcome { skipped, ..Outcome::default() })
}

/// Writes and verifies the model of a finished training, unless it is there.
fn export(context: &Context, network: &str) -> Result<()> {
    let files = Files::new(&context.config, network);
    if files.onnx.exists() && !context.force {
        return Ok(());
    }
    export_checkpoint(&files.checkpoint, &files.onnx, &ExportOptions::default())?;
    Ok(())
}
