//! Masks of a single photo with exported models, without a store.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use ndarray::{Array2, Array3, Axis, aview1};
use serde_json::json;

use super::classes;
use super::compute::Compute;
use super::irn::padding;
use super::sem_seg::powered;
use crate::config::Config;
use crate::data::atomic::write_atomically;
use crate::data::normalise::Normalisation;
use crate::data::npy;
use crate::data::photo::{read_photo, voc_palette, write_palette_png, write_rgb_png};
use crate::data::resize;
use crate::error::Hint;
use crate::eval::coco::annotations::{CocoFile, Image, Options};
use crate::eval::coco::categories::categories_of;
use crate::label::semantic::semantic;
use crate::label::{Instances, MergedCam, instances, merge, random_walk};
use crate::runtime::{CamModel, IrnModel, ModelInfo, Relations, cam_pair, irn_pair, mirror_pair};
use crate::view::{field, heat, instances as drawn, labels, strip};

/// What [`run`] found and wrote.
#[derive(Debug)]
pub struct Found {
    /// Classes the masks were made for, with the network's probability.
    pub classes: Vec<(String, f32)>,
    /// Class and score of each instance, fragments left out.
    pub instances: Vec<(String, f32)>,
    /// Files written.
    pub files: Vec<PathBuf>,
}

/// Everything known about the photo.
struct Masks {
    merged: MergedCam,
    relations: Relations,
    label: Array2<u8>,
    found: Instances,
}

/// Makes masks and pictures of `photo` in `out`: `NAME_sem.png`, `NAME_ins.npy`, `NAME.json` (COCO),
/// `NAME_overlay.png`, `NAME_summary.json`. Class names are the model's own; `classes` absent means
/// predict them, which the summary says.
///
/// # Errors
/// A missing model, a class the model does not know, a photo that can't be read, a directory that can't
/// be written.
pub fn run(config: &Config, photo: &Path, classes: Option<&[String]>, out: &Path) -> Result<Found> {
    let compute = Compute::decide(config)?;
    let mut cam = CamModel::open_with(&config.run.cam_model(), &compute.single(), 1, None)
        .hint("set run.cam_model to an exported CAM model")?;
    let mut irn = IrnModel::open_with(&config.run.irn_model(), &compute.single())
        .hint("set run.irn_model to an exported IRNet model")?;
    let device = compute.describe(cam.info())?;
    compute.describe(irn.info())?;
    eprintln!("device: {device}");
    let names = cam.info().classes.clone();
    let picture = read_photo(photo, config.data.exif)?;
    let probabilities = probabilities(&mut cam, &picture)?;
    let keys: Vec<usize> = match classes {
        Some(wanted) => numbers(&names, wanted)?,
        None => classes::predicted(&probabilities, config.cam.class_threshold),
    };
    let masks = masks(config, &mut cam, &mut irn, &picture, &keys)?;
    let kept: Vec<usize> =
        (0..masks.found.score.len()).filter(|&i| masks.found.score[i] > 0.0).collect();
    let found_classes = keys.iter().map(|&key| (names[key].clone(), probabilities[key])).collect();
    let instances =
        kept.iter().map(|&i| (names[masks.found.class[i]].clone(), masks.found.score[i])).collect();
    let mut found = Found { classes: found_classes, instances, files: Vec::new() };
    fs_err::create_dir_all(out)?;
    write(photo, out, &names, &picture, &masks, &kept, &mut found)?;
    let summary = json!({
        "photo": photo.display().to_string(),
        "device": device,
        "classes": found.classes,
        "classes_are": if classes.is_some() { "given" } else { "predicted" },
        "instances": found.instances,
    });
    let text = serde_json::to_string_pretty(&summary)?;
    let path = named(photo, out, "_summary.json")?;
    write_atomically(&path, |file| Ok(std::io::Write::write_all(file, text.as_bytes())?))?;
    found.files.push(path);
    Ok(found)
}

