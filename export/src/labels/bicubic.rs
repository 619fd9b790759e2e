//! Pillow's bicubic resizing (`Resample.c`) by standard operators: ONNX's own `Resize` does not round to
//! u8 between the two directions, and runtimes differ in how they make it smooth.
//!
//! Each direction is a product with a matrix of weights, made in the graph from the two lengths. The
//! distance of input `j` from output `i`, in steps of the filter, is
//! `|(2j + 1) out - (2i + 1) in| / (2 max(in, out))`: whole numbers up to the one division, so that the
//! weights are as exact as their type, and all but about one pixel value in ten thousand are Pillow's.

use anyhow::Result;

use super::tools::Tools;
use crate::graph::{Builder, Value};
use crate::onnx::{AttributeProto, FLOAT, UINT8};

/// `pixels`, u8 `(1, channels, h, w)`, at another size, i64 `(2,)`; u8 again.
pub fn resized(part: &Builder, pixels: &Value, from: &Value, to: &Value) -> Result<Value> {
    let tools = Tools::new(part);
    let lengths = |axis: i64, name: &str| -> Result<(Value, Value)> {
        let range = (axis, axis + 1);
        Ok((
            tools.slice(from, &format!("{name}.in"), range, 0)?,
            tools.slice(to, &format!("{name}.out"), range, 0)?,
        ))
    };
    let (from_h, to_h) = lengths(0, "rows")?;
    let (from_w, to_w) = lengths(1, "columns")?;
    let across = weights(&part.within("columns"), &from_w, &to_w)?;
    let across = across.op("turned", "Transpose", &[], vec![("perm", &[1usize, 0][..]).into()])?;
    let down = weights(&part.within("rows"), &from_h, &to_h)?;
    let pixels = pixels.within(part).op("float", "Cast", &[], to_type(FLOAT))?;
    let wide = pixels.op("across", "MatMul", &[&across], vec![])?;
    let wide = rounded(part, &wide, "across")?;
    let both = down.within(part).op("down", "MatMul", &[&wide], vec![])?;
    Ok(rounded(part, &both, "down")?.op("pixels", "Cast", &[], to_type(UINT8))?)
}

/// Half up to whole numbers in 0..255.
fn rounded(part: &Builder, x: &Value, name: &str) -> Result<Value> {
    let name = |step: &str| format!("{name}.{step}");
    let x = x.op(&name("half"), "Add", &[&part.scalar(0.5)?], vec![])?;
    let x = x.op(&name("floor"), "Floor", &[], vec![])?;
    Ok(x.op(&name("rounded"), "Clip", &[&part.scalar(0.0)?, &part.scalar(255.0)?], vec![])?)
}

/// The weights f32 `(out, in)` of one direction; lengths are i64 `(1,)`.
fn weights(part: &Builder, from: &Value, to: &Value) -> Result<Value> {
    let (from, to) = (from.within(part), to.within(part));
    let inputs = odd_numbers(part, &from, "in")?.op("in.scaled", "Mul", &[&to], vec![])?;
    let outputs = odd_numbers(part, &to, "out")?.op("out.scaled", "Mul", &[&from], vec![])?;
    let outputs = outputs.op("out.column", "Unsqueeze", &[&part.ints(&[1])?], vec![])?;
    let apart = inputs.op("apart", "Sub", &[&outputs], vec![])?;
    let apart = apart.op("apart.float", "Cast", &[], to_type(FLOAT))?;
    let longer = from.op("longer", "Max", &[&to], vec![])?;
    let unit = longer.op("unit.whole", "Mul", &[&part.ints(&[2])?], vec![])?;
    let unit = unit.op("unit", "Cast", &[], to_type(FLOAT))?;
    let steps = apart.op("distance", "Abs", &[], vec![])?.op("steps", "Div", &[&unit], vec![])?;
    let filter = cubic(part, &steps)?;
    let sum = filter.op("sum", "ReduceSum", &[&part.ints(&[1])?], vec![])?;
    Ok(filter.op("weights", "Div", &[&sum], vec![])?)
}

/// 1, 3, 5, ..., as many as `length` says.
fn odd_numbers(part: &Builder, length: &Value, name: &str) -> Result<Value> {
    let name = |step: &str| format!("{name}.{step}");
    let scalar = length.op(&name("length"), "Squeeze", &[&part.ints(&[0])?], vec![])?;
    let (zero, one) = (part.whole(0)?, part.whole(1)?);
    let numbers = zero.within(part).op(&name("numbers"), "Range", &[&scalar, &one], vec![])?;
    let twice = numbers.op(&name("even"), "Mul", &[&part.whole(2)?], vec![])?;
    Ok(twice.op(&name("odd"), "Add", &[&one], vec![])?)
}

/// Keys' cubic with a = -0.5 of distances that are not negative.
fn cubic(part: &Builder, x: &Value) -> Result<Value> {
    let polynomial = |name: &str, factors: [f32; 4]| -> Result<Value> {
        let mut sum = part.scalar(factors[0])?.within(part);
        for (i, factor) in factors[1..].iter().enumerate() {
            let product = sum.op(&format!("{name}.times{i}"), "Mul", &[x], vec![])?;
            sum =
                product.op(&format!("{name}.plus{i}"), "Add", &[&part.scalar(*factor)?], vec![])?;
        }
        Ok(sum)
    };
    let near = polynomial("near", [1.5, -2.5, 0.0, 1.0])?;
    let far = polynomial("far", [-0.5, 2.5, -4.0, 2.0])?;
    let below = |name: &str, limit: f32| x.op(name, "Less", &[&part.scalar(limit)?], vec![]);
    let far = below("is_far", 2.0)?.op("outer", "Where", &[&far, &part.scalar(0.0)?], vec![])?;
    Ok(below("is_near", 1.0)?.op("filter", "Where", &[&near, &far], vec![])?)
}

fn to_type(kind: i32) -> Vec<AttributeProto> {
    vec![("to", i64::from(kind)).into()]
}
