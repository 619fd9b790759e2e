//! Group 11: semantic and instance evaluation.

use anyhow::{Context, Result, bail, ensure};
use irn::eval::instance::{InstanceEvaluator, Masks};
use irn::eval::precision::Metric;
use irn::eval::semantic::Confusion;
use irn::eval::sweep::Sweep;
use irn::eval::truth::voc_instances;
use irn::label::semantic::label_of;
use ndarray::{Array1, Array2, Array3};
use serde_json::Value;

use super::case::{Case, shaped};
use super::compare::within;

pub fn run(case: &Case) -> Result<()> {
    if case.has("in.segmentation_object") {
        instances_of_voc(case)
    } else if case.has("in.pred_mask_0") {
        instances(case)
    } else if case.has("in.cam_0") {
        cams(case)
    } else if case.has("in.pred_0") {
        semantic(case)
    } else {
        bail!("{}: an unknown kind of evaluation", case.name)
    }
}

fn images(case: &Case) -> Result<u64> {
    case.params()["n_images"].as_u64().context("n_images")
}

fn semantic(case: &Case) -> Result<()> {
    let mut confusion = Confusion::default();
    for i in 0..images(case)? {
        let pred: Array2<u8> = shaped(case.u8(&format!("in.pred_{i}"))?)?;
        let truth: Array2<i64> = shaped(case.i64(&format!("in.gt_{i}"))?)?;
        let mut one = Confusion::default();
        one.add(pred.view(), truth.view())?;
        confusion = confusion.merge(one);
    }
    let expected: Array2<i64> = shaped(case.i64("out.confusion")?)?;
    let confusion = confusion.cut(expected.nrows());
    ensure!(case.tolerance("confusion")? == 0.0, "the matrix is compared exactly");
    ensure!(confusion.counts().mapv(|count| count as i64) == expected, "confusion matrix");
    let scores = confusion.scores(true);
    let background = [scores.background_false_positive, scores.background_false_negative];
    let means = [scores.mean_false_positive, scores.mean_false_negative];
    numbers(case, "iou", "iou", &scores.iou)?;
    numbers(case, "miou", "iou", &[scores.miou])?;
    numbers(case, "fp_bg_fn_bg", "iou", &background)?;
    numbers(case, "mean_fp_fg_mean_fn_fg", "iou", &means)
}

fn cams(case: &Case) -> Result<()> {
    let threshold = case.params()["cam_eval_thres"].as_f64().context("cam_eval_thres")? as f32;
    let mut confusion = Confusion::default();
    let mut sweep = Sweep::new(&[0.05, threshold, 0.6])?;
    for i in 0..images(case)? {
        let cam: Array3<f32> = shaped(case.f32(&format!("in.cam_{i}"))?)?;
        let keys = classes(case, &format!("in.keys_{i}"))?;
        let truth: Array2<i64> = shaped(case.i64(&format!("in.gt_{i}"))?)?;
        confusion.add(label_of(cam.view(), &keys, threshold).view(), truth.view())?;
        sweep.add(cam.view(), &keys, truth.view())?;
    }
    let scores = confusion.scores(true);
    numbers(case, "iou", "iou", &scores.iou)?;
    numbers(case, "miou", "iou", &[scores.miou])?;
    let swept = sweep.finish().into_iter().find(|(at, _)| *at == threshold);
    let swept = swept.context("the threshold is part of the sweep")?.1.scores(true);
    let length = scores.iou.len().min(swept.iou.len());
    numbers(case, "iou", "iou", &swept.iou[..length])?;
    numbers(case, "miou", "iou", &[swept.miou])
}

fn instances(case: &Case) -> Result<()> {
    let runs = average_precisions(case)?;
    let thresholds: Vec<f32> = runs.iter().map(|run| run.threshold).collect();
    let mut evaluator = InstanceEvaluator::new(&thresholds);
    for i in 0..images(case)? {
        let (pred, pred_classes) = masks(case, &format!("pred_{{}}_{i}"))?;
        let (truth, truth_classes) = masks(case, &format!("gt_{{}}_{i}"))?;
        let scores: Array1<f32> = shaped(case.f32(&format!("in.pred_score_{i}"))?)?;
        let pred = Masks { masks: pred.view(), classes: &pred_classes };
        let truth = Masks { masks: truth.view(), classes: &truth_classes };
        let mut one = InstanceEvaluator::new(&thresholds);
        one.add(pred, &scores.to_vec(), truth)?;
        evaluator = evaluator.merge(one)?;
    }
    let tolerance = case.tolerance("ap")?;
    for run in &runs {
        let scores = evaluator.finish(run.metric);
        let ours = scores.iter().find(|s| s.threshold == run.threshold).context("threshold")?;
        compare(&run.key, &run.expected["ap"], &ours.ap, tolerance)?;
        compare(&run.key, &run.expected["map"], &[ours.map], tolerance)?;
    }
    curves(case, &evaluator, tolerance)
}

