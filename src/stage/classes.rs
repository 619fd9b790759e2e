//! Classes of photos without a label, predicted by the CAM network: above a threshold, or the most probable one.

use std::collections::BTreeSet;
use std::io::Write;

use anyhow::Result;
use ndarray::Ix1;
use serde_json::json;

use super::eval::{Row, Summary};
use super::{Context, Outcome, cam};
use crate::data::atomic::write_atomically;
use crate::data::dataset::{Dataset, Item};
use crate::eval::coco::annotations::Category;
use crate::overlap::overlapped;

/// Probabilities of logits.
pub fn probabilities(logits: impl IntoIterator<Item = f32>) -> Vec<f32> {
    logits.into_iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect()
}

/// The classes above the threshold, or the most probable one.
pub fn predicted(probabilities: &[f32], threshold: f32) -> Vec<usize> {
    let above = above(probabilities, threshold);
    let best = (0..probabilities.len())
        .max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]).then(b.cmp(&a)));
    if above.is_empty() { best.into_iter().collect() } else { above }
}

fn above(probabilities: &[f32], threshold: f32) -> Vec<usize> {
    (0..probabilities.len()).filter(|&key| probabilities[key] >= threshold).collect()
}

/// Predicted classes against given ones, class by class.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Images seen.
    pub images: usize,
    /// By class: right predictions, predictions, occurrences.
    counts: Vec<[usize; 3]>,
}

impl Tally {
    /// Adds an image whose classes are `given`.
    pub fn add(&mut self, probabilities: &[f32], given: &[usize], threshold: f32) {
        self.images += 1;
        let found = predicted(probabilities, threshold);
        self.counts.resize(self.counts.len().max(probabilities.len()), [0; 3]);
        for (class, [right, predictions, occurrences]) in self.counts.iter_mut().enumerate() {
            let (said, is) = (found.contains(&class), given.contains(&class));
            *right += usize::from(said && is);
            *predictions += usize::from(said);
            *occurrences += usize::from(is);
        }
    }

    /// Share of the predictions that are right, share of the occurrences that are found; over all classes.
    pub fn overall(&self) -> [Option<f64>; 2] {
        let add =
            |sum: [usize; 3], of: &[usize; 3]| [sum[0] + of[0], sum[1] + of[1], sum[2] + of[2]];
        shares(self.counts.iter().fold([0; 3], add))
    }

    fn f1(&self) -> Option<f64> {
        let [precision, recall] = self.overall();
        let (precision, recall) = (precision?, recall?);
        (precision + recall > 0.0).then(|| 2.0 * precision * recall / (precision + recall))
    }
}

fn shares([right, predictions, occurrences]: [usize; 3]) -> [Option<f64>; 2] {
    [predictions, occurrences].map(|of| (of > 0).then(|| right as f64 / of as f64))
}

/// Says which classes were predicted for the photos of `set` without a label, writes them to `predicted.csv` (in
/// the form a folder's `data.labels` has), and says how good such predictions are where `tally` knows.
///
/// # Errors
/// A store that can't be read, a directory that can't be written.
pub fn report(context: &Context, set: &Dataset, tally: &Tally) -> Result<()> {
    let config = &context.config;
    let known = context.store.names(crate::store::Stage::Cam)?;
    let unlabelled = |item: &&Item| item.classes.is_none() && known.contains(&item.name);
    let items: Vec<&Item> = set.items.iter().filter(unlabelled).collect();
    if items.is_empty() {
        return Ok(());
    }
    let mut text = String::from("file,label\n");
    for item in &items {
        let keys = cam::read(context, &item.name)?.keys;
        let names: Vec<&str> = keys.iter().map(|&key| config.data.classes[key].as_str()).collect();
        let file = item.file_name().replace('"', "\"\"");
        text += &format!("\"{file}\",\"{}\"\n", names.join(";").replace('"', "\"\""));
    }
    let path = config.run.out.join("predicted.csv");
    write_atomically(&path, |file| Ok(file.write_all(text.as_bytes())?))?;
    let (count, threshold) = (items.len(), config.cam.class_threshold);
    eprintln!(
        "{count} images have no label; their classes were predicted (probability {threshold} or the most \
         probable one): {}",
        path.display()
    );
    if let ([Some(precision), Some(recall)], images) = (tally.overall(), tally.images) {
        eprintln!(
            "such predictions on {images} labelled images: precision {precision:.3}, recall {recall:.3}"
        );
    }
    Ok(())
}

