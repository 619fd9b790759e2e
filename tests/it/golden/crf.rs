//! Group 7: the dense CRF alone (`labels` in, `q` and `label` out) and the relation label.

use anyhow::{Context, Result, bail, ensure};
use irn::label::crf::{CrfSettings, DenseCrf, relation_label};
use ndarray::{Array1, Array2, Array3, ArrayView2, ArrayView3, Axis};
use serde_json::Value;

use super::case::{Case, shaped};
use super::compare::{max_abs, within};

/// Below this difference of the two best marginals either label is right.
const UNDECIDED: f32 = 1e-3;
/// The marginals' tolerance of the plain CRF cases, for cases that give none but have marginals.
const MARGINALS: f64 = 1e-4;

pub fn run(case: &Case) -> Result<()> {
    if case.has("in.labels") {
        plain_crf(case)
    } else if case.has("in.high_res") {
        relation(case)
    } else {
        bail!("an unknown kind of case: {:?}", case.tensor_names()?)
    }
}

fn plain_crf(case: &Case) -> Result<()> {
    let photo: Array3<u8> = shaped(case.u8("in.image")?)?;
    let labels: Array2<i64> = shaped(case.i64("in.labels")?)?;
    let labels = labels.mapv(|label| label as u8);
    let settings = settings_of(case.params())?;
    let n_labels = case.params()["n_labels"].as_u64().context("n_labels")? as usize;
    let crf = DenseCrf::new(photo.view(), &settings)?;
    let q = crf.infer(labels.view(), n_labels)?;
    let label = crf.classify_all(&[labels.view()], n_labels)?.remove(0);

    let expected_q: Array3<f32> = shaped(case.f32("out.q")?)?;
    within("q max abs", max_abs(&q, &expected_q)?, case.tolerance("q_max_abs")?)?;
    within("q mean abs", mean_abs(&q, &expected_q), case.tolerance("q_mean_abs")?)?;
    let expected: Array2<i64> = shaped(case.i64("out.label")?)?;
    let limit = case.tolerance("label_disagreement_where_margin_above_1e-3")?;
    let expected = expected.mapv(|label| label as u8);
    within("labels", decided_disagreement(&label, &expected, &[expected_q.view()])?, limit)?;
    let changed = label.iter().zip(&labels).filter(|(a, b)| a != b).count() as f64;
    let expected_changed = case.params()["pixels_changed_by_crf"].as_f64().unwrap_or(changed);
    let undecided = case.params()["pixels_with_margin_below_0.05"].as_f64().unwrap_or(0.0);
    within("pixels changed", (changed - expected_changed).abs(), undecided)
}

fn relation(case: &Case) -> Result<()> {
    let photo: Array3<u8> = shaped(case.u8("in.image")?)?;
    let high_res: Array3<f32> = shaped(case.f32("in.high_res")?)?;
    let keys: Array1<i64> = shaped(case.i64("in.keys")?)?;
    let keys: Vec<usize> = keys.iter().map(|&key| key as usize).collect();
    let threshold = |name: &str| case.params()[name].as_f64().with_context(|| name.to_string());
    let (fg, bg) = (threshold("conf_fg_thres")? as f32, threshold("conf_bg_thres")? as f32);
    let settings = settings_of(case.params())?;
    let label = relation_label(photo.view(), high_res.view(), &keys, fg, bg, &settings)?;
    let expected: Array2<u8> = shaped(case.u8("out.conf")?)?;

    let mut marginals = Vec::new();
    if case.has("out.fg_q") {
        let crf = DenseCrf::new(photo.view(), &settings)?;
        let starts = [fg, bg].map(|confidence| strongest(high_res.view(), confidence));
        let ours = crf.infer_all(&[starts[0].view(), starts[1].view()], keys.len() + 1)?;
        for (name, q) in ["out.fg_q", "out.bg_q"].into_iter().zip(&ours) {
            let expected: Array3<f32> = shaped(case.f32(name)?)?;
            within(name, max_abs(q, &expected)?, MARGINALS)?;
            marginals.push(expected);
        }
    }
    let limit = case.tolerance("label_disagreement_fraction")?;
    within("conf", super::compare::disagreement(&label, &expected)?, limit)?;
    let views: Vec<_> = marginals.iter().map(|q| q.view()).collect();
    if !views.is_empty() {
        within("conf where decided", decided_disagreement(&label, &expected, &views)?, 0.0)?;
    }
    let counts = case.params()["counts"].as_object().context("counts")?;
    for (value, count) in counts {
        let value: u8 = value.parse()?;
        let ours = label.iter().filter(|&&label| label == value).count() as f64;
        let apart = (ours - count.as_f64().context("a count")?).abs();
        within(&format!("pixels of {value}"), apart, limit * label.len() as f64)?;
    }
    Ok(())
}

/// Upstream's settings, with what the case says of them.
fn settings_of(params: &Value) -> Result<CrfSettings> {
    let mut settings = CrfSettings::default();
    let mut set = |value: &Value, field: fn(&mut CrfSettings) -> &mut f32| {
        if let Some(value) = value.as_f64() {
            *field(&mut settings) = value as f32;
        }
    };
    set(&params["gt_prob"], |s| &mut s.confidence);
    set(&params["gaussian"]["sxy"], |s| &mut s.gaussian_xy);
    set(&params["gaussian"]["compat"], |s| &mut s.gaussian_weight);
    set(&params["bilateral"]["sxy"], |s| &mut s.bilateral_xy);
    set(&params["bilateral"]["srgb"], |s| &mut s.bilateral_rgb);
    set(&params["bilateral"]["compat"], |s| &mut s.bilateral_weight);
    if let Some(steps) = params["t"].as_u64() {
        settings.steps = steps as usize;
    }
    let normalisation = params["normalisation"].as_str().unwrap_or("symmetric");
    ensure!(normalisation == "symmetric", "normalisation {normalisation}");
    Ok(settings)
}

/// Argmax over the threshold and the CAMs, the threshold first.
fn strongest(high_res: ArrayView3<f32>, threshold: f32) -> Array2<u8> {
    let mut best = Array2::from_elem((high_res.dim().1, high_res.dim().2), (0u8, threshold));
    for (class, cam) in high_res.axis_iter(Axis(0)).enumerate() {
        best.zip_mut_with(&cam, |best, &score| {
            if score > best.1 {
                *best = (class as u8 + 1, score);
            }
        });
    }
    best.mapv(|(label, _)| label)
}

/// Share of pixels that differ although all `marginals` decide clearly.
fn decided_disagreement(
    ours: &Array2<u8>,
    theirs: &Array2<u8>,
    marginals: &[ArrayView3<f32>],
) -> Result<f64> {
    ensure!(ours.dim() == theirs.dim(), "shapes {:?} and {:?}", ours.dim(), theirs.dim());
    let decided = |(y, x)| {
        marginals.iter().all(|q| {
            let pixel: ArrayView2<f32> = q.index_axis(Axis(1), y);
            let mut values = pixel.index_axis(Axis(1), x).to_vec();
            values.sort_by(|a, b| b.total_cmp(a));
            values.len() < 2 || values[0] - values[1] > UNDECIDED
        })
    };
    let wrong = ours.indexed_iter().filter(|(at, label)| **label != theirs[*at] && decided(*at));
    Ok(wrong.count() as f64 / ours.len().max(1) as f64)
}

fn mean_abs(ours: &Array3<f32>, theirs: &Array3<f32>) -> f64 {
    let apart = ours.iter().zip(theirs).map(|(a, b)| f64::from((a - b).abs()));
    apart.sum::<f64>() / ours.len().max(1) as f64
}
