//! Instance masks against ground truth: average precision by mask IoU (upstream's `eval_ins_seg.py`; matching as
//! in chainercv's `calc_instance_segmentation_voc_prec_rec`).

use std::cmp::Ordering;
use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use ndarray::ArrayView3;
use serde::Serialize;

use super::bitmask::BitMask;
use super::precision::{Curve, Metric};
use super::semantic::mean;

/// The IoU thresholds that are reported.
pub const THRESHOLDS: [f32; 4] = [0.25, 0.5, 0.7, 0.75];

/// Masks of one image: `[N, h, w]`, 0-based classes `[N]`.
#[derive(Clone, Copy, Debug)]
pub struct Masks<'a> {
    /// One mask per instance.
    pub masks: ArrayView3<'a, bool>,
    /// The class of each mask, 0-based.
    pub classes: &'a [usize],
}

impl Masks<'_> {
    fn packed(&self, class: usize) -> Vec<BitMask> {
        let of_class = self.masks.outer_iter().zip(self.classes).filter(|(_, c)| **c == class);
        of_class.map(|(mask, _)| BitMask::new(mask)).collect()
    }
}

/// What is known of one class: ranked detections over all images, and how many objects there are.
#[derive(Clone, Debug)]
struct Record {
    positives: usize,
    scores: Vec<f32>,
    /// For each threshold, whether each detection found an object of its own.
    hits: Vec<Vec<bool>>,
}

/// Average precision over a set of images.
#[derive(Clone, Debug)]
pub struct InstanceEvaluator {
    thresholds: Vec<f32>,
    records: BTreeMap<usize, Record>,
}

/// Average precision at one IoU threshold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InstanceScores {
    /// The least IoU of a match.
    pub threshold: f32,
    /// Mean over the classes that have an `ap`.
    pub map: Option<f64>,
    /// By class; `None` for a class without ground truth. As long as the largest class seen + 1.
    pub ap: Vec<Option<f64>>,
}

impl InstanceEvaluator {
    /// An evaluator without images; [`THRESHOLDS`] are the usual thresholds.
    pub fn new(thresholds: &[f32]) -> Self {
        Self { thresholds: thresholds.to_vec(), records: BTreeMap::new() }
    }

    /// Adds one image: predictions with a score each, and ground truth.
    ///
    /// # Errors
    /// When numbers of masks, classes and scores disagree, or masks differ in size.
    pub fn add(&mut self, predicted: Masks, scores: &[f32], truth: Masks) -> Result<()> {
        check("predictions", &predicted)?;
        check("ground truth", &truth)?;
        let count = predicted.classes.len();
        ensure!(scores.len() == count, "{count} predictions but {} scores", scores.len());
        let (ours, theirs) = (predicted.masks.shape(), truth.masks.shape());
        let comparable = count == 0 || truth.classes.is_empty() || ours[1..] == theirs[1..];
        ensure!(comparable, "predicted masks are {ours:?}, ground truth {theirs:?}");
        let mut classes = [predicted.classes, truth.classes].concat();
        classes.sort_unstable();
        classes.dedup();
        for class in classes {
            let of_class = scores.iter().zip(predicted.classes).filter(|(_, c)| **c == class);
            let scores: Vec<f32> = of_class.map(|(score, _)| *score).collect();
            self.add_class(class, &predicted.packed(class), &scores, &truth.packed(class));
        }
        Ok(())
    }

    fn add_class(&mut self, class: usize, pred: &[BitMask], scores: &[f32], truth: &[BitMask]) {
        let order = ranked(scores);
        let best: Vec<_> = order.iter().map(|&at| best_match(&pred[at], truth)).collect();
        let empty = || Record {
            positives: 0,
            scores: Vec::new(),
            hits: vec![Vec::new(); self.thresholds.len()],
        };
        let record = self.records.entry(class).or_insert_with(empty);
        record.positives += truth.len();
        record.scores.extend(order.iter().map(|&at| scores[at]));
        for (&threshold, hits) in self.thresholds.iter().zip(&mut record.hits) {
            hits.extend(claims(&best, threshold, truth.len()));
        }
    }

    /// Appends the images of `other`. Which of two equal scores ranks higher depends on the order of images: merge
    /// neighbouring parts in that order, and the result does not depend on how the images were split.
    ///
    /// # Errors
    /// When the thresholds differ.
    pub fn merge(mut self, other: Self) -> Result<Self> {
        ensure!(self.thresholds == other.thresholds, "evaluators with different IoU thresholds");
        for (class, theirs) in other.records {
            match self.records.get_mut(&class) {
                Some(ours) => ours.append(theirs),
                None => _ = self.records.insert(class, theirs),
            }
        }
        Ok(self)
    }

    /// Average precision at every threshold.
    pub fn finish(&self, metric: Metric) -> Vec<InstanceScores> {
        let scores = |(at, &threshold): (usize, &f32)| {
            let curves = self.curves(at).into_iter();
            let average = |curve: Option<Curve>| curve.and_then(|curve| curve.average(metric));
            let ap: Vec<_> = curves.map(average).collect();
            InstanceScores { threshold, map: mean(&ap), ap }
        };
        self.thresholds.iter().enumerate().map(scores).collect()
    }

    /// Precision and recall by class at `threshold`; `None` for a class seen nowhere.
    ///
    /// # Errors
    /// When the evaluator was not made for this threshold.
    pub fn curves_at(&self, threshold: f32) -> Result<Vec<Option<Curve>>> {
        let at = self.thresholds.iter().position(|&held| held == threshold);
        Ok(self.curves(at.with_context(|| format!("IoU threshold {threshold} is not evaluated"))?))
    }

