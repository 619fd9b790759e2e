//! Laying a file and overrides over the defaults.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use serde_yaml::{Mapping, Value};

use super::{Config, Layout, Preset};
use crate::error::Hint;

/// Defaults, then the preset of `run.method`, then `file`, then `overrides` (`key.path=value`, values in
/// YAML).
///
/// # Errors
/// A file that can't be read or is no YAML, an unknown key, a value of the wrong type or out of range.
pub fn load(file: Option<&Path>, overrides: &[String]) -> Result<Config> {
    let mut config = laid(file, overrides, None)?;
    if let Some(method) = config.run.method {
        config = laid(file, overrides, Some(method.preset(config.data.classes.len())))?;
    }
    check(&config)?;
    Ok(config)
}

fn laid(file: Option<&Path>, overrides: &[String], preset: Option<Preset>) -> Result<Config> {
    let mut tree = serde_yaml::to_value(Config::default())?;
    if let Some(preset) = preset {
        lay(&mut tree, preset.to_value(), "")?;
    }
    if let Some(file) = file {
        let laid = read(file)?;
        lay(&mut tree, laid, "").with_context(|| format!("in settings file {}", file.display()))?;
    }
    for text in overrides {
        let (path, value) = parse_override(text)?;
        lay(&mut tree, nest(&path, value), "").with_context(|| format!("in override {text}"))?;
    }
    serde_yaml::from_value(tree).context("in the settings")
}

/// The resolved settings as YAML, every key present.
///
/// # Errors
/// None in practice; those of the serializer.
pub fn to_yaml(config: &Config) -> Result<String> {
    Ok(serde_yaml::to_string(config)?)
}

fn read(file: &Path) -> Result<Value> {
    let text = fs_err::read_to_string(file)
        .hint("--config takes a YAML file; configs/ has examples to start from")?;
    let value = serde_yaml::from_str(&text)
        .with_context(|| format!("settings file {} is no YAML", file.display()))?;
    // An empty file, or one of comments alone, changes nothing.
    Ok(if matches!(value, Value::Null) { Value::Mapping(Mapping::new()) } else { value })
}

fn parse_override(text: &str) -> Result<(String, Value)> {
    let (path, value) = text
        .split_once('=')
        .ok_or_else(|| anyhow!("'{text}' is no setting"))
        .hint("settings are given as key.path=value, e.g. cam.train.epochs=3")?;
    let value = serde_yaml::from_str(value).with_context(|| format!("value of {path}"))?;
    Ok((path.trim().to_string(), value))
}

fn nest(path: &str, value: Value) -> Value {
    path.rsplit('.').fold(value, |inner, key| {
        let mut map = Mapping::new();
        map.insert(Value::from(key), inner);
        Value::Mapping(map)
    })
}

/// Lays `over` on `base`: maps key by key, everything else replaces.
fn lay(base: &mut Value, over: Value, path: &str) -> Result<()> {
    let (Value::Mapping(base), Value::Mapping(over)) = (&mut *base, &over) else {
        if matches!(base, Value::Mapping(_)) {
            bail!("{path} is a group of settings, not a single value");
        }
        *base = over;
        return Ok(());
    };
    for (key, value) in over {
        let name = key.as_str().ok_or_else(|| anyhow!("{path}: keys are words, not {key:?}"))?;
        let full = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
        match base.get_mut(name) {
            Some(slot) => lay(slot, value.clone(), &full)?,
            None => return Err(unknown(&full)),
        }
    }
    Ok(())
}

fn unknown(full: &str) -> anyhow::Error {
    let mut known = Vec::new();
    if let Ok(tree) = serde_yaml::to_value(Config::default()) {
        paths(&tree, "", &mut known);
    }
    let nearest = known
        .into_iter()
        .max_by(|a, b| strsim::jaro_winkler(full, a).total_cmp(&strsim::jaro_winkler(full, b)))
        .unwrap_or_default();
    let refused: Result<()> = Err(anyhow!("unknown setting {full}"));
    match refused.hint(format!("the nearest one is {nearest}")) {
        Err(error) => error,
        Ok(()) => anyhow!("unknown setting {full}"),
    }
}

fn paths(tree: &Value, path: &str, out: &mut Vec<String>) {
    let Value::Mapping(map) = tree else {
        return out.push(path.to_string());
    };
    for (key, value) in map {
        let key = key.as_str().unwrap_or_default();
        let full = if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
        paths(value, &full, out);
    }
}

