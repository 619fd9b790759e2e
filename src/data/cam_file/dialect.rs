//! Which dialect a CAM file is in, and what its rows and keys mean there.

use anyhow::{Context, Result, bail, ensure};
use ndarray::{Array2, Array3, Axis, Ix2, Ix3};

use super::CamFile;
use crate::data::npy::Value;

/// How a CAM file was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the table of the module says it")]
pub enum Dialect {
    Irn,
    Clims,
    Amn,
    Sipe,
    Psa,
    PsaCrf,
    WithoutMaps,
}

impl Dialect {
    /// Name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Irn => "irn",
            Self::Clims => "CLIMS, older",
            Self::Amn => "AMN, background row",
            Self::Sipe => "SIPE",
            Self::Psa => "psa",
            Self::PsaCrf => "psa, CRF",
            Self::WithoutMaps => "without maps",
        }
    }
}

/// Finds the dialect and brings keys and rows into ours.
pub fn parse(value: &Value, known: Option<&[usize]>) -> Result<CamFile> {
    let entries = value.entries()?;
    let file = match value.get("keys") {
        Some(keys) => keyed(value, numbers(keys).context("\"keys\"")?)?,
        None if entries.iter().all(|(key, _)| class_number(key).is_some()) => {
            numbered(entries, known)?
        }
        None => {
            let names: Vec<String> = entries.iter().map(|(key, _)| name_of(key)).collect();
            bail!("neither \"keys\" nor class numbers, but {}", names.join(", "));
        }
    };
    Ok(sorted(file))
}

fn name_of(key: &Value) -> String {
    match key {
        Value::Str(name) => format!("\"{name}\""),
        other => other.what().to_string(),
    }
}

fn class_number(key: &Value) -> Option<i64> {
    match key {
        Value::Int(number) => Some(*number),
        Value::Str(digits) => digits.parse().ok(),
        _ => None,
    }
}

/// Whole numbers: an array, a tensor, a list.
fn numbers(value: &Value) -> Result<Vec<i64>> {
    match value {
        Value::Array(array) => Ok(array.to_i64()?.into_iter().collect()),
        Value::List(items) | Value::Tuple(items) => {
            let number = |item: &Value| class_number(item).context("a class number expected");
            items.iter().map(number).collect()
        }
        other => bail!("{} as class numbers", other.what()),
    }
}

/// Dialects with `keys`.
fn keyed(value: &Value, keys: Vec<i64>) -> Result<CamFile> {
    let map = |name: &str| value.get(name).map(|_| maps(value, name)).transpose();
    if let Some(all) = map("IS_CAM")? {
        return sipe(keys, &all);
    }
    let cam = map("cam")?;
    let (mut dialect, mut high_res) = (Dialect::Irn, map("high_res")?);
    for name in ["hr_cam", "rw"] {
        if high_res.is_none() && value.get(name).is_some() {
            (dialect, high_res) = (Dialect::Clims, map(name)?);
        }
    }
    if keys.is_empty() {
        let (cam, high_res) = (None, None);
        return Ok(CamFile { keys: Vec::new(), cam, high_res, dialect: Dialect::WithoutMaps });
    }
    ensure!(
        cam.is_some() || high_res.is_some(),
        "no maps: none of cam, high_res, hr_cam, rw, IS_CAM"
    );
    let has_background = |maps: &Array3<f32>| maps.dim().0 == keys.len() + 1;
    if [&cam, &high_res].into_iter().flatten().any(has_background) {
        dialect = Dialect::Amn;
    }
    let foreground =
        |maps: Array3<f32>| if has_background(&maps) { without_first(&maps) } else { maps };
    let keys = keys.iter().map(|&key| class(key)).collect::<Result<_>>()?;
    Ok(CamFile { keys, cam: cam.map(foreground), high_res: high_res.map(foreground), dialect })
}

