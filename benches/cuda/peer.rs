//! The PyTorch peer on the same card: its best variant for a stage and a precision.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The baseline and who runs it.
pub struct Peer {
    python: String,
    baseline: PathBuf,
}

/// Its best time.
pub struct Best {
    /// Which variant it was.
    pub variant: String,
    /// Median seconds.
    pub seconds: f64,
    /// Most memory of the GPU, MiB.
    pub peak_mib: Option<f64>,
}

impl Peer {
    /// The peer, if it can run here.
    pub fn find() -> Result<Self> {
        let python = std::env::var("IRN_PYTHON").unwrap_or_else(|_| "python3".into());
        let named = std::env::var_os("IRN_BASELINE").map(PathBuf::from);
        let baseline = named.unwrap_or_else(|| "../shared/baseline/torch_baseline.py".into());
        ensure!(baseline.is_file(), "no {} (IRN_BASELINE names another)", baseline.display());
        let asked = "import torch; assert torch.cuda.is_available(), 'PyTorch sees no GPU'";
        let tried = Command::new(&python).args(["-c", asked]).output();
        let tried = tried.with_context(|| format!("no {python} (IRN_PYTHON names another)"))?;
        let said = String::from_utf8_lossy(&tried.stderr).into_owned();
        ensure!(tried.status.success(), "{}", said.lines().last().unwrap_or("it failed"));
        Ok(Self { python, baseline })
    }

    /// The faster of its layouts.
    pub fn best(&self, stage: &str, batch: usize, precision: &str) -> Option<Best> {
        let layouts: &[bool] = if stage == "random_walk" { &[false] } else { &[false, true] };
        let runs = layouts.iter().filter_map(|&last| self.run(stage, batch, precision, last));
        runs.min_by(|a, b| a.seconds.total_cmp(&b.seconds))
    }

    fn run(&self, stage: &str, batch: usize, precision: &str, last: bool) -> Option<Best> {
        let mut command = Command::new(&self.python);
        command.args(["-W", "ignore"]);
        if stage.ends_with("_train") {
            command.arg("benches/cuda_peer.py").arg(&self.baseline);
            command.args([stage, &batch.to_string(), precision]);
        } else {
            command.arg(&self.baseline).args(["--stage", stage, "--device", "cuda"]);
            command.args(["--precision", precision]);
        }
        command.args(last.then_some("--channels-last"));
        let output = command.stderr(Stdio::inherit()).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().rev().find(|line| line.starts_with('{'))?;
        let line: Value = serde_json::from_str(line).ok()?;
        let layout = if last { ", channels last" } else { "" };
        let engine = line["engine"].as_str().unwrap_or("torch").replace(", channels last", "");
        Some(Best {
            variant: format!("{engine}{layout}"),
            seconds: line["seconds"].as_f64()?,
            peak_mib: line["peak_cuda_mib"].as_f64(),
        })
    }
}
