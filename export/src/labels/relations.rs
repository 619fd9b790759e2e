//! The class boundary map of the photo: IRNet on the padded pair, as in `irn-infer`.

use anyhow::Result;
use irn_models::IrNet;

use super::Part;
use super::tools::{Photo, Tools};
use crate::graph::{Builder, Value};
use crate::symbol::Symbol;

/// Sides beyond the least padding are padded to a multiple of this.
const MULTIPLE: i64 = 16;

/// Probability of a class boundary, f32 `(1, 1, h, w)` at a quarter of the photo's size.
pub fn edge(graph: &Builder, photo: &Photo, irn: &Part<IrNet>, least: usize) -> Result<Value> {
    let part = graph.within("irn");
    let tools = Tools::new(&part);
    let pair = tools.normalised_pair(&photo.pixels.within(&part), irn.info)?;
    let pads = pads(&part, photo, least)?;
    let padded = pair.op("padded", "Pad", &[&pads], vec![("mode", "constant").into()])?;
    let relations = irn.net.forward_eval(&Symbol::photo(padded, &part, &irn.info.form)?)?;
    let edge = tools.crop(&relations.edge.value()?, "cropped", &photo.quarter)?;
    let (first, second) = tools.unpair(&edge)?;
    let sum = first.op("sum", "Add", &[&second], vec![])?;
    let mean = sum.op("half", "Mul", &[&part.scalar(0.5)?], vec![])?;
    Ok(mean.op("edge", "Sigmoid", &[], vec![])?)
}

/// Rows below and columns to the right, as `Pad` takes them.
fn pads(part: &Builder, photo: &Photo, least: usize) -> Result<Value> {
    let multiple = part.ints(&[MULTIPLE])?;
    let size = photo.size.within(part);
    let up = size.op("size.up", "Add", &[&part.ints(&[MULTIPLE - 1])?], vec![])?;
    let cells = up.op("size.cells", "Div", &[&multiple], vec![])?;
    let rounded = cells.op("size.rounded", "Mul", &[&multiple], vec![])?;
    let target = rounded.op("size.target", "Max", &[&part.ints(&[least as i64])?], vec![])?;
    let missing = target.op("size.missing", "Sub", &[&size], vec![])?;
    let zeros = part.ints(&[0; 6])?;
    Ok(zeros.within(part).op("pads", "Concat", &[&missing], vec![("axis", 0i64).into()])?)
}