    fn curves(&self, at: usize) -> Vec<Option<Curve>> {
        let classes = self.records.keys().max().map_or(0, |last| last + 1);
        (0..classes).map(|class| self.records.get(&class).map(|record| record.curve(at))).collect()
    }
}

impl Record {
    fn append(&mut self, other: Self) {
        self.positives += other.positives;
        self.scores.extend(other.scores);
        for (ours, theirs) in self.hits.iter_mut().zip(other.hits) {
            ours.extend(theirs);
        }
    }

    fn curve(&self, at: usize) -> Curve {
        let order = ranked(&self.scores);
        Curve::new(order.into_iter().map(|rank| self.hits[at][rank]), self.positives)
    }
}

fn check(what: &str, masks: &Masks) -> Result<()> {
    let (count, classes) = (masks.masks.len_of(ndarray::Axis(0)), masks.classes.len());
    ensure!(count == classes, "{what}: {count} masks but {classes} classes");
    Ok(())
}

/// Indices by score, best first; among equal scores the later one first, as numpy's stable `argsort()[::-1]`.
fn ranked(scores: &[f32]) -> Vec<usize> {
    let by_score = |&a: &usize, &b: &usize| -> Ordering {
        let unordered = || scores[a].is_nan().cmp(&scores[b].is_nan());
        scores[a].partial_cmp(&scores[b]).unwrap_or_else(unordered)
    };
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(by_score);
    order.reverse();
    order
}

/// The ground truth mask with the largest IoU, the first of equals. NaN (both empty) counts as the largest,
/// because numpy's `argmax` returns it.
fn best_match(pred: &BitMask, truth: &[BitMask]) -> Option<(usize, f32)> {
    let mut best: Option<(usize, f32)> = None;
    for (at, mask) in truth.iter().enumerate() {
        let iou = pred.iou(mask);
        if iou.is_nan() {
            return Some((at, iou));
        }
        if best.is_none_or(|(_, held)| iou > held) {
            best = Some((at, iou));
        }
    }
    best
}

/// Whether each detection is the first to claim its best object. One that comes second is a false positive, even
/// if another object would match too.
fn claims(best: &[Option<(usize, f32)>], threshold: f32, objects: usize) -> Vec<bool> {
    let mut taken = vec![false; objects];
    let claim = |found: &Option<(usize, f32)>| match *found {
        Some((at, iou)) if iou.is_nan() || iou >= threshold => {
            !std::mem::replace(&mut taken[at], true)
        }
        _ => false,
    };
    best.iter().map(claim).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, Axis, concatenate, s};

    use super::*;

    /// One mask of `width` columns from `left` on, in a 4 x 20 image.
    fn strip(left: usize, width: usize) -> Array3<bool> {
        let mut mask = Array3::from_elem((1, 4, 20), false);
        mask.slice_mut(s![.., .., left..left + width]).fill(true);
        mask
    }

    /// Predicted masks, their scores, ground truth.
    type Part<'a> = (&'a [Array3<bool>], &'a [f32], &'a [Array3<bool>]);

    fn evaluate(parts: &[Part]) -> InstanceEvaluator {
        let stack = |masks: &[Array3<bool>]| {
            let views: Vec<_> = masks.iter().map(|mask| mask.view()).collect();
            concatenate(Axis(0), &views).unwrap()
        };
        let mut evaluator = InstanceEvaluator::new(&THRESHOLDS);
        for (pred, scores, truth) in parts {
            let (pred, truth) = (stack(pred), stack(truth));
            let (zeros, ones) = (vec![0; pred.len_of(Axis(0))], vec![0; truth.len_of(Axis(0))]);
            let pred = Masks { masks: pred.view(), classes: &zeros };
            evaluator.add(pred, scores, Masks { masks: truth.view(), classes: &ones }).unwrap();
        }
        evaluator
    }

    #[test]
    fn a_taken_object_is_not_shared() {
        let truth = [strip(0, 10), strip(10, 10)];
        let pred = [strip(0, 10), strip(0, 9), strip(15, 5)];
        let scores = evaluate(&[(&pred, &[0.9, 0.8, 0.7], &truth)]).finish(Metric::Voc2012);
        assert_eq!(scores[1].threshold, 0.5);
        let expected = 0.5 + 0.5 * 2.0 / 3.0;
        assert!((scores[1].map.unwrap() - expected).abs() < 1e-12, "exactly 0.5 is a match");
        assert_eq!(scores[2].map, Some(0.5));
    }

    #[test]
    fn later_of_equal_scores_ranks_higher() {
        assert_eq!(ranked(&[0.5, 0.5, 0.9, f32::NAN, 0.5]), [3, 2, 4, 1, 0]);
    }

    #[test]
    fn parts_merge_to_the_whole() {
        let truth = [strip(0, 10)];
        let right: [Array3<bool>; 1] = [strip(0, 8)];
        let wrong: [Array3<bool>; 1] = [strip(12, 8)];
        let images: [Part; 3] =
            [(&right, &[0.5], &truth), (&wrong, &[0.5], &truth), (&right, &[0.5], &truth)];
        let whole = evaluate(&images).finish(Metric::Voc2007);
        let parts = evaluate(&images[..1]).merge(evaluate(&images[1..])).unwrap();
        assert_eq!(parts.finish(Metric::Voc2007), whole);
    }

    #[test]
    fn disagreeing_input_is_an_error() {
        let mask = strip(0, 3);
        let good = Masks { masks: mask.view(), classes: &[0] };
        let bad = Masks { masks: mask.view(), classes: &[0, 1] };
        let mut evaluator = InstanceEvaluator::new(&[0.5]);
        assert!(evaluator.add(bad, &[0.1], good).is_err());
        assert!(evaluator.add(good, &[], good).is_err());
        assert!(evaluator.curves_at(0.3).is_err());
    }
}
