//! The random walk: affinities from the boundary map, then a power of the transition matrix as a sum of
//! Chebyshev polynomials, all by shifted maps (see `irn::label::random_walk`, whose result it is).
//!
//! With `S = D^-1/2 A D^-1/2`, `x T^n = (x D^1/2) S^n D^-1/2` and `S^n = sum c_k T_k(S)`. `n` is even,
//! so the sum has even terms only: the loop's body makes two steps of the recurrence and adds one term.

use anyhow::Result;
use irn_models::chebyshev::coefficients;
use irn_models::pairs::{Direction, directions};

use super::LabelSettings;
use crate::graph::{Builder, Value};
use crate::onnx::{BOOL, FLOAT, INT64, NodeProto, TensorProto, ValueInfoProto};

/// Spreads `maps` `(1, present, h, w)` within the boundaries of `edge` `(1, 1, h, w)`.
pub fn walk(part: &Builder, maps: &Value, edge: &Value, settings: &LabelSettings) -> Result<Value> {
    let edge = edge.within(part);
    let one = part.scalar(1.0)?.within(part);
    let inside = one.op("inside", "Sub", &[&edge], vec![])?;
    let maps = maps.within(part).op("start", "Mul", &[&inside], vec![])?;
    let rim = settings.radius as i64 - 1;
    let pairs = pairs(part, &edge, settings)?;
    let others: Vec<&Value> = pairs[1..].iter().map(|(_, affinity)| affinity).collect();
    let sum = pairs[0].1.op("affinities", "Sum", &others, vec![])?;
    let degree = sum.op("degree", "Add", &[&one], vec![])?;
    let root = degree.op("root", "Sqrt", &[], vec![])?;
    let inverse = root.op("inverse", "Reciprocal", &[], vec![])?;
    let padded = pad(part, &inverse, "inverse.padded", rim, 0.0)?;
    let mut matrix = Vec::new();
    for ((dy, dx), affinity) in &pairs {
        let there = shifted(part, &padded, (*dy, *dx), rim)?;
        let name = |step: &str| format!("matrix.{}.{step}", side((*dy, *dx)));
        let half = affinity.op(&name("half"), "Mul", &[&inverse], vec![])?;
        matrix.push(((*dy, *dx), half.op(&name("entry"), "Mul", &[&there], vec![])?));
    }
    let diagonal = inverse.op("matrix.diagonal", "Mul", &[&inverse], vec![])?;
    let state = maps.op("weighted", "Mul", &[&root], vec![])?;
    let power = power(part, [&state, &maps], &matrix, &diagonal, settings)?;
    Ok(power.op("walked", "Mul", &[&inverse], vec![])?)
}

/// Displacement and affinity, `(1, 1, h, w)`, of every pixel with the pixel there, 0 where that lies
/// outside.
fn pairs(
    part: &Builder,
    edge: &Value,
    settings: &LabelSettings,
) -> Result<Vec<((i64, i64), Value)>> {
    let rim = settings.radius as i64 - 1;
    let one = part.scalar(1.0)?.within(part);
    // Outside is all boundary: paths that leave the map have affinity 0.
    let padded = pad(part, edge, "edge.padded", rim, 1.0)?;
    let mut all = Vec::new();
    for Direction { dy, dx, path } in directions(settings.radius) {
        let there = (dy as i64, dx as i64);
        let cells = path.iter().map(|&(y, x)| shifted(part, &padded, (y as i64, x as i64), rim));
        let cells = cells.collect::<Result<Vec<_>>>()?;
        let name = |step: &str| format!("pair.{}.{step}", side(there));
        let others: Vec<&Value> = cells[1..].iter().collect();
        let strongest = cells[0].op(&name("strongest"), "Max", &others, vec![])?;
        let open = one.op(&name("open"), "Sub", &[&strongest], vec![])?;
        let beta = part.scalar(settings.beta as f32)?;
        let affinity = open.op(&name("affinity"), "Pow", &[&beta], vec![])?;
        let reach = pad(part, &affinity, &name("padded"), rim, 0.0)?;
        let back = (-there.0, -there.1);
        let name = format!("pair.{}.back", side(there));
        all.push((there, affinity));
        all.push((back, slice(part, &reach, &name, back, rim)?));
    }
    Ok(all)
}

/// `S^n` times the first maps. The second take the place of what is before the first step, where only the
/// shape counts: OpenCV 5 computes something else when one value starts two states of a loop.
fn power(
    part: &Builder,
    [state, before]: [&Value; 2],
    matrix: &[((i64, i64), Value)],
    diagonal: &Value,
    settings: &LabelSettings,
) -> Result<Value> {
    let even: Vec<f32> =
        coefficients(1 << settings.exp_times).iter().step_by(2).map(|&c| c as f32).collect();
    let rounds = even.len() - 1;
    let first = part.scalar(even[0])?;
    let total = state.op("sum.first", "Mul", &[&first], vec![])?;
    // The first step of all is T_1 = S T_0, every other one T_k = 2 S T_(k-1) - T_(k-2).
    let constant =
        |name, values: Vec<f32>| part.constant(TensorProto::floats(name, &[rounds], &values));
    let from_second = |first: f32, later: f32| {
        (0..rounds).map(|round| if round == 0 { first } else { later }).collect()
    };
    let tables = Tables {
        scale: constant("scale", from_second(1.0, 2.0))?,
        minus: constant("minus", from_second(0.0, 1.0))?,
        weight: constant("weight", even[1..].to_vec())?,
        rounds: part.constant(TensorProto {
            dims: vec![],
            ..TensorProto::ints("rounds", &[rounds as i64])
        })?,
    };
    // Left out it means the same, but onnx.reference then makes no round at all.
    let begins = part
        .constant(TensorProto { name: "begins".into(), ..TensorProto::raw(BOOL, &[], vec![1]) })?;
    let body = body(part, matrix, diagonal, &tables, settings.radius as i64 - 1)?;
    let outputs = ["last", "before", "power"].map(|name| part.scoped(name));
    part.add(NodeProto {
        input: vec![
            tables.rounds.name.clone(),
            begins.name.clone(),
            state.name.clone(),
            before.name.clone(),
            total.name.clone(),
        ],
        output: outputs.to_vec(),
        name: part.scoped("chebyshev"),
        op_type: "Loop".into(),
        attribute: vec![("body", body).into()],
    })?;
    Ok(part.value(part.scoped("power")))
}