/// Writes `classes.json`: name, label value in our pictures and category id in COCO files of every class.
///
/// # Errors
/// A directory that can't be written.
pub fn write_names(context: &Context, set: &Dataset) -> Result<()> {
    let class = |(label, category): (usize, &Category)| json!({"name": category.name, "label": label, "category_id": category.id});
    let classes: Vec<_> = (1..).zip(&set.categories).map(class).collect();
    let text = serde_json::to_string_pretty(&classes)?;
    let path = context.config.run.out.join("classes.json");
    write_atomically(&path, |file| Ok(file.write_all(text.as_bytes())?))
}

/// Names of the images that the networks train on, for which predictions say little; none without such a list.
pub fn trained_on(context: &Context) -> BTreeSet<String> {
    let items = context.train_set().map(|set| set.items).unwrap_or_default();
    items.into_iter().map(|item| item.name).collect()
}

/// Precision and recall of predicted classes on the labelled images of `set` whose CAMs are in the store.
///
/// # Errors
/// Ctrl-C. Images without CAMs are skipped and listed.
pub fn evaluate(context: &Context, set: &Dataset) -> Result<(Summary, Outcome)> {
    let config = &context.config;
    let thresholds: Vec<f32> = (1..20).map(|step| step as f32 * 0.05).collect();
    let mut tallies = vec![Tally::default(); thresholds.len()];
    let (mut tally, mut outcome) = (Tally::default(), Outcome::default());
    let labelled = set.items.iter().filter_map(|item| Some((item, item.classes.as_deref()?)));
    let work = |(item, given): (&Item, &[usize])| {
        let stored = cam::read(context, &item.name);
        let found = stored.and_then(|stored| stored.record.f32::<Ix1>("probability"));
        (item.name.clone(), given.to_vec(), found)
    };
    let lookahead = 2 * config.run.thread_count();
    overlapped(&context.pool, lookahead, labelled, work, |(name, given, found)| {
        match found {
            Ok(found) => {
                outcome.done += 1;
                tally.add(&found.to_vec(), &given, config.cam.class_threshold);
                for (tally, &threshold) in tallies.iter_mut().zip(&thresholds) {
                    tally.add(&found.to_vec(), &given, threshold);
                }
            }
            Err(error) => drop(outcome.skipped.insert(name, format!("{error:#}"))),
        }
        Ok(())
    })?;
    let rows = config.data.classes.iter().zip(&tally.counts);
    let rows =
        rows.map(|(class, counts)| Row { class: class.clone(), values: shares(*counts).to_vec() });
    let mut notes = vec![("threshold".to_string(), f64::from(config.cam.class_threshold))];
    let by_f1 = tallies.iter().zip(&thresholds).filter_map(|(tally, at)| Some((tally.f1()?, *at)));
    if let Some((f1, at)) = by_f1.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1))) {
        notes.push(("threshold of the best F1".into(), f64::from(at)));
        notes.push(("best F1".into(), f1));
    }
    let summary = Summary {
        what: "classes".into(),
        images: outcome.done,
        columns: vec!["precision".into(), "recall".into()],
        means: tally.overall().to_vec(),
        rows: rows.collect(),
        sweep: Vec::new(),
        notes,
        method: None,
        from: None,
    };
    Ok((summary, outcome))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn above_the_threshold_or_the_best() {
        assert_eq!(predicted(&[0.6, 0.2, 0.5], 0.5), [0, 2]);
        assert_eq!(predicted(&[0.3, 0.4, 0.4], 0.5), [1], "the first of equals");
        assert!(predicted(&[], 0.5).is_empty());
    }

    #[test]
    fn precision_and_recall() {
        let mut tally = Tally::default();
        tally.add(&[0.9, 0.1, 0.8], &[0, 1], 0.5);
        tally.add(&[0.2, 0.7, 0.1], &[1], 0.5);
        assert_eq!(tally.overall(), [Some(2.0 / 3.0), Some(2.0 / 3.0)]);
        assert_eq!(shares(tally.counts[2]), [Some(0.0), None]);
        assert_eq!(Tally::default().overall(), [None, None]);
        assert_eq!(probabilities([0.0]), [0.5]);
    }
}
