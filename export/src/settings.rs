//! The few settings of `irn-export`: defaults in code, a YAML file, `key.path=value` last.
//!
//! The file may be the one the other programs use: of it only the keys listed here are read.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use irn_models::error::Hint;
use serde::de::DeserializeOwned;
use serde_yaml::Value;

use crate::labels::LabelSettings;
use crate::verify::Plan;

/// The keys there are.
const KEYS: [&str; 9] = [
    "onnx.tolerance",
    "onnx.sizes",
    "run.threads",
    "cam.scales",
    "irn.pad",
    "walk.radius",
    "walk.beta",
    "walk.exp_times",
    "sem_seg.background",
];

/// How exported graphs are compared, and how the graph of labels is made.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// For `onnx` and `verify`.
    pub plan: Plan,
    /// For `--graph labels`.
    pub labels: LabelSettings,
}

/// The settings as file and overrides say.
///
/// # Errors
/// A file that can't be read, an unknown key, a value of another type.
pub fn read(file: Option<&Path>, overrides: &[String]) -> Result<Settings> {
    let mut settings = Settings::default();
    if let Some(path) = file {
        let text = fs_err::read_to_string(path)?;
        read_file(&mut settings, &text).with_context(|| format!("in {}", path.display()))?;
    }
    for change in overrides {
        let (key, text) = change
            .split_once('=')
            .ok_or_else(|| anyhow!("`{change}` is not of the form key.path=value"))?;
        let parsed = serde_yaml::from_str(text).with_context(|| format!("value of {key}"))?;
        apply(&mut settings, key, parsed)?;
    }
    Ok(settings)
}

fn read_file(settings: &mut Settings, text: &str) -> Result<()> {
    let root: Value = serde_yaml::from_str(text)?;
    for key in root.get("onnx").and_then(Value::as_mapping).into_iter().flat_map(|map| map.keys()) {
        let key = format!("onnx.{}", key.as_str().unwrap_or_default());
        known(&key)?;
    }
    for key in KEYS {
        let found = key.split('.').try_fold(&root, |value, part| value.get(part));
        if let Some(value) = found.filter(|value| !value.is_null()) {
            apply(settings, key, value.clone())?;
        }
    }
    Ok(())
}

fn apply(settings: &mut Settings, key: &str, parsed: Value) -> Result<()> {
    known(key)?;
    let Settings { plan, labels } = settings;
    match key {
        "onnx.tolerance" => plan.tolerance = value(key, parsed)?,
        "onnx.sizes" => plan.sizes = value(key, parsed)?,
        "run.threads" => plan.threads = value(key, parsed)?,
        "cam.scales" => labels.scales = value(key, parsed)?,
        "irn.pad" => labels.pad = value(key, parsed)?,
        "walk.radius" => labels.radius = value(key, parsed)?,
        "walk.beta" => labels.beta = value(key, parsed)?,
        "walk.exp_times" => labels.exp_times = value(key, parsed)?,
        _ => labels.background = value(key, parsed)?,
    }
    Ok(())
}

fn known(key: &str) -> Result<()> {
    if KEYS.contains(&key) {
        return Ok(());
    }
    Err(anyhow!("unknown key {key}")).hint(format!("irn-export knows {}", KEYS.join(", ")))
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
        let text = "cam:\n  scales: [1.0]\n  rate: 3\nonnx:\n  tolerance: 0.5\nrun:\n  threads: 3\n  seed: 1\n";
        fs_err::write(file.path(), text).unwrap();
        let overrides = ["onnx.sizes=[[1, 32, 48]]".to_string()];
        let Settings { plan, labels } = read(Some(file.path()), &overrides).unwrap();
        assert_eq!(labels, LabelSettings { scales: vec![1.0], ..LabelSettings::default() });
        assert_eq!((plan.tolerance, plan.threads, plan.sizes), (0.5, 3, vec![[1, 32, 48]]));
    }

    #[test]
    fn unknown_keys_and_wrong_types_are_refused() {
        for change in ["onnx.tolerence=1", "onnx.sizes=3", "run.threads", "onnx.tolerance=tight"] {
            let error = read(None, &[change.to_string()]).unwrap_err();
            assert!(format!("{error:#}").contains(change.split('=').next().unwrap()), "{error:#}");
        }
        assert!(read_file(&mut Settings::default(), "onnx:\n  tolerence: 1\n").is_err());
    }
}
