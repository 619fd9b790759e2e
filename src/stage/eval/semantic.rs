//! mIoU of CAMs, relation labels and semantic masks, with a sweep of the background threshold where
//! scores are at hand.

use anyhow::{Context as _, Result};
use ndarray::Array2;

use super::summary::{Row, Summary};
use super::{Context, Outcome, Source, What};
use crate::data::dataset::{Dataset, Item};
use crate::eval::semantic::Confusion;
use crate::eval::sweep::Sweep;
use crate::label::semantic::{label_of, scores};
use crate::overlap::overlapped;

/// One image: its confusion matrix, and that of every threshold.
struct Judged {
    confusion: Confusion,
    sweep: Option<Sweep>,
    /// Share of pixels that have a label (relation labels).
    known: f64,
}

/// Evaluates the images of `set`.
pub fn evaluate(
    context: &Context,
    set: &Dataset,
    what: What,
    source: &Source,
) -> Result<(Summary, Outcome)> {
    let thresholds = thresholds(context);
    let mut outcome = Outcome::default();
    let labels = context.config.data.classes.len() + 1;
    let mut total = Confusion::new(labels);
    let mut sweep: Option<Sweep> = None;
    let mut known = 0.0;
    let work = |item: &Item| (item.name.clone(), judge(context, item, (what, source), &thresholds));
    let lookahead = 2 * context.config.run.thread_count();
    overlapped(&context.pool, lookahead, set.items.iter(), work, |(name, judged)| {
        match judged {
            Ok(judged) => {
                outcome.done += 1;
                known += judged.known;
                total = std::mem::take(&mut total).merge(judged.confusion);
                if let Some(one) = judged.sweep {
                    sweep = Some(match sweep.take() {
                        Some(before) => before.merge(one)?,
                        None => one,
                    });
                }
            }
            Err(error) => {
                outcome.skipped.insert(name, format!("{error:#}"));
            }
        }
        Ok(())
    })?;
    let chosen = chosen(context)?;
    let scores = total.cut(labels).scores(context.config.run.compat);
    let names =
        std::iter::once("background").chain(context.config.data.classes.iter().map(String::as_str));
    let rows =
        names.zip(&scores.iou).map(|(class, iou)| Row { class: class.into(), values: vec![*iou] });
    let sweep = sweep.map_or(Vec::new(), |sweep| sweep.finish());
    let mut notes = Vec::new();
    if what == What::IrLabel && outcome.done > 0 {
        notes.push(("share of labelled pixels".to_string(), known / outcome.done as f64));
    }
    notes.extend(scores.accuracy.map(|accuracy| ("pixel accuracy".to_string(), accuracy)));
    let summary = Summary {
        what: what.name().into(),
        images: outcome.done,
        columns: vec!["IoU".into()],
        means: vec![scores.miou_over(&chosen)],
        rows: rows.collect(),
        sweep: sweep
            .into_iter()
            .map(|(threshold, confusion)| {
                let scores = confusion.cut(labels).scores(context.config.run.compat);
                (threshold, scores.miou_over(&chosen))
            })
            .collect(),
        notes,
        method: None,
        from: None,
    };
    Ok((summary, outcome))
}

/// The thresholds of `eval.sweep`.
fn thresholds(context: &Context) -> Vec<f32> {
    let [first, last, step] = context.config.eval.sweep;
    let count = ((last - first) / step).round() as usize;
    (0..=count).map(|i| first + i as f32 * step).collect()
}

/// Label values that means are taken over: background and `eval.classes`, or all.
///
/// # Errors
/// A name in `eval.classes` that is no class.
pub fn chosen(context: &Context) -> Result<Vec<usize>> {
    let classes = &context.config.data.classes;
    let wanted = &context.config.eval.classes;
    if wanted.is_empty() {
        return Ok((0..=classes.len()).collect());
    }
    let number = |name: &String| {
        let position = classes.iter().position(|class| class == name);
        position.map(|at| at + 1).with_context(|| format!("eval.classes: '{name}' is no class"))
    };
    let mut chosen = wanted.iter().map(number).collect::<Result<Vec<_>>>()?;
    chosen.insert(0, 0);
    Ok(chosen)
}

fn judge(
    context: &Context,
    item: &Item,
    (what, source): (What, &Source),
    thresholds: &[f32],
) -> Result<Judged> {
    let mut truth = item.semantic_truth()?;
    let mut confusion = Confusion::default();
    let mut sweep = Sweep::new(thresholds)?;
    let mut known = 1.0;
    let swept = match what {
        What::Cam => {
            let (keys, maps) = source.cam(context, item)?;
            let label = label_of(maps.view(), &keys, context.config.cam.eval_threshold);
            confusion.add(label.view(), truth.view())?;
            sweep.add(maps.view(), &keys, truth.view())?;
            true
        }
        What::IrLabel => {
            let label = source.ir_label(context, item)?;
            known = leave_out_unknown(&label, &mut truth)?;
            confusion.add(label.view(), truth.view())?;
            false
        }
        _ => {
            let found = source.semantic(context, item)?;
            confusion.add(found.label.view(), truth.view())?;
            if let Some((keys, walked)) = &found.walked {
                let scores = scores(walked.view(), truth.dim());
                sweep.add(scores.view(), keys, truth.view())?;
            }
            found.walked.is_some()
        }
    };
    Ok(Judged { confusion, sweep: swept.then_some(sweep), known })
}

/// Ignores the pixels whose relation label is unknown; returns the share of the others.
fn leave_out_unknown(label: &Array2<u8>, truth: &mut Array2<u8>) -> Result<f64> {
    anyhow::ensure!(label.dim() == truth.dim(), "label and ground truth differ in size");
    let mut known = 0usize;
    ndarray::Zip::from(&mut *truth).and(label).for_each(|truth, &label| match label {
        255 => *truth = 255,
        _ => known += 1,
    });
    Ok(known as f64 / truth.len().max(1) as f64)
}
