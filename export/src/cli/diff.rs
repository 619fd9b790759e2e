//! `irn-export diff`: two checkpoints compared, parameter by parameter, whatever their kinds and names.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use candle_core::Tensor;
use irn_models::checkpoint;
use serde::Serialize;

/// One parameter of both files.
#[derive(Debug, Serialize)]
struct Difference {
    name: String,
    /// Largest absolute difference; absent where the shapes differ.
    max_abs: Option<f64>,
    /// That divided by the largest magnitude of either.
    max_rel: Option<f64>,
    shapes: [Vec<usize>; 2],
}

/// Everything that differs or not.
#[derive(Debug, Serialize)]
struct Report {
    parameters: Vec<Difference>,
    only_in_a: Vec<String>,
    only_in_b: Vec<String>,
}

/// Prints the differences; true where there are none above `tolerance` (relative) and no name is missing.
pub fn diff(a: &Path, b: &Path, tolerance: f64, as_json: bool) -> Result<bool> {
    let (first, second) = (checkpoint::load(a)?.tensors, checkpoint::load(b)?.tensors);
    let report = compare(&first, &second)?;
    match as_json {
        true => println!("{}", serde_json::to_string_pretty(&report)?),
        false => print(&report, a, b),
    }
    let within = |difference: &Difference| difference.max_rel.is_some_and(|rel| rel <= tolerance);
    let whole = report.only_in_a.is_empty() && report.only_in_b.is_empty();
    Ok(whole && report.parameters.iter().all(within))
}

fn compare(a: &BTreeMap<String, Tensor>, b: &BTreeMap<String, Tensor>) -> Result<Report> {
    let mut parameters = Vec::new();
    for (name, first) in a {
        let Some(second) = b.get(name) else { continue };
        let shapes = [first.dims().to_vec(), second.dims().to_vec()];
        let (max_abs, max_rel) = match shapes[0] == shapes[1] {
            true => differences(first, second)?,
            false => (None, None),
        };
        parameters.push(Difference { name: name.clone(), max_abs, max_rel, shapes });
    }
    let only = |in_one: &BTreeMap<String, Tensor>, other: &BTreeMap<String, Tensor>| {
        in_one.keys().filter(|name| !other.contains_key(*name)).cloned().collect()
    };
    Ok(Report { parameters, only_in_a: only(a, b), only_in_b: only(b, a) })
}

/// Undefined numbers differ infinitely, unless both are.
fn differences(a: &Tensor, b: &Tensor) -> Result<(Option<f64>, Option<f64>)> {
    let values = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
    let (a, b) = (values(a)?, values(b)?);
    let (mut largest, mut scale) = (0f64, 0f64);
    for (&a, &b) in a.iter().zip(&b) {
        let (a, b) = (f64::from(a), f64::from(b));
        let apart = if a == b || a.is_nan() && b.is_nan() { 0.0 } else { (a - b).abs() };
        largest = largest.max(if apart.is_nan() { f64::INFINITY } else { apart });
        scale = scale.max(a.abs()).max(b.abs());
    }
    let relative = if largest == 0.0 { 0.0 } else { largest / scale };
    Ok((Some(largest), Some(relative)))
}

fn print(report: &Report, a: &Path, b: &Path) {
    let mut equal = 0;
    for Difference { name, max_abs, max_rel, shapes } in &report.parameters {
        match (max_abs, max_rel) {
            (Some(0.0), _) => equal += 1,
            (Some(abs), Some(rel)) => println!("{name}: max abs {abs:.3e}, relative {rel:.3e}"),
            _ => println!("{name}: shapes {:?} and {:?}", shapes[0], shapes[1]),
        }
    }
    for (names, path) in [(&report.only_in_a, a), (&report.only_in_b, b)] {
        names.iter().for_each(|name| println!("{name}: only in {}", path.display()));
    }
    let all = report.parameters.len();
    println!("{equal} of {all} common parameters are equal, bit for bit or both zero");
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn tensors(values: &[(&str, &[f32])]) -> BTreeMap<String, Tensor> {
        let tensor = |values: &[f32]| Tensor::new(values, &Device::Cpu).unwrap();
        values.iter().map(|(name, values)| (name.to_string(), tensor(values))).collect()
    }

    #[test]
    fn differences_are_measured_and_names_missed() {
        let a = tensors(&[("x", &[1.0, -4.0]), ("y", &[0.0]), ("z", &[1.0]), ("n", &[f32::NAN])]);
        let b = tensors(&[("x", &[1.5, -4.0]), ("y", &[0.0]), ("w", &[1.0]), ("n", &[1.0])]);
        let report = compare(&a, &b).unwrap();
        assert_eq!(report.only_in_a, ["z"]);
        assert_eq!(report.only_in_b, ["w"]);
        let found: Vec<_> = report.parameters.iter().map(|d| (&*d.name, d.max_abs)).collect();
        assert_eq!(found, [("n", Some(f64::INFINITY)), ("x", Some(0.5)), ("y", Some(0.0))]);
        assert_eq!(report.parameters[1].max_rel, Some(0.125));
        let short = tensors(&[("x", &[1.0])]);
        assert_eq!(compare(&a, &short).unwrap().parameters[0].max_abs, None);
    }
}
