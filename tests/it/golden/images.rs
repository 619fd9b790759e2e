//! Group 12: resizing, normalising, cropping and size arithmetic of pictures.

use anyhow::{Context, Result, bail, ensure};
use irn::data::crop::Crop;
use irn::data::normalise::{Normalisation, mirrored};
use irn::data::resize;
use ndarray::{Array2, Array3, ArrayD, Axis, stack};
use sha2::{Digest, Sha256};

use super::case::{Case, shaped};
use super::compare::{disagreement, max_abs, within};

pub fn run(case: &Case) -> Result<()> {
    let outputs: Vec<String> =
        case.tensor_names()?.into_iter().filter(|name| name.starts_with("out.")).collect();
    ensure!(!outputs.is_empty(), "no outputs");
    for name in &outputs {
        check(case, name).with_context(|| name.clone())?;
    }
    check_hashes(case)
}

fn check(case: &Case, name: &str) -> Result<()> {
    let what = name.trim_start_matches("out.");
    if let Some(rest) = what.strip_prefix("bicubic_gray_") {
        check_grey(case, name, rest.parse()?)
    } else if let Some(rest) = what.strip_prefix("bicubic_") {
        check_bicubic(case, name, rest)
    } else if let Some(rest) = what.strip_prefix("nearest_") {
        let label: Array2<u8> = shaped(case.u8("in.label")?)?;
        let size = resize::scaled_size(label.dim(), rest.parse()?);
        let ours = resize::nearest(label.view(), size);
        same(&ours.into_dyn(), &case.u8(name)?, case.tolerance("nearest")?)
    } else if let Some(rest) = what.strip_prefix("scale_") {
        check_pair(case, name, rest.parse()?)
    } else if what == "normalized_hwc" {
        check_normalised(case, name)
    } else if let Some(rest) = what.strip_prefix("top_left_") {
        check_crop(case, name, rest, false)
    } else if let Some(rest) = what.strip_prefix("random_") {
        check_crop(case, name, rest, true)
    } else {
        check_sizes(case, name)
    }
}

fn same(ours: &ArrayD<u8>, theirs: &ArrayD<u8>, limit: f64) -> Result<()> {
    ensure!(ours.shape() == theirs.shape(), "{:?} and {:?}", ours.shape(), theirs.shape());
    let distance = ours.iter().zip(theirs).map(|(&a, &b)| a.abs_diff(b)).max().unwrap_or(0);
    within("largest difference", f64::from(distance), limit)
}

fn check_bicubic(case: &Case, name: &str, rest: &str) -> Result<()> {
    let photo: Array3<u8> = shaped(case.u8("in.image")?)?;
    let (scale, every) = match rest.split_once("_every_") {
        Some((scale, every)) => (scale, every.trim_end_matches(|c: char| c.is_alphabetic())),
        None => (rest, "1"),
    };
    let step: isize = every.parse()?;
    let full = resize::rescale(photo.view(), scale.parse()?);
    let ours = full.slice(ndarray::s![..;step, ..;step, ..]).to_owned();
    same(&ours.into_dyn(), &case.u8(name)?, case.tolerance("bicubic_max_abs")?)
}

/// The grey picture is the photo's green channel.
fn check_grey(case: &Case, name: &str, scale: f64) -> Result<()> {
    let photo: Array3<u8> = shaped(case.u8("in.image")?)?;
    let channel = photo.index_axis(Axis(2), 1);
    let ours = resize::bicubic_grey(channel, resize::scaled_size(channel.dim(), scale));
    same(&ours.into_dyn(), &case.u8(name)?, case.tolerance("bicubic_max_abs")?)
}

fn check_hashes(case: &Case) -> Result<()> {
    let Some(hashes) = case.params()["sha256_of_full_output"].as_object() else { return Ok(()) };
    let photo: Array3<u8> = shaped(case.u8("in.image")?)?;
    for (scale, expected) in hashes {
        let full = resize::rescale(photo.view(), scale.parse()?);
        let size = &case.params()["sizes"][scale];
        ensure!(*size == serde_json::json!(full.shape()), "scale {scale}: {:?}", full.shape());
        let bytes: Vec<u8> = full.iter().copied().collect();
        let digest: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
        ensure!(expected == &digest, "scale {scale}: sha256 {digest}, not {expected}");
    }
    Ok(())
}

/// The normalised photo at one scale and its mirror image.
fn check_pair(case: &Case, name: &str, scale: f64) -> Result<()> {
    let photo: Array3<u8> = shaped(case.u8("in.image")?)?;
    let photo = resize::rescale(photo.view(), scale);
    let norm = Normalisation::default();
    let plain = norm.normalise(photo.view());
    let mirror = norm.normalise(mirrored(photo.view()));
    let ours = stack![Axis(0), plain, mirror];
    let theirs = case.f32(name)?;
    ensure!(ours.shape() == theirs.shape(), "{:?} and {:?}", ours.shape(), theirs.shape());
    within("largest difference", max_abs(&ours, &theirs)?, case.tolerance("max_abs")?)
}

