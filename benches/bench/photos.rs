//! Both networks over fifty photos, as the stages run them: reading, scaling and merging hidden behind the
//! network, photos side by side.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use irn::data::normalise::Normalisation;
use irn::data::photo::{ExifRule, read_photo, size_of};
use irn::label::merge;
use irn::overlap::{self, overlapped};
use irn::runtime::{CamModel, IrnModel, Padding, Workers, irn_relations};
use irn::stage::cam;
use ndarray::Array3;

use super::inputs::{Inputs, alone, beside, largest};
use super::measure::Measured;
use super::networks::{SCALES, cam_model, irn_model};

/// How many photos a run has: 50, or `IRN_BENCH_PHOTOS` for a quick look.
fn count() -> usize {
    let wanted = std::env::var("IRN_BENCH_PHOTOS").ok().and_then(|text| text.parse().ok());
    wanted.unwrap_or(50).max(1)
}

/// Photos of the peer's size, 500 x 375; none where there are too few.
fn photos() -> Result<Vec<PathBuf>> {
    let folder = beside("IRN_PHOTOS", "data/voc-animals/VOC2012").join("JPEGImages");
    let Ok(entries) = fs_err::read_dir(&folder) else { return Ok(Vec::new()) };
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.sort();
    let alike =
        |path: &PathBuf| size_of(path, ExifRule::Ignore).is_ok_and(|size| size == (375, 500));
    let chosen: Vec<PathBuf> = paths.into_iter().filter(alike).take(count()).collect();
    Ok(if chosen.len() == count() { chosen } else { Vec::new() })
}

/// Seconds a photo of `work` on all photos, each read from its file; the peer's picture where there are none.
fn per_photo(
    inputs: &Inputs,
    threads: usize,
    work: impl Fn(&Array3<u8>) -> Result<()> + Sync,
) -> Result<f64> {
    let (paths, picture) = (photos()?, inputs.photo()?);
    let pool = overlap::pool(threads)?;
    let run = |count: usize| {
        let one = |at: usize| match paths.get(at) {
            Some(path) => work(&read_photo(path, ExifRule::Ignore)?),
            None => work(&picture),
        };
        overlapped(&pool, 2 * threads, 0..count, one, |done| done)
    };
    run(threads)?;
    let start = Instant::now();
    run(count())?;
    Ok(start.elapsed().as_secs_f64() / count() as f64)
}

/// CAMs at four scales.
pub fn cam(inputs: &Inputs, threads: usize) -> Result<Measured> {
    let models =
        Workers::open(threads, |threads| CamModel::open(&cam_model(inputs), threads, None))?;
    let normalisation = Normalisation::default();
    let maps = |photo: &Array3<u8>| {
        let (maps, _) = cam::activations(&models, photo.view(), &SCALES, &normalisation)?;
        merge(&maps, (photo.dim().0, photo.dim().1), &[3, 14])
    };
    let agreement = match inputs.has("cam_infer.low") {
        true => {
            let ours = maps(&inputs.photo()?)?;
            let low = largest("small maps", &ours.cam, &inputs.f32("cam_infer.low")?);
            format!("{low}, {}", largest("large", &ours.high_res, &inputs.f32("cam_infer.high")?))
        }
        false => alone(),
    };
    let seconds = per_photo(inputs, threads, |photo| maps(photo).map(drop))?;
    Ok(Measured { seconds, peak_mib: None, agreement })
}

/// Boundaries and displacements.
pub fn irn(inputs: &Inputs, threads: usize) -> Result<Measured> {
    let models = Workers::open(threads, |threads| IrnModel::open(&irn_model(inputs), threads))?;
    let normalisation = Normalisation::default();
    let padding = Padding { crop: 512, compat: false };
    let relations = |photo: &Array3<u8>| {
        let pair = normalisation.pair(photo.view());
        irn_relations(&mut models.lend(), &pair, padding)
    };
    let agreement = match inputs.has("irn_infer.edge") {
        true => {
            let ours = relations(&inputs.photo()?)?;
            let edge = largest("boundaries", &ours.edge, &inputs.f32("irn_infer.edge")?);
            let theirs = inputs.f32("irn_infer.dp")?;
            format!("{edge}, {}", largest("displacements", &ours.displacement, &theirs))
        }
        false => alone(),
    };
    let seconds = per_photo(inputs, threads, |photo| relations(photo).map(drop))?;
    Ok(Measured { seconds, peak_mib: None, agreement })
}