fn numbers(names: &[String], wanted: &[String]) -> Result<Vec<usize>> {
    let number = |name: &String| {
        let at = names.iter().position(|known| known == name);
        at.ok_or_else(|| anyhow!("the model knows no class '{name}'"))
            .hint(format!("it knows {}", names.join(", ")))
    };
    let mut keys = wanted.iter().map(number).collect::<Result<Vec<_>>>()?;
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

fn normalisation(info: &ModelInfo) -> Normalisation {
    Normalisation { mean: info.mean, std: info.std }
}

/// Probability of every class, the mean logit of photo and mirror image through a sigmoid.
fn probabilities(cam: &mut CamModel, picture: &Array3<u8>) -> Result<Vec<f32>> {
    let image = normalisation(cam.info()).normalise(picture.view());
    let (_, logits) = cam.run(mirror_pair(image.view()).view())?;
    let mean = logits.mean_axis(Axis(0)).context("two images have a mean")?;
    Ok(classes::probabilities(mean))
}

fn masks(
    config: &Config,
    cam: &mut CamModel,
    irn: &mut IrnModel,
    picture: &Array3<u8>,
    keys: &[usize],
) -> Result<Masks> {
    let (height, width, _) = picture.dim();
    let size = (height, width);
    let mut maps = Vec::new();
    for &scale in &config.cam.scales {
        let scaled = resize::rescale(picture.view(), scale);
        let image = normalisation(cam.info()).normalise(scaled.view());
        maps.push(cam_pair(cam, image.view())?);
    }
    let merged = merge(&maps, size, keys)?;
    let image = normalisation(irn.info()).normalise(picture.view());
    let relations = irn_pair(irn, image.view(), padding(config))?;
    let mut strided = merged.cam.clone();
    powered(&mut strided, config.sem_seg.cam_power);
    let walked = random_walk(strided.view(), relations.edge.view(), &config.walk);
    let background = config.sem_seg.background;
    let label = semantic(walked.view(), keys, size, background, config.run.compat);
    let (edge, displacement) = (relations.edge.view(), relations.displacement.view());
    let (walk, threshold) = (&config.walk, config.ins_seg.background);
    let found = instances(strided.view(), edge, displacement, keys, size, walk, threshold);
    Ok(Masks { merged, relations, label, found })
}

fn named(photo: &Path, out: &Path, suffix: &str) -> Result<PathBuf> {
    let stem = photo.file_stem().context("the photo has no file name")?;
    Ok(out.join(format!("{}{suffix}", stem.to_string_lossy())))
}

fn write(
    photo: &Path,
    out: &Path,
    names: &[String],
    picture: &Array3<u8>,
    masks: &Masks,
    kept: &[usize],
    found: &mut Found,
) -> Result<()> {
    let (height, width, _) = picture.dim();
    let instances = &masks.found;
    let (sem, ins) = (named(photo, out, "_sem.png")?, named(photo, out, "_ins.npy")?);
    write_palette_png(&sem, masks.label.view(), &voc_palette())?;
    let all = aview1(&instances.score);
    npy::write_instances(&ins, all, instances.mask.clone(), &instances.class)?;
    let categories = categories_of(names);
    let mut coco = CocoFile::new("instance masks by irn", categories, Options::default())?;
    let file_name = photo.file_name().unwrap_or_default().to_string_lossy().into_owned();
    coco.add_image(Image { id: 1, file_name, width, height, classes_are: None });
    for &i in kept {
        coco.add_instance(
            instances.class[i],
            instances.mask.index_axis(Axis(0), i),
            instances.score[i],
        )?;
    }
    let json = named(photo, out, ".json")?;
    coco.write(&json)?;
    let mask = instances.mask.select(Axis(0), kept);
    let class: Vec<usize> = kept.iter().map(|&i| instances.class[i]).collect();
    let score: Vec<f32> = kept.iter().map(|&i| instances.score[i]).collect();
    let size = (height, width);
    let panels = [
        ("photo", picture.clone()),
        ("CAM", heat::cam(picture, &masks.merged.high_res)),
        ("boundary", heat::boundary(&masks.relations.edge, size)),
        ("displacement", field::displacement_with_wheel(&masks.relations.displacement, size)),
        ("semantic", labels::semantic(picture, &masks.label)),
        ("instances", drawn::instances(picture, &mask, &class, &score, names)),
    ];
    let overlay = named(photo, out, "_overlay.png")?;
    write_rgb_png(&overlay, strip::grid(&panels, 3).view())?;
    found.files.extend([sem, ins, json, overlay]);
    Ok(())
}
