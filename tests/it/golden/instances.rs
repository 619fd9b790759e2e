//! Centroids, clusters and detections.

use anyhow::{Result, bail, ensure};
use irn::label::centroids::settle;
use irn::label::clusters::{clusters, weak_components};
use irn::label::instances::detect;
use ndarray::{Array1, Array2, Array3, Axis, concatenate};

use super::case::{Case, shaped};
use super::compare::{disagreement, max_abs, within};

pub fn run(case: &Case) -> Result<()> {
    match (case.has("in.dp"), case.has("in.score_map")) {
        (true, false) => run_centroids(case),
        (false, true) => run_detect(case),
        _ => bail!("{}: an unknown kind of case", case.name),
    }
}

fn run_centroids(case: &Case) -> Result<()> {
    let dp: Array3<f32> = shaped(case.f32("in.dp")?)?;
    let params = case.params();
    let steps = params["iterations"].as_u64().map_or(300, |steps| steps as usize);
    let weak = params["thres"].as_f64().map_or(2.5, |limit| limit as f32);
    let ends = settle(dp.view(), steps);
    let components = weak_components(dp.view(), weak);
    let found = clusters(ends.view(), components.view());
    let sizes: Vec<usize> = (0..found.count)
        .map(|cluster| found.map.iter().filter(|&&of| of == cluster).count())
        .collect();
    ensure!(params["n_clusters"] == found.count, "{} clusters", found.count);
    ensure!(params["cluster_sizes"] == serde_json::json!(sizes), "sizes {sizes:?}");
    let weak_count = components.iter().max().copied().unwrap_or(0);
    ensure!(params["n_weak_components"] == weak_count, "{weak_count} weak components");
    let once = settle(dp.view(), 1);
    for name in case.tensor_names()?.iter().filter_map(|name| name.strip_prefix("out.")) {
        let theirs = case.i64(&format!("out.{name}"))?;
        let (differing, limit) = match name {
            // Exact as well: the case bounds the cluster map, which follows from it.
            "centroids" => (disagreement(&ends.mapv(|p| p as i64), &theirs)?, 0.0),
            "centroids_after_1_iteration" => {
                (disagreement(&once.mapv(|p| p as i64), &theirs)?, case.tolerance(name)?)
            }
            "weak_components" => {
                (disagreement(&components.mapv(i64::from), &theirs)?, case.tolerance(name)?)
            }
            "cluster_map" => (
                disagreement(&found.map.mapv(|cluster| cluster as i64), &theirs)?,
                case.tolerance("cluster_map_disagreement_fraction")?,
            ),
            other => bail!("unknown output {other}"),
        };
        within(name, differing, limit)?;
    }
    Ok(())
}

/// The case's masks may overlap, so each is looked at by itself.
fn run_detect(case: &Case) -> Result<()> {
    let scores: Array3<f32> = shaped(case.f32("in.score_map")?)?;
    let masks: Array3<u8> = shaped(case.u8("in.mask")?)?;
    let classes: Array1<i64> = shaped(case.i64("in.class_id")?)?;
    let least = case.params()["max_fragment_size"].as_f64().unwrap_or(0.0);
    let (mut score, mut class) = (Vec::new(), Vec::new());
    let (_, h, w) = masks.dim();
    let mut mask = Array3::from_elem((0, h, w), false);
    for ((scores, masks), &of) in scores.outer_iter().zip(masks.outer_iter()).zip(&classes) {
        let map: Array2<u32> = masks.mapv(|set| u32::from(set != 0));
        let found = detect(scores, map.view(), &[of as usize], least);
        score.extend(found.score);
        class.extend(found.class.into_iter().map(|class| class as i64));
        mask = concatenate![Axis(0), mask, found.mask];
    }
    ensure!(case.params()["n"] == score.len(), "{} detections", score.len());
    // Upstream's scores are integers when all are 0.
    let scores = case
        .f32("out.score")
        .or_else(|_| Ok::<_, anyhow::Error>(case.i64("out.score")?.mapv(|s| s as f32)))?;
    within("score", max_abs(&Array1::from(score), &scores)?, case.tolerance("score")?)?;
    let masks = case.u8("out.mask")?;
    within("mask", disagreement(&mask.mapv(u8::from), &masks)?, case.tolerance("mask")?)?;
    let classes = case.i64("out.class")?;
    within("class", disagreement(&Array1::from(class), &classes)?, case.tolerance("class")?)
}