fn check_normalised(case: &Case, name: &str) -> Result<()> {
    let photo: Array3<u8> = shaped(case.u8("in.image")?)?;
    let numbers = |key: &str| -> Result<[f64; 3]> {
        serde_json::from_value(case.params()[key].clone()).with_context(|| key.to_string())
    };
    let norm = Normalisation { mean: numbers("mean")?, std: numbers("std")? };
    let ours = norm.normalise(photo.view()).permuted_axes([1, 2, 0]);
    let theirs = case.f32(name)?;
    ensure!(ours.shape() == theirs.shape(), "{:?} and {:?}", ours.shape(), theirs.shape());
    let ulps = ours.iter().zip(&theirs).map(|(a, b)| a.to_bits().abs_diff(b.to_bits())).max();
    within("ulp", f64::from(ulps.unwrap_or(0)), case.tolerance("max_ulp")?)?;
    within("largest difference", max_abs(&ours, &theirs)?, case.tolerance("max_abs")?)
}

/// `rest` is `img_SIDE` or `label_SIDE`.
fn check_crop(case: &Case, name: &str, rest: &str, random: bool) -> Result<()> {
    let (kind, side) = rest.split_once('_').context("kind_side")?;
    let image: Array3<f32> = shaped(case.f32("in.image")?)?;
    let label: Array2<u8> = shaped(case.u8("in.label")?)?;
    let crop = match random {
        true => drawn_crop(case, side)?,
        false => Crop::top_left(label.dim(), side.parse()?),
    };
    let differing = match kind {
        "img" => {
            let ours = crop.cut(image.view(), 0.0).into_dyn();
            let theirs = case.f32(name)?;
            ensure!(ours.shape() == theirs.shape(), "{:?}", theirs.shape());
            disagreement(&ours, &theirs)?
        }
        "label" => {
            let ours = crop.cut(label.view(), 255).into_dyn();
            let theirs = case.u8(name)?;
            ensure!(ours.shape() == theirs.shape(), "{:?}", theirs.shape());
            disagreement(&ours, &theirs)?
        }
        _ => bail!("a crop of {kind}"),
    };
    within("share of differing values", differing, case.tolerance("all")?)
}

/// The box that upstream drew; ours must be able to draw it too.
fn drawn_crop(case: &Case, side: &str) -> Result<Crop> {
    let drawn = case.params()["random_boxes"][side].clone();
    let drawn: [usize; 8] = serde_json::from_value(drawn).context("random_boxes")?;
    let range = |i: usize| drawn[i]..drawn[i + 1];
    let crop =
        Crop { side: side.parse()?, frame: [range(0), range(2)], picture: [range(4), range(6)] };
    let label = case.u8("in.label")?;
    let size = (label.shape()[0], label.shape()[1]);
    let mut rng = irn::data::augment::sample_rng(0, 0, 0);
    let possible = (0..100_000).any(|_| Crop::random(size, crop.side, &mut rng) == crop);
    ensure!(possible, "no random crop of {size:?} to {side} is {crop:?}");
    Ok(crop)
}

fn check_sizes(case: &Case, name: &str) -> Result<()> {
    let sizes: Array2<i64> = shaped(case.i64("in.hw")?)?;
    let theirs: Array2<i64> = shaped(case.i64(name)?)?;
    let long = case.i64("in.target_long")?;
    ensure!(theirs.nrows() == sizes.nrows(), "{} rows", theirs.nrows());
    for (index, (size, theirs)) in sizes.outer_iter().zip(theirs.outer_iter()).enumerate() {
        let size = (size[0] as usize, size[1] as usize);
        let ours = match name {
            "out.resize_long" => {
                let (h, w) = resize::size_with_long_side(size, long[[index]] as usize);
                vec![h, w]
            }
            "out.strided4_h_w_up16_h_w" => vec![
                size.0.div_ceil(4),
                size.1.div_ceil(4),
                size.0.next_multiple_of(16),
                size.1.next_multiple_of(16),
            ],
            _ => rescaled_sides(name, size)?,
        };
        let ours: Vec<i64> = ours.into_iter().map(|side| side as i64).collect();
        ensure!(ours == theirs.to_vec(), "{size:?}: {ours:?}, not {theirs}");
    }
    within("size tables", 0.0, case.tolerance("all")?)
}

/// `out.rescale_h_0.5_1.5_2_0.25_then_w`: the heights at every scale, then the widths.
fn rescaled_sides(name: &str, size: (usize, usize)) -> Result<Vec<usize>> {
    let scales = name.strip_prefix("out.rescale_h_").and_then(|rest| rest.strip_suffix("_then_w"));
    let scales = scales.with_context(|| format!("an unknown output {name}"))?.split('_');
    let scales: Vec<f64> = scales.map(str::parse).collect::<Result<_, _>>()?;
    let both: Vec<_> = scales.iter().map(|&scale| resize::scaled_size(size, scale)).collect();
    Ok(both.iter().map(|size| size.0).chain(both.iter().map(|size| size.1)).collect())
}
