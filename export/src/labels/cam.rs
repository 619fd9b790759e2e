//! The CAMs of the present classes at a quarter of the photo's size: upstream's `make_cam`.

use anyhow::{Context, Result};
use irn_models::CamNet;

use super::tools::{Photo, Tools};
use super::{Part, bicubic};
use crate::graph::{Builder, Value};
use crate::onnx::{AttributeProto, FLOAT, INT64};
use crate::symbol::Symbol;

/// The numbers of the classes whose entry is not zero, i64 `(present,)`.
pub fn present(graph: &Builder, classes: &Value) -> Result<Value> {
    let classes = classes.within(&graph.within("classes"));
    let numbers = classes.op("numbers", "NonZero", &[], vec![])?;
    Ok(numbers.op("present", "Squeeze", &[&graph.ints(&[0])?], vec![])?)
}

/// The merged maps, f32 `(1, present, h, w)`, each divided by its maximum.
pub fn maps(
    graph: &Builder,
    photo: &Photo,
    cam: &Part<CamNet>,
    scales: &[f64],
    present: &Value,
) -> Result<Value> {
    let part = graph.within("cam");
    let mut sum: Option<Value> = None;
    for (i, &scale) in scales.iter().enumerate() {
        let here = part.within(&format!("x{scale}"));
        let map = at_scale(&part, &here, photo, cam, scale, present)?;
        sum = Some(match sum {
            Some(sum) => sum.within(&part).op(&format!("sum.{i}"), "Add", &[&map], vec![])?,
            None => map.within(&part),
        });
    }
    let sum = sum.context("no scales")?;
    let highest = sum.op("highest", "ReduceMax", &[&graph.ints(&[2, 3])?], vec![])?;
    let divisor = highest.op("divisor", "Add", &[&graph.scalar(1e-5)?], vec![])?;
    Ok(sum.op("maps", "Div", &[&divisor], vec![])?)
}

/// Both halves of the pair added, at a quarter of the photo's size.
fn at_scale(
    weights: &Builder,
    here: &Builder,
    photo: &Photo,
    cam: &Part<CamNet>,
    scale: f64,
    present: &Value,
) -> Result<Value> {
    let tools = Tools::new(here);
    let pixels = at_size(here, photo, scale)?;
    let pair = Tools::new(weights).normalised_pair(&pixels, cam.info)?;
    let scores = cam.net.forward(&Symbol::photo(pair, weights, &cam.info.form)?)?;
    let axis = vec![("axis", 1i64).into()];
    let scores = scores.value()?.op("present", "Gather", &[present], axis)?;
    let (first, second) = tools.unpair(&scores.op("activation", "Relu", &[], vec![])?)?;
    let map = first.op("map", "Add", &[&second], vec![])?;
    tools.resize(&map, "quarter", &photo.quarter)
}

/// The photo at another size, rounded as numpy does.
fn at_size(here: &Builder, photo: &Photo, scale: f64) -> Result<Value> {
    if scale == 1.0 {
        return Ok(photo.pixels.within(here));
    }
    let to_type = |to: i32| -> Vec<AttributeProto> { vec![("to", i64::from(to)).into()] };
    let size = photo.size.within(here).op("size.float", "Cast", &[], to_type(FLOAT))?;
    let size = size.op("size.scaled", "Mul", &[&here.scalar(scale as f32)?], vec![])?;
    let size = size.op("size.round", "Round", &[], vec![])?;
    let size = size.op("size", "Cast", &[], to_type(INT64))?;
    bicubic::resized(here, &photo.pixels, &photo.size.within(here), &size)
}
