//! Merging of class activation maps.

use anyhow::{Result, ensure};
use irn::label::merge;
use ndarray::{Array1, Array3, s};

use super::case::{Case, shaped};
use super::compare::{max_abs, within};

pub fn run(case: &Case) -> Result<()> {
    let label: Array1<f32> = shaped(case.f32("in.label")?)?;
    let keys: Vec<usize> = (0..label.len()).filter(|&key| label[key] > 0.0).collect();
    let theirs = case.i64("out.keys")?;
    ensure!(keys.iter().map(|&key| key as i64).eq(theirs.iter().copied()), "keys");
    let mut maps: Vec<Array3<f32>> = Vec::new();
    while case.has(&format!("in.scale{}", maps.len())) {
        maps.push(shaped(case.f32(&format!("in.scale{}", maps.len()))?)?);
    }
    ensure!(!maps.is_empty(), "no scales");
    let size: (usize, usize) = serde_json::from_value(case.params()["size"].clone())?;
    let merged = merge(&maps, size, &keys)?;
    let limit = case.tolerance("max_abs")?;
    for name in case.tensor_names()?.iter().filter_map(|name| name.strip_prefix("out.")) {
        if name == "keys" {
            continue;
        }
        let theirs = case.f32(&format!("out.{name}"))?;
        let ours = match name {
            "cam" => merged.cam.view(),
            "high_res" => merged.high_res.view(),
            other => {
                let nth = other.strip_prefix("high_res_every_").unwrap_or(other);
                let digits: String = nth.chars().take_while(char::is_ascii_digit).collect();
                let step: isize = digits.parse()?;
                merged.high_res.slice(s![.., ..;step, ..;step])
            }
        };
        ensure!(ours.shape() == theirs.shape(), "{name}: {:?} {:?}", ours.shape(), theirs.shape());
        within(name, max_abs(&ours, &theirs)?, limit)?;
    }
    Ok(())
}