/// Values that the types allow and the work does not.
fn check(config: &Config) -> Result<()> {
    let positive = [
        ("cam.train.batch", config.cam.train.batch),
        ("cam.train.crop", config.cam.train.crop),
        ("irn.train.batch", config.irn.train.batch),
        ("irn.train.crop", config.irn.train.crop),
        ("irn.pad", config.irn.pad),
        ("cam.scales", config.cam.scales.len()),
        ("infer.sessions", config.infer.sessions),
    ];
    for (key, value) in positive {
        if value == 0 {
            bail!("{key} must not be 0 or empty");
        }
    }
    if config.data.classes.is_empty() && config.data.layout == Layout::Voc {
        bail!("data.classes must not be empty");
    }
    if !(0.0..1.0).contains(&config.data.val_share) {
        bail!("data.val_share is {}: at least 0, below 1", config.data.val_share);
    }
    if config.data.classes.len() > 254 {
        bail!("data.classes has {} entries; a label image holds 254", config.data.classes.len());
    }
    let in_order =
        config.cam.long_side[0] <= config.cam.long_side[1] && config.cam.long_side[0] > 0;
    if !in_order {
        bail!("cam.long_side is {:?}: smallest, then largest, pixels", config.cam.long_side);
    }
    let [low, high] = config.irn.scale;
    if !(0.0 < low && low <= high && high <= 16.0) {
        bail!("irn.scale is {:?}: smallest, then largest, above 0", config.irn.scale);
    }
    if let Some(scale) = config.cam.scales.iter().find(|scale| !(0.01..=16.0).contains(*scale)) {
        bail!("cam.scales holds {scale}: a scale lies between 0.01 and 16");
    }
    if !(0.01..=8.0).contains(&config.network.width) {
        bail!("network.width is {}: it lies between 0.01 and 8", config.network.width);
    }
    if !(2..=32).contains(&config.irn.radius) || !(2..=32).contains(&config.walk.radius) {
        bail!("irn.radius and walk.radius lie between 2 and 32");
    }
    let [first, last, step] = config.eval.sweep;
    if !(first <= last && step > 0.0 && (last - first) / step <= 1000.0) {
        bail!("eval.sweep is {:?}: first, last, step above 0", config.eval.sweep);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overridden(text: &str) -> Result<Config> {
        load(None, &[text.to_string()])
    }

    #[test]
    fn overrides_come_last() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.yaml");
        fs_err::write(&file, "cam:\n  train:\n    epochs: 3\n    batch: 4\n").unwrap();
        let config = load(Some(&file), &["cam.train.epochs=7".into()]).unwrap();
        assert_eq!((config.cam.train.epochs, config.cam.train.batch), (7, 4));
        assert_eq!(config.irn, crate::config::IrnConfig::default());
    }

    #[test]
    fn unknown_keys_name_their_path_and_the_nearest() {
        let error = crate::error::report(&overridden("cam.train.epoch=3").unwrap_err());
        assert!(error.contains("cam.train.epoch"), "{error}");
        assert!(error.contains("hint: the nearest one is cam.train.epochs"), "{error}");
    }

    #[test]
    fn wrong_values_are_refused() {
        for text in [
            "cam.train.batch=0",
            "cam.train=3",
            "cam.train.batch=many",
            "nonsense",
            "run.passes=[fly]",
            "run.device=gpu",
            "run.device=cuda:0,0",
            "infer.precision=f64",
            "infer.sessions=0",
        ] {
            assert!(overridden(text).is_err(), "{text}");
        }
    }

    #[test]
    fn devices_are_read_in_every_form() {
        use crate::config::Device::{Auto, Cpu, Cuda};
        assert_eq!(Config::default().run.device, Auto);
        for (text, device) in [
            ("run.device=cpu", Cpu),
            ("run.device=cuda", Cuda(vec![])),
            ("run.device=cuda:0,2", Cuda(vec![0, 2])),
            ("run.device=[cuda:0, cuda:2]", Cuda(vec![0, 2])),
        ] {
            let config = overridden(text).unwrap();
            assert_eq!(config.run.device, device, "{text}");
            let again: Config = serde_yaml::from_str(&to_yaml(&config).unwrap()).unwrap();
            assert_eq!(again, config, "{text}");
        }
        let error = format!("{:#}", overridden("run.device=gpu").unwrap_err());
        assert!(error.contains("gpu") && error.contains("cuda:0,2"), "{error}");
    }

    #[test]
    fn settings_survive_a_round_trip() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("all.yaml");
        fs_err::write(&file, to_yaml(&Config::default()).unwrap()).unwrap();
        assert_eq!(load(Some(&file), &[]).unwrap(), Config::default());
    }
}