/// One expected `iouT_METRIC` of an instance case.
struct Run {
    key: String,
    threshold: f32,
    metric: Metric,
    expected: Value,
}

fn average_precisions(case: &Case) -> Result<Vec<Run>> {
    let expected = case.expected().as_object().context("expected")?;
    let mut runs = Vec::new();
    for (key, value) in expected.iter().filter(|(key, _)| key.starts_with("iou")) {
        let (threshold, metric) = key["iou".len()..].split_once('_').context("iouT_METRIC")?;
        let metric = match metric {
            "voc2012" => Metric::Voc2012,
            "voc2007" => Metric::Voc2007,
            other => bail!("metric {other}"),
        };
        let threshold = threshold.parse()?;
        runs.push(Run { key: key.clone(), threshold, metric, expected: value.clone() });
    }
    ensure!(!runs.is_empty(), "no average precision expected");
    Ok(runs)
}

fn curves(case: &Case, evaluator: &InstanceEvaluator, tolerance: f64) -> Result<()> {
    let expected = case.expected().as_object().context("expected")?;
    for (key, value) in expected {
        let Some((kind, threshold)) = key.split_once("_iou") else { continue };
        let ours = evaluator.curves_at(threshold.parse()?)?;
        let theirs = value.as_array().with_context(|| key.clone())?;
        ensure!(ours.len() == theirs.len(), "{key}: {} classes, not {}", ours.len(), theirs.len());
        for (ours, theirs) in ours.into_iter().zip(theirs) {
            let ours = match kind {
                "precision" => ours.map(|curve| curve.precision),
                "recall" => ours.and_then(|curve| curve.recall),
                other => bail!("curve {other}"),
            };
            ensure!(ours.is_none() == theirs.is_null(), "{key}: {ours:?}, not {theirs}");
            let ours: Option<Vec<_>> = ours.map(|values| values.into_iter().map(Some).collect());
            if let Some(ours) = ours {
                compare(key, theirs, &ours, tolerance)?;
            }
        }
    }
    Ok(())
}

fn instances_of_voc(case: &Case) -> Result<()> {
    let class: Array2<u8> = shaped(case.u8("in.segmentation_class")?)?;
    let object: Array2<u8> = shaped(case.u8("in.segmentation_object")?)?;
    let found = voc_instances(class.view(), object.view())?;
    let expected: Array3<u8> = shaped(case.u8("out.mask")?)?;
    ensure!(case.tolerance("all")? == 0.0, "compared exactly");
    ensure!(found.masks.mapv(u8::from) == expected, "masks");
    ensure!(found.classes == classes(case, "out.label")?, "classes");
    Ok(())
}

/// Masks and classes under names like `pred_mask_0`, `pred_label_0` (`pattern` has `{}` for the middle).
fn masks(case: &Case, pattern: &str) -> Result<(Array3<bool>, Vec<usize>)> {
    let name = |what: &str| format!("in.{}", pattern.replace("{}", what));
    let masks: Array3<u8> = shaped(case.u8(&name("mask"))?)?;
    Ok((masks.mapv(|pixel| pixel != 0), classes(case, &name("label"))?))
}

fn classes(case: &Case, name: &str) -> Result<Vec<usize>> {
    let class = |&value: &i64| usize::try_from(value).with_context(|| format!("{name}: {value}"));
    case.i64(name)?.iter().map(class).collect()
}

fn numbers(case: &Case, key: &str, tolerance: &str, ours: &[Option<f64>]) -> Result<()> {
    let expected = case.expected().get(key).with_context(|| format!("expected {key}"))?;
    compare(key, expected, ours, case.tolerance(tolerance)?)
}

/// Compares with a number or a list of numbers; null is `None`.
fn compare(what: &str, expected: &Value, ours: &[Option<f64>], tolerance: f64) -> Result<()> {
    let single = std::slice::from_ref(expected);
    let theirs = expected.as_array().map_or(single, Vec::as_slice);
    ensure!(ours.len() == theirs.len(), "{what}: {} values, not {}", ours.len(), theirs.len());
    for (at, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        match (ours, theirs.as_f64()) {
            (Some(ours), Some(theirs)) => {
                within(&format!("{what} {at}"), (ours - theirs).abs(), tolerance)?
            }
            (None, None) if theirs.is_null() => {}
            _ => bail!("{what} {at}: {ours:?}, not {theirs}"),
        }
    }
    Ok(())
}
