//! The PyTorch peer: each of its stages in a process of its own, in all variants that it has.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::inputs;

/// What a stage of ours is compared with.
pub enum Work {
    /// Nothing of the peer's.
    Nothing,
    /// A stage of its.
    Stage(&'static str),
    /// Two of its stages, one after the other.
    Both(&'static str, &'static str),
    /// The dense random walk.
    Dense,
}

/// The best time of the peer's.
#[derive(Clone, Debug)]
pub struct Best {
    /// Which variant it was.
    pub variant: String,
    /// Median seconds.
    pub seconds: f64,
    /// Peak memory of that variant's process.
    pub peak_mib: Option<f64>,
}

/// The baseline, and what it has measured in this run.
pub struct Peer {
    python: String,
    baseline: PathBuf,
    measured: BTreeMap<&'static str, Option<Best>>,
}

/// Stages with variants beside the plain one; `--ort` exists for inference only.
fn variants(stage: &str) -> &'static [&'static str] {
    match stage {
        "cam_infer" | "irn_infer" => &["", "--channels-last", "--ort"],
        "cam_train_512" | "cam_train_256" | "irn_train_512" => &["", "--channels-last"],
        _ => &[""],
    }
}

impl Peer {
    /// The peer, if it can run here.
    pub fn find() -> Result<Self> {
        let python = std::env::var("IRN_PYTHON").unwrap_or_else(|_| "python3".into());
        let baseline = inputs::beside("IRN_BASELINE", "baseline/torch_baseline.py");
        ensure!(baseline.is_file(), "no {} (IRN_BASELINE names another)", baseline.display());
        let modules = "import torch, numpy, PIL";
        let tried = Command::new(&python).args(["-c", modules]).output();
        let tried = tried.with_context(|| format!("no {python} (IRN_PYTHON names another)"))?;
        if !tried.status.success() {
            let reason = String::from_utf8_lossy(&tried.stderr);
            bail!("{python}: {}", reason.lines().last().unwrap_or("it failed"));
        }
        Ok(Self { python, baseline, measured: BTreeMap::new() })
    }

    /// Runs one of our own scripts beside this file on the baseline.
    pub fn script(&self, name: &str, argument: &str) -> Result<String> {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches").join(name);
        let mut command = Command::new(&self.python);
        let command = command.arg("-W").arg("ignore").arg(path).arg(&self.baseline).arg(argument);
        let output = command.stderr(Stdio::inherit()).output()?;
        ensure!(output.status.success(), "{name} failed");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The best variant's time for `work`; none where the peer can't do it here.
    pub fn best(&mut self, work: &Work) -> Result<Option<Best>> {
        match *work {
            Work::Nothing => Ok(None),
            Work::Stage(stage) => self.stage(stage),
            Work::Both(first, second) => {
                let (first, second) = (self.stage(first)?, self.stage(second)?);
                Ok(first.zip(second).map(|(first, second)| Best {
                    variant: format!("{}, then {}", first.variant, second.variant),
                    seconds: first.seconds + second.seconds,
                    peak_mib: first.peak_mib.zip(second.peak_mib).map(|(a, b)| a.max(b)),
                }))
            }
            Work::Dense if std::env::var_os("IRN_BENCH_DENSE").is_some() => {
                self.stage("random_walk")
            }
            Work::Dense => {
                let seconds: f64 = self.script("dense.py", "11750")?.trim().parse()?;
                let variant = "torch, dense: eight times one measured product".to_string();
                Ok(Some(Best { variant, seconds: 8.0 * seconds, peak_mib: None }))
            }
        }
    }

    fn stage(&mut self, stage: &'static str) -> Result<Option<Best>> {
        if let Some(known) = self.measured.get(stage) {
            return Ok(known.clone());
        }
        let mut best: Option<Best> = None;
        for variant in variants(stage) {
            let Some(found) = self.run(stage, variant)? else { continue };
            if best.as_ref().is_none_or(|best| found.seconds < best.seconds) {
                best = Some(found);
            }
        }
        self.measured.insert(stage, best.clone());
        Ok(best)
    }

    fn run(&self, stage: &str, variant: &str) -> Result<Option<Best>> {
        let mut command = Command::new(&self.python);
        command.args(["-W", "ignore"]).arg(&self.baseline).args([
            "--stage",
            stage,
            "--threads",
            "2",
        ]);
        command.args((!variant.is_empty()).then_some(variant));
        let output = command.stderr(Stdio::null()).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let Some(line) = text.lines().rev().find(|line| line.starts_with('{')) else {
            println!("    peer {stage} {variant}: failed");
            return Ok(None);
        };
        let line: Value = serde_json::from_str(line)?;
        let Some(seconds) = line["seconds"].as_f64() else {
            println!("    peer {stage} {variant}: skipped, {}", line["skipped"]);
            return Ok(None);
        };
        let engine = line["engine"].as_str().unwrap_or("torch");
        let layout = if variant == "--channels-last" { ", channels last" } else { "" };
        println!("    peer {stage}: {engine}{layout}: {seconds:.4} s");
        let peak_mib = line["peak_rss_mib"].as_f64();
        Ok(Some(Best { variant: format!("{stage}: {engine}{layout}"), seconds, peak_mib }))
    }
}
