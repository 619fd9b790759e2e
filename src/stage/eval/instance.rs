//! AP of instance masks.

use anyhow::{Context as _, Result};

use super::summary::{Row, Summary};
use super::{Context, Outcome, Source, What};
use crate::data::dataset::{Dataset, Item};
use crate::eval::instance::{InstanceEvaluator, Masks};
use crate::eval::precision::Metric;
use crate::overlap::overlapped;

/// Evaluates the images of `set`.
pub fn evaluate(context: &Context, set: &Dataset, source: &Source) -> Result<(Summary, Outcome)> {
    let settings = &context.config.eval;
    let mut outcome = Outcome::default();
    let mut total = Some(InstanceEvaluator::new(&settings.ap_iou));
    let work = |item: &Item| (item.name.clone(), judge(context, item, source));
    let lookahead = 2 * context.config.run.thread_count();
    overlapped(&context.pool, lookahead, set.items.iter(), work, |(name, judged)| {
        match judged {
            Ok(one) => {
                outcome.done += 1;
                total = total.take().map(|total| total.merge(one)).transpose()?;
            }
            Err(error) => {
                outcome.skipped.insert(name, format!("{error:#}"));
            }
        }
        Ok(())
    })?;
    let metric = if settings.voc2007 { Metric::Voc2007 } else { Metric::Voc2012 };
    let total = total.context("the evaluator is put back after every image")?;
    let scores = total.finish(metric);
    let classes = &context.config.data.classes;
    let ap = |class: usize| {
        scores.iter().map(|scores| scores.ap.get(class).copied().flatten()).collect::<Vec<_>>()
    };
    let rows: Vec<Row> = classes
        .iter()
        .enumerate()
        .map(|(class, name)| Row { class: name.clone(), values: ap(class) })
        .collect();
    let chosen = |row: &&Row| settings.classes.is_empty() || settings.classes.contains(&row.class);
    let mean = |column: usize| {
        let values: Vec<f64> =
            rows.iter().filter(chosen).filter_map(|row| row.values[column]).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let summary = Summary {
        what: What::InsSeg.name().into(),
        images: outcome.done,
        columns: settings.ap_iou.iter().map(|iou| format!("AP{:.0}", 100.0 * iou)).collect(),
        means: (0..settings.ap_iou.len()).map(mean).collect(),
        rows,
        sweep: Vec::new(),
        notes: Vec::new(),
        method: None,
        from: None,
    };
    Ok((summary, outcome))
}

fn judge(context: &Context, item: &Item, source: &Source) -> Result<InstanceEvaluator> {
    let truth = item.instance_truth()?;
    let found = source.instances(context, item)?;
    let mut evaluator = InstanceEvaluator::new(&context.config.eval.ap_iou);
    let masks = Masks { masks: found.mask.view(), classes: &found.class };
    evaluator.add(masks, &found.score, truth.view())?;
    Ok(evaluator)
}
