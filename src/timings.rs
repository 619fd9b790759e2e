//! How long stages took: one line per stage and run in `log/timings.jsonl`, for the report.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use fs_err::OpenOptions;
use serde::{Deserialize, Serialize};

/// One stage of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Name of the stage.
    pub stage: String,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Images worked on.
    pub images: usize,
    /// What the networks ran on, in words; empty where the stage has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub device: String,
}

const FILE: &str = "log/timings.jsonl";

/// Appends `timing` below the output directory `out`.
///
/// # Errors
/// A directory that can't be written.
pub fn append(out: &Path, timing: &Timing) -> Result<()> {
    fs_err::create_dir_all(out.join("log"))?;
    let mut file = OpenOptions::new().create(true).append(true).open(out.join(FILE))?;
    writeln!(file, "{}", serde_json::to_string(timing)?).context("failed to write the timings")
}

/// The stages in the order of their first run, interrupted runs summed, their devices all named.
///
/// # Errors
/// A file that can't be read.
pub fn read(out: &Path) -> Result<Vec<Timing>> {
    let path = out.join(FILE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let mut summed: Vec<Timing> = Vec::new();
    for line in fs_err::read_to_string(path)?.lines() {
        let Ok(timing) = serde_json::from_str::<Timing>(line) else { continue };
        match summed.iter_mut().find(|known| known.stage == timing.stage) {
            Some(known) => {
                known.seconds += timing.seconds;
                known.images += timing.images;
                known.device = both(&known.device, &timing.device);
            }
            None => summed.push(timing),
        }
    }
    Ok(summed)
}

/// Two devices in words, one where they are the same.
fn both(first: &str, then: &str) -> String {
    match (first, then) {
        ("", only) | (only, "") => only.to_string(),
        (first, then) if first.contains(then) => first.to_string(),
        (first, then) => format!("{first}, then {then}"),
    }
}

/// The stages of each device, in words; why it is no other is the log's business.
pub fn by_device(timings: &[Timing]) -> String {
    let mut devices: Vec<(&str, Vec<&str>)> = Vec::new();
    for timing in timings.iter().filter(|timing| !timing.device.is_empty()) {
        let device = timing.device.split("; not CUDA:").next().unwrap_or_default();
        match devices.iter_mut().find(|(known, _)| *known == device) {
            Some((_, stages)) => stages.push(&timing.stage),
            None => devices.push((device, vec![&timing.stage])),
        }
    }
    let named =
        devices.iter().map(|(device, stages)| format!("; {} on {device}", stages.join(", ")));
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_a_stage_are_summed_and_their_devices_named() {
        let dir = tempfile::tempdir().unwrap();
        for device in ["", "CPU", "CUDA 0", "CPU", ""] {
            let timing =
                Timing { stage: "cam".into(), seconds: 2.0, images: 3, device: device.into() };
            append(dir.path(), &timing).unwrap();
        }
        let device = "CPU, then CUDA 0".to_string();
        let summed = Timing { stage: "cam".into(), seconds: 10.0, images: 15, device };
        assert_eq!(read(dir.path()).unwrap(), [summed]);
    }

    #[test]
    fn stages_are_listed_by_device() {
        let timing = |stage: &str, device: &str| {
            let (stage, device) = (stage.to_string(), device.to_string());
            Timing { stage, seconds: 1.0, images: 1, device }
        };
        let timings = [
            timing("train cam", "CUDA 0, X (driver 580, f32)"),
            timing("cam", "CPU (2 threads); not CUDA: no driver"),
            timing("ir-label", ""),
            timing("irn", "CPU (2 threads)"),
        ];
        let words = "; train cam on CUDA 0, X (driver 580, f32); cam, irn on CPU (2 threads)";
        assert_eq!(by_device(&timings), words);
    }
}
