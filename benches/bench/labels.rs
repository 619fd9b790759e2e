//! The label engine: random walk, relation labels, instances.

use anyhow::{Context, Result};
use irn::label::centroids::{STEPS, settle};
use irn::label::clusters::{WEAK, clusters, weak_components};
use irn::label::crf::{CrfSettings, relation_label};
use irn::label::instances::{detect, split};
use irn::label::winners::winners;
use irn::label::{Walk, random_walk};
use ndarray::{Array2, Array3, Ix2, Ix3, Zip};

use super::inputs::{Inputs, alone, largest};
use super::measure::Measured;

/// Four objects side by side in a map, as the peer's `scene`: ten maps with scores in one object each, and
/// a boundary map.
fn scene(h: usize, w: usize) -> (Array3<f32>, Array2<f32>) {
    let noise = |at: usize| ((at * 7919 + at / 13 * 104_729) % 1000) as f32 / 1000.0;
    let object = Array2::from_shape_fn((h, w), |(y, x)| {
        let k = 4 * x / w;
        let center = if k.is_multiple_of(2) { 0.3 } else { 0.7 };
        let dy = (y as f64 / h as f64 - center) / 0.25;
        let dx = (4.0 * x as f64 / w as f64 - k as f64 - 0.5) / 0.45;
        if dy * dy + dx * dx < 1.0 { k + 1 } else { 0 }
    });
    let maps = Array3::from_shape_fn((10, h, w), |(c, y, x)| {
        if object[[y, x]] == c % 4 + 1 { noise(c * 31 + y * w + x) } else { 0.0 }
    });
    let edge = Array2::from_shape_fn((h, w), |(y, x)| {
        let here = object[[y, x]];
        let border = [(y + 1, x), (y, x + 1)]
            .iter()
            .any(|&at| object.get(at).is_some_and(|&other| other != here));
        0.9 * f32::from(u8::from(border)) + 0.05 * noise(y * w + x)
    });
    (maps, edge)
}

/// The map of the peer, 94 x 125, ten maps.
pub fn walk(inputs: &Inputs, _threads: usize) -> Result<Measured> {
    let (maps, edge) = if inputs.has("random_walk.x") {
        let edge = inputs.maps::<Ix3>("random_walk.edge")?;
        let edge = edge.index_axis_move(ndarray::Axis(0), 0);
        (inputs.maps::<Ix3>("random_walk.x")?, edge)
    } else {
        scene(94, 125)
    };
    let run = || Ok(random_walk(maps.view(), edge.view(), &Walk::default()));
    Measured::of(21, run, |ours| {
        if !inputs.has("random_walk.walked") {
            return Ok(alone());
        }
        Ok(largest("walked maps", &ours, &inputs.f32("random_walk.walked")?))
    })
}

/// A larger map.
pub fn walk_at(h: usize, w: usize) -> Result<Measured> {
    let (maps, edge) = scene(h, w);
    let run = || Ok(random_walk(maps.view(), edge.view(), &Walk::default()));
    let said = |_| Ok(format!("{h} x {w} map, {} pixels", h * w));
    let measured = Measured::of(5, run, said)?;
    let nanoseconds = measured.seconds / (h * w) as f64 * 1e9;
    let agreement = format!("{}, {nanoseconds:.0} ns a pixel", measured.agreement);
    Ok(Measured { agreement, ..measured })
}

/// Both CRF runs and the combination.
pub fn crf(inputs: &Inputs, threads: usize) -> Result<Measured> {
    let photo = inputs.photo()?;
    let (h, w, _) = photo.dim();
    let keys = [3, 14];
    let cams = match inputs.has("crf_labels.cams") {
        true => inputs.maps::<Ix3>("crf_labels.cams")?,
        false => Array3::from_shape_fn((2, h, w), |(c, y, x)| {
            let (y, x) = (y as f32 / h as f32 - 0.5, x as f32 / w as f32 - 0.3 - 0.4 * c as f32);
            (1.0 - 6.0 * (y * y + x * x)).max(0.0)
        }),
    };
    let settings = CrfSettings::default();
    let run = || relation_label(photo.view(), cams.view(), &keys, 0.30, 0.05, &settings);
    Measured::of(if threads == 1 { 3 } else { 5 }, run, |ours| {
        if !inputs.has("crf_labels.label") {
            return Ok(alone());
        }
        let theirs = inputs.bytes("crf_labels.label")?.into_dimensionality::<Ix2>()?;
        let count = |n: usize, a: &u8, b: &u8| n + usize::from(a != b);
        let differing = Zip::from(&ours).and(&theirs).fold(0, count);
        Ok(format!("{differing} of {} labels differ", ours.len()))
    })
}

/// Settling, clusters, splitting, enlarging, components; without the random walk.
pub fn instances(inputs: &Inputs, _threads: usize) -> Result<Measured> {
    let found = inputs.has("instance_post.dp");
    let (dp, cams) = if found {
        (inputs.maps::<Ix3>("instance_post.dp")?, inputs.maps::<Ix3>("instance_post.cams")?)
    } else {
        let (maps, edge) = scene(94, 125);
        let dp = Array3::from_shape_fn((2, 94, 125), |(c, y, x)| {
            let aim = [47.0, 125.0 / 4.0 * ((4 * x / 125) as f32 + 0.5)][c];
            0.3 * (aim - [y, x][c] as f32) + edge[[y, x]]
        });
        (dp, &maps.slice_move(ndarray::s![..2, .., ..]) + 0.02)
    };
    let keys = [3, 14];
    let size = (375, 500);
    let parts = split(cams.view(), &own_clusters(&dp));
    let walked = if found {
        let all = inputs.f32("instance_post.walked")?;
        let (h, w) = (cams.dim().1, cams.dim().2);
        all.into_shape_with_order((parts.origin.len(), h, w)).context("as many maps as ours")?
    } else {
        parts.maps
    };
    let run = || {
        let parts = split(cams.view(), &own_clusters(&dp));
        let class: Vec<usize> = parts.origin.iter().map(|&(class, _)| keys[class]).collect();
        let winners = winners(walked.view(), size, 0.25);
        Ok(detect(winners.score.view(), winners.map.view(), &class, 0.01 * 375.0 * 500.0))
    };
    Measured::of(21, run, |ours| {
        if !found {
            return Ok(alone());
        }
        let count = ours.score.len();
        let theirs =
            inputs.masks("instance_post.mask", inputs.numbers("instance_post.classes")?.len())?;
        anyhow::ensure!(
            theirs.dim() == ours.mask.dim(),
            "{count} instances, not {:?}",
            theirs.dim()
        );
        let differing = ours.mask.iter().zip(&theirs).filter(|(a, b)| a != b).count();
        let scores = largest("scores", &ours.score, &inputs.f32("instance_post.score")?);
        Ok(format!("{count} instances, {differing} pixels differ, {scores}"))
    })
}

fn own_clusters(dp: &Array3<f32>) -> irn::label::clusters::Clusters {
    clusters(settle(dp.view(), STEPS).view(), weak_components(dp.view(), WEAK).view())
}
