//! Thresholds from the scores in the store: the best ones where there is ground truth, else a proposal
//! ([`crate::eval::proposal`]). Nothing is walked again.

use std::io::Write;

use anyhow::{Result, anyhow};
use ndarray::{Array3, Ix3};
use serde_json::{Value, json};

use super::{Context, Outcome, cam, eval, sem_seg};
use crate::data::atomic::write_atomically;
use crate::data::dataset::Item;
use crate::data::photo::size_of;
use crate::error::Hint;
use crate::eval::proposal::Histogram;
use crate::eval::sweep::Sweep;
use crate::label::semantic::scores;
use crate::overlap::overlapped;
use crate::store::Stage;

/// What is learnt of one kind of score maps.
struct Learnt {
    images: usize,
    judged: usize,
    histogram: Histogram,
    sweep: Sweep,
}

/// Sweeps CAMs and semantic scores of the images that are evaluated, prints the settings to use and writes
/// `eval/thresholds.json`.
///
/// # Errors
/// No score maps in the store, Ctrl-C. Single images that fail are skipped and listed.
pub fn run(context: &Context) -> Result<Outcome> {
    let set = context.eval_set()?;
    let mut outcome = Outcome::default();
    let mut found = serde_json::Map::new();
    for stage in [Stage::Cam, Stage::SemSeg] {
        let names = context.store.names(stage)?;
        let items: Vec<&Item> =
            set.items.iter().filter(|item| names.contains(&item.name)).collect();
        if items.is_empty() {
            continue;
        }
        let learnt = learn(context, stage, &items, &mut outcome)?;
        if let Some((threshold, miou)) = best(context, &learnt)? {
            found.insert(stage.to_string(), said(stage, &learnt, threshold, miou));
        }
    }
    if found.is_empty() {
        return Err(anyhow!("the store has no score maps of the images to sweep over"))
            .hint("make them first: irn-infer cam, irn-infer sem-seg");
    }
    let text = serde_json::to_string_pretty(&Value::Object(found))?;
    let path = context.dir("eval")?.join("thresholds.json");
    write_atomically(&path, |file| Ok(file.write_all(text.as_bytes())?))?;
    Ok(outcome)
}

/// 0.01, 0.02, ..., 0.99.
fn thresholds() -> Vec<f32> {
    (1..100).map(|step| step as f32 / 100.0).collect()
}

fn learn(
    context: &Context,
    stage: Stage,
    items: &[&Item],
    outcome: &mut Outcome,
) -> Result<Learnt> {
    let empty = Sweep::new(&thresholds())?;
    let (histogram, sweep) = (Histogram::default(), empty.clone());
    let mut learnt = Learnt { images: 0, judged: 0, histogram, sweep };
    let work = |item: &&Item| (item.name.clone(), of_image(context, stage, item, empty.clone()));
    let lookahead = 2 * context.config.run.thread_count();
    overlapped(&context.pool, lookahead, items, work, |(name, found)| {
        match found {
            Ok((histogram, sweep)) => {
                outcome.done += 1;
                learnt.images += 1;
                learnt.histogram.merge(&histogram);
                if let Some(sweep) = sweep {
                    learnt.judged += 1;
                    learnt.sweep = learnt.sweep.clone().merge(sweep)?;
                }
            }
            Err(error) => drop(outcome.skipped.insert(name, format!("{error:#}"))),
        }
        Ok(())
    })?;
    Ok(learnt)
}

fn of_image(
    context: &Context,
    stage: Stage,
    item: &Item,
    mut sweep: Sweep,
) -> Result<(Histogram, Option<Sweep>)> {
    let (keys, maps) = score_maps(context, stage, item)?;
    let mut histogram = Histogram::default();
    histogram.add(maps.view());
    if !item.has_semantic_truth() {
        return Ok((histogram, None));
    }
    sweep.add(maps.view(), &keys, item.semantic_truth()?.view())?;
    Ok((histogram, Some(sweep)))
}

/// Classes and normalised maps `[K, H, W]`: the CAMs, or the walk's result under one maximum.
///
/// # Errors
/// An image without them, a damaged store.
pub fn score_maps(
    context: &Context,
    stage: Stage,
    item: &Item,
) -> Result<(Vec<usize>, Array3<f32>)> {
    if stage == Stage::Cam {
        let stored = cam::read(context, &item.name)?;
        return Ok((stored.keys, stored.record.f32::<Ix3>("high_res")?));
    }
    let stored = sem_seg::read(context, &item.name)?;
    let size = size_of(&item.photo, context.config.data.exif)?;
    Ok((stored.keys, scores(stored.walked.view(), size)))
}

/// The threshold of the best mIoU over the images with ground truth; the proposal where there is none.
fn best(context: &Context, learnt: &Learnt) -> Result<Option<(f64, Option<f64>)>> {
    if learnt.judged == 0 {
        return Ok(learnt.histogram.threshold().map(|threshold| (threshold, None)));
    }
    let labels = context.config.data.classes.len() + 1;
    let chosen = eval::chosen(context)?;
    let swept = learnt.sweep.finish().into_iter();
    let miou = |(at, counts): (f32, crate::eval::semantic::Confusion)| {
        Some((f64::from(at), counts.cut(labels).scores(false).miou_over(&chosen)?))
    };
    let best = swept.filter_map(miou).max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.total_cmp(&a.0)));
    Ok(best.map(|(at, miou)| (at, Some(miou))))
}

/// Prints what to set, and returns it.
fn said(stage: Stage, learnt: &Learnt, threshold: f64, miou: Option<f64>) -> Value {
    let how = match miou {
        Some(miou) => {
            format!("best mIoU {:.1} of {} images with ground truth", 100.0 * miou, learnt.judged)
        }
        None => format!("proposed from the scores of {} images, no ground truth", learnt.images),
    };
    let settings: Vec<(&str, f64)> = if stage == Stage::Cam {
        // The rule of thumb of the family (ReCAM, issue 15): foreground .10 to .15 above, background .10 below.
        vec![
            ("cam.eval_threshold", threshold),
            ("ir_label.conf_fg", (threshold + 0.15).min(0.95)),
            ("ir_label.conf_bg", (threshold - 0.10).max(0.02)),
        ]
    } else {
        vec![("sem_seg.background", threshold), ("ins_seg.background", threshold)]
    };
    println!("{stage}: threshold {threshold:.2} ({how})");
    settings.iter().for_each(|(key, value)| println!("  {key}={value:.2}"));
    let proposal = learnt.histogram.threshold();
    if let (Some(_), Some(proposal)) = (miou, proposal) {
        println!("  (without ground truth {proposal:.2} would have been proposed)");
    }
    let settings: serde_json::Map<String, Value> =
        settings.into_iter().map(|(key, value)| (key.to_string(), json!(value))).collect();
    json!({
        "threshold": threshold, "miou": miou, "proposal": proposal, "images": learnt.images,
        "images_with_ground_truth": learnt.judged, "settings": settings,
    })
}
