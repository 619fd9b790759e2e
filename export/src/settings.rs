//! The few settings of `irn-export`: defaults in code, a YAML file, `key.path=value` last.
//!
//! The file may be the one the other programs use: of it only `onnx` and `run.threads` are read.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use irn_models::error::Hint;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_yaml::Value;

use crate::verify::Plan;

/// The keys there are.
const KEYS: [&str; 3] = ["onnx.tolerance", "onnx.sizes", "run.threads"];

/// The section `onnx` of a settings file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct OnnxSection {
    tolerance: Option<f64>,
    sizes: Option<Vec<[usize; 3]>>,
}

/// The plan of a comparison as file and overrides say.
///
/// # Errors
/// A file that can't be read, an unknown key, a value of another type.
pub fn plan(file: Option<&Path>, overrides: &[String]) -> Result<Plan> {
    let mut plan = Plan::default();
    if let Some(path) = file {
        let text = fs_err::read_to_string(path)?;
        read_file(&mut plan, &text).with_context(|| format!("in {}", path.display()))?;
    }
    for change in overrides {
        apply(&mut plan, change)?;
    }
    Ok(plan)
}

fn read_file(plan: &mut Plan, text: &str) -> Result<()> {
    let root: Value = serde_yaml::from_str(text)?;
    if let Some(section) = root.get("onnx") {
        let section: OnnxSection = value("onnx", section.clone())?;
        plan.tolerance = section.tolerance.unwrap_or(plan.tolerance);
        plan.sizes = section.sizes.unwrap_or(std::mem::take(&mut plan.sizes));
    }
    if let Some(threads) = root.get("run").and_then(|run| run.get("threads")) {
        plan.threads = value("run.threads", threads.clone())?;
    }
    Ok(())
}

fn apply(plan: &mut Plan, change: &str) -> Result<()> {
    let (key, text) = change
        .split_once('=')
        .ok_or_else(|| anyhow!("`{change}` is not of the form key.path=value"))?;
    let parsed: Value = serde_yaml::from_str(text).with_context(|| format!("value of {key}"))?;
    match key {
        "onnx.tolerance" => plan.tolerance = value(key, parsed)?,
        "onnx.sizes" => plan.sizes = value(key, parsed)?,
        "run.threads" => plan.threads = value(key, parsed)?,
        _ => {
            let hint = format!("irn-export knows {}", KEYS.join(", "));
            return Err(anyhow!("unknown key {key}")).hint(hint);
        }
    }
    Ok(())
}

fn value<T: DeserializeOwned>(key: &str, value: Value) -> Result<T> {
    serde_yaml::from_value(value).with_context(|| format!("setting {key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_go_last_and_other_sections_are_left_alone() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text =
            "cam:\n  scales: [1.0]\nonnx:\n  tolerance: 0.5\nrun:\n  threads: 3\n  seed: 1\n";
        fs_err::write(file.path(), text).unwrap();
        let overrides = ["onnx.sizes=[[1, 32, 48]]".to_string()];
        let plan = plan(Some(file.path()), &overrides).unwrap();
        assert_eq!((plan.tolerance, plan.threads, plan.sizes), (0.5, 3, vec![[1, 32, 48]]));
    }

    #[test]
    fn unknown_keys_and_wrong_types_are_refused() {
        for change in ["onnx.tolerence=1", "onnx.sizes=3", "run.threads", "onnx.tolerance=tight"] {
            let error = plan(None, &[change.to_string()]).unwrap_err();
            assert!(format!("{error:#}").contains(change.split('=').next().unwrap()), "{error:#}");
        }
        assert!(read_file(&mut Plan::default(), "onnx:\n  tolerence: 1\n").is_err());
    }
}
