//! From network outputs to labels: the complete post-processing of one image.

use anyhow::{Context, Result, ensure};
use irn::label::instances::{find_clusters, instances, split};
use irn::label::semantic::semantic;
use irn::label::{Instances, Walk, random_walk};
use ndarray::{Array3, Array4, ArrayView2, Axis};
use serde_json::Value;

use super::case::{Case, shaped};
use super::compare::{disagreement, rel_l2, within};

pub fn run(case: &Case) -> Result<()> {
    let params = case.params();
    let edge: Array3<f32> = shaped(case.f32("in.edge")?)?;
    let edge = edge.index_axis(Axis(0), 0);
    let dp: Array3<f32> = shaped(case.f32("in.dp")?)?;
    let cam: Array3<f32> = shaped(case.f32("in.cam")?)?;
    let keys: Vec<usize> = case.i64("in.keys")?.iter().map(|&key| key as usize).collect();
    let size: (usize, usize) = serde_json::from_value(params["size"].clone())?;
    let walk = Walk {
        radius: number(&params["radius"])? as usize,
        beta: number(&params["beta"])?,
        exp_times: number(&params["exp_times"])? as u32,
    };
    let limit = case.tolerance("rw_rel_l2")?;

    let walked = random_walk(cam.view(), edge, &walk);
    within("sem_rw", rel_l2(&walked, &case.f32("out.sem_rw")?)?, limit)?;
    let threshold = number(&params["sem_seg_bg_thres"])? as f32;
    let label = semantic(walked.view(), &keys, size, threshold, true);
    let differing = disagreement(&label, &case.u8("out.sem_png")?)?;
    within("sem_png", differing, case.tolerance("sem_png_disagreement_fraction")?)?;

    let clusters = find_clusters(dp.view());
    ensure!(params["n_clusters"] == clusters.count, "{} clusters", clusters.count);
    let cams = split(cam.view(), &clusters);
    let walked = random_walk(cams.maps.view(), edge, &walk);
    let theirs: Array4<f32> = shaped(case.f32("out.ins_rw")?)?;
    let mut ours = Array3::zeros((theirs.dim().0, edge.dim().0, edge.dim().1));
    for (map, &(class, cluster)) in walked.outer_iter().zip(&cams.origin) {
        ours.index_axis_mut(Axis(0), class * clusters.count + cluster).assign(&map);
    }
    within("ins_rw", rel_l2(&ours, &theirs)?, limit)?;
    let threshold = number(&params["ins_seg_bg_thres"])? as f32;
    let found = instances(cam.view(), edge, dp.view(), &keys, size, &walk, threshold);
    compare_instances(case, &found)
}

fn number(value: &Value) -> Result<f64> {
    value.as_f64().with_context(|| format!("{value} is no number"))
}

/// Same detections in the same order; where tiny fragments differ, every other detection must have
/// its counterpart.
fn compare_instances(case: &Case, ours: &Instances) -> Result<()> {
    let masks: Array3<u8> = shaped(case.u8("out.ins_mask")?)?;
    // Upstream's scores are f64 or integers when some are 0; the file may keep either.
    let scores = case
        .f32("out.ins_score")
        .or_else(|_| Ok::<_, anyhow::Error>(case.i64("out.ins_score")?.mapv(|s| s as f32)))?;
    let classes = case.i64("out.ins_class")?;
    let mask_limit = case.tolerance("ins_mask_disagreement_fraction")?;
    let score_limit = case.tolerance("ins_score_max_abs")?;
    ensure!(scores.len() == masks.dim().0 && classes.len() == scores.len(), "shapes of the case");
    let mut free: Vec<usize> = (0..ours.score.len()).collect();
    for ((theirs, &score), &class) in masks.outer_iter().zip(&scores).zip(&classes) {
        let overlap = |&i: &usize| (intersection_over_union(ours, i, theirs), i);
        let best = free.iter().map(overlap).max_by(|a, b| a.0.total_cmp(&b.0));
        let Some((_, index)) = best.filter(|&(iou, _)| iou >= 0.5) else {
            ensure!(score == 0.0, "class {class}, score {score}: no counterpart");
            continue;
        };
        free.retain(|&i| i != index);
        ensure!(ours.class[index] as i64 == class, "class {} {class}", ours.class[index]);
        within("score", f64::from((ours.score[index] - score).abs()), score_limit)?;
        let mask = ours.mask.index_axis(Axis(0), index).mapv(u8::from);
        within("mask", disagreement(&mask, &theirs)?, mask_limit)?;
    }
    ensure!(free.iter().all(|&i| ours.score[i] == 0.0), "more detections than upstream");
    Ok(())
}

fn intersection_over_union(ours: &Instances, index: usize, theirs: ArrayView2<u8>) -> f64 {
    let mask = ours.mask.index_axis(Axis(0), index);
    let both = mask.iter().zip(theirs).filter(|&(&a, &b)| a && b != 0).count();
    let either = mask.iter().zip(theirs).filter(|&(&a, &b)| a || b != 0).count();
    both as f64 / either.max(1) as f64
}