/// What changes from round to round.
struct Tables {
    scale: Value,
    minus: Value,
    weight: Value,
    rounds: Value,
}

/// Two steps of the recurrence and one term of the sum.
fn body(
    outer: &Builder,
    matrix: &[((i64, i64), Value)],
    diagonal: &Value,
    tables: &Tables,
    rim: i64,
) -> Result<crate::onnx::GraphProto> {
    let part = outer.body("round");
    let scalar =
        |name: &str, kind| part.input(ValueInfoProto::tensor(&part.scoped(name), kind, vec![]));
    let map = |name: &str| {
        let sizes = ["batch", "present", "h4", "w4"].map(Into::into);
        ValueInfoProto::tensor(&part.scoped(name), FLOAT, sizes.into())
    };
    let round = scalar("number", INT64);
    scalar("going", BOOL);
    let [now, before, total] = ["now", "before", "total"].map(|name| part.input(map(name)));
    let entry =
        |name: &str, table: &Value| part.node(name, "Gather", &[&table.name, &round.name], vec![]);
    let (scale, minus) = (entry("scale", &tables.scale)?, entry("minus", &tables.minus)?);
    let product = product(&part, "odd", &now, matrix, diagonal, rim)?;
    let product = product.op("odd.scaled", "Mul", &[&scale], vec![])?;
    let old = before.op("odd.old", "Mul", &[&minus], vec![])?;
    let odd = product.op("odd", "Sub", &[&old], vec![])?;
    let product = self::product(&part, "even", &odd, matrix, diagonal, rim)?;
    let product = product.op("even.scaled", "Mul", &[&part.scalar(2.0)?], vec![])?;
    let even = product.op("even", "Sub", &[&now], vec![])?;
    let term = even.op("term", "Mul", &[&entry("weight", &tables.weight)?], vec![])?;
    let sum = total.op("sum", "Add", &[&term], vec![])?;
    let going = round.op("goes.on", "Less", &[&tables.rounds], vec![])?;
    let info = ValueInfoProto::tensor(&going.name, BOOL, vec![]);
    part.output(&going, info);
    for (value, name) in [(&even, "even"), (&odd, "odd"), (&sum, "sum")] {
        part.output(value, map(name));
    }
    Ok(part.finish_body("round"))
}

/// `S` times the maps.
fn product(
    part: &Builder,
    name: &str,
    maps: &Value,
    matrix: &[((i64, i64), Value)],
    diagonal: &Value,
    rim: i64,
) -> Result<Value> {
    let padded = pad(part, maps, &format!("{name}.padded"), rim, 0.0)?;
    let own = maps.op(&format!("{name}.own"), "Mul", &[diagonal], vec![])?;
    let mut terms = Vec::new();
    for (there, entry) in matrix {
        let name = |step: &str| format!("{name}.{}.{step}", side(*there));
        let neighbour = slice(part, &padded, &name("neighbour"), *there, rim)?;
        terms.push(neighbour.op(&name("term"), "Mul", &[entry], vec![])?);
    }
    let terms: Vec<&Value> = terms.iter().collect();
    Ok(own.op(&format!("{name}.product"), "Sum", &terms, vec![])?)
}

/// A rim of `width` cells of `value` around the last two axes.
fn pad(part: &Builder, x: &Value, name: &str, width: i64, value: f32) -> Result<Value> {
    let pads = part.ints(&[0, 0, width, width, 0, 0, width, width])?;
    let value = part.scalar(value)?;
    Ok(x.op(name, "Pad", &[&pads, &value], vec![("mode", "constant").into()])?)
}

/// The map of what lies `there` of each cell; made once.
fn shifted(part: &Builder, padded: &Value, there: (i64, i64), rim: i64) -> Result<Value> {
    let local = padded.name.rsplit('/').next().unwrap_or_default();
    let name = format!("{}.{}", local.trim_end_matches(".padded"), side(there));
    slice(part, padded, &name, there, rim)
}

/// Cuts the rim off, moved by `there`.
fn slice(
    part: &Builder,
    padded: &Value,
    name: &str,
    (dy, dx): (i64, i64),
    rim: i64,
) -> Result<Value> {
    let end = |by: i64| if by == rim { i64::MAX } else { by - rim };
    let starts = part.ints(&[rim + dy, rim + dx])?;
    let (ends, axes) = (part.ints(&[end(dy), end(dx)])?, part.ints(&[2, 3])?);
    Ok(padded.op(name, "Slice", &[&starts, &ends, &axes], vec![])?)
}

/// A displacement as part of a name: `2down3left`.
fn side((dy, dx): (i64, i64)) -> String {
    let part = |by: i64, names: [&str; 2]| match by {
        0 => String::new(),
        by => format!("{}{}", by.abs(), names[usize::from(by < 0)]),
    };
    match (dy, dx) {
        (0, 0) => "here".into(),
        _ => part(dy, ["down", "up"]) + &part(dx, ["right", "left"]),
    }
}
