//! Walked maps at the photo's size, and the label of every pixel: `irn::label::semantic`.

use anyhow::Result;

use super::tools::{Photo, Tools, bilinear};
use crate::graph::{Builder, Value};
use crate::onnx::{TensorProto, UINT8};

/// Scores `(present, height, width)`, divided by one maximum, and labels u8 `(height, width)`.
pub fn label(
    part: &Builder,
    walked: &Value,
    photo: &Photo,
    present: &Value,
    background: f32,
) -> Result<(Value, Value)> {
    let tools = Tools::new(part);
    let none = part.value(String::new());
    let scales = part.constant(TensorProto::floats("x4", &[4], &[1., 1., 4., 4.]))?;
    let large = walked.within(part).op("large", "Resize", &[&none, &scales], bilinear())?;
    let large = tools.crop(&large, "cropped", &photo.size)?;
    let highest = highest(part, &large)?;
    let scores = large.op("normal", "Div", &[&highest], vec![])?;
    let zero = part.ints(&[0])?;
    let output = scores.op("scores", "Squeeze", &[&zero], vec![])?;
    let ones = part.ints(&[1, 1])?.within(part);
    let shape = ones.op("shape", "Concat", &[&photo.size], vec![("axis", 0i64).into()])?;
    let ground = part.scalar(background)?.within(part);
    let ground = ground.op("background", "Expand", &[&shape], vec![])?;
    let all = ground.op("all", "Concat", &[&scores], vec![("axis", 1i64).into()])?;
    let attributes = vec![("axis", 1i64).into(), ("keepdims", 0i64).into()];
    let winner = all.op("winner", "ArgMax", &[], attributes)?;
    let present = present.within(part);
    let above = present.op("values", "Add", &[&part.ints(&[1])?], vec![])?;
    let table = zero.within(part).op("table", "Concat", &[&above], vec![("axis", 0i64).into()])?;
    let label = table.op("chosen", "Gather", &[&winner], vec![("axis", 0i64).into()])?;
    let label = label.op("bytes", "Cast", &[], vec![("to", i64::from(UINT8)).into()])?;
    Ok((output, label.op("label", "Squeeze", &[&zero], vec![])?))
}

/// The highest score of all; something tiny where all are zero or no class is present.
fn highest(part: &Builder, scores: &Value) -> Result<Value> {
    let flat = scores.op("flat", "Reshape", &[&part.ints(&[-1])?], vec![])?;
    let least = part.constant(TensorProto::floats("least", &[1], &[1e-30]))?;
    let flat = flat.op("flat.and.least", "Concat", &[&least], vec![("axis", 0i64).into()])?;
    Ok(flat.op("highest", "ReduceMax", &[], vec![("keepdims", 0i64).into()])?)
}