/// Keys with the background as 0, all maps of the photo's size.
fn sipe(keys: Vec<i64>, all: &Array3<f32>) -> Result<CamFile> {
    ensure!(keys.len() == all.dim().0, "{} maps of {} keys", all.dim().0, keys.len());
    let rows: Vec<usize> = (0..keys.len()).filter(|&row| keys[row] != 0).collect();
    let keys = rows.iter().map(|&row| class(keys[row] - 1)).collect::<Result<_>>()?;
    let high_res = Some(all.select(Axis(0), &rows));
    Ok(CamFile { keys, cam: None, high_res, dialect: Dialect::Sipe })
}

/// Dialects whose keys are numbers: `{class: map}`, or with the background as 0.
fn numbered(entries: &[(Value, Value)], known: Option<&[usize]>) -> Result<CamFile> {
    let mut numbers = Vec::new();
    let mut rows = Vec::new();
    for (key, map) in entries {
        let number = class_number(key).context("a class number expected")?;
        numbers.push(number);
        rows.push(plane(map).with_context(|| format!("map of {number}"))?);
    }
    if rows.is_empty() {
        let (cam, high_res) = (None, None);
        return Ok(CamFile { keys: Vec::new(), cam, high_res, dialect: Dialect::WithoutMaps });
    }
    let views: Vec<_> = rows.iter().map(|row| row.view()).collect();
    let all = ndarray::stack(Axis(0), &views).context("maps of different sizes")?;
    let background = numbers.iter().position(|&number| number == 0);
    if let Some(at) = background.filter(|_| rows.len() > 1 && are_probabilities(&all)) {
        let rows: Vec<usize> = (0..numbers.len()).filter(|&row| row != at).collect();
        let keys = rows.iter().map(|&row| class(numbers[row] - 1)).collect::<Result<_>>()?;
        let high_res = Some(all.select(Axis(0), &rows));
        return Ok(CamFile { keys, cam: None, high_res, dialect: Dialect::PsaCrf });
    }
    // Some count classes from 1 without a background: only the label can tell.
    let of_label = |shift: i64| {
        known.is_some_and(|known| {
            numbers.iter().all(|&n| class(n - shift).is_ok_and(|key| known.contains(&key)))
        })
    };
    let shift = i64::from(!of_label(0) && of_label(1));
    let keys = numbers.iter().map(|&number| class(number - shift)).collect::<Result<_>>()?;
    Ok(CamFile { keys, cam: None, high_res: Some(all), dialect: Dialect::Psa })
}

/// A CRF's result adds up to 1 at every pixel; maps that are divided by their maxima don't.
fn are_probabilities(all: &Array3<f32>) -> bool {
    all.sum_axis(Axis(0)).iter().all(|sum| (sum - 1.0).abs() < 1e-2)
}

fn class(number: i64) -> Result<usize> {
    usize::try_from(number).with_context(|| format!("class number {number}"))
}

fn maps(value: &Value, name: &str) -> Result<Array3<f32>> {
    let array = value.array(name)?;
    let shape = array.shape().to_vec();
    let maps = array.to_f32().into_dimensionality::<Ix3>();
    maps.with_context(|| format!("\"{name}\" has shape {shape:?}, three axes expected"))
}

fn plane(value: &Value) -> Result<Array2<f32>> {
    let Value::Array(array) = value else { bail!("{} instead of a map", value.what()) };
    let shape = array.shape().to_vec();
    let map = array.to_f32().into_dimensionality::<Ix2>();
    map.with_context(|| format!("shape {shape:?}, two axes expected"))
}

fn without_first(maps: &Array3<f32>) -> Array3<f32> {
    maps.slice(ndarray::s![1.., .., ..]).to_owned()
}

/// Classes ascending, maps in the same order.
fn sorted(file: CamFile) -> CamFile {
    let mut order: Vec<usize> = (0..file.keys.len()).collect();
    order.sort_by_key(|&row| file.keys[row]);
    if order.is_sorted() {
        return file;
    }
    let reordered = |maps: Array3<f32>| match maps.dim().0 == order.len() {
        true => maps.select(Axis(0), &order),
        false => maps,
    };
    CamFile {
        keys: order.iter().map(|&row| file.keys[row]).collect(),
        cam: file.cam.map(reordered),
        high_res: file.high_res.map(reordered),
        dialect: file.dialect,
    }
}
