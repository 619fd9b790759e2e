//! Clock and memory of one stage.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

/// What `irn-train` asks of the allocator.
const KEEP_MEMORY: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "-1");

/// What a stage of ours took.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Measured {
    /// Median.
    pub seconds: f64,
    /// Peak memory of the process.
    pub peak_mib: Option<f64>,
    /// How the results compare with the peer's, in words.
    pub agreement: String,
}

impl Measured {
    /// Calls `work` once unmeasured and `runs` times measured; compares what it made the first time.
    pub fn of<T>(
        runs: usize,
        mut work: impl FnMut() -> Result<T>,
        compare: impl FnOnce(T) -> Result<String>,
    ) -> Result<Self> {
        let agreement = compare(work()?)?;
        let mut seconds = Vec::new();
        for _ in 0..runs {
            let start = Instant::now();
            std::hint::black_box(work()?);
            seconds.push(start.elapsed().as_secs_f64());
        }
        Ok(Self { seconds: median(seconds), peak_mib: None, agreement })
    }
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The most memory this process ever held; none where the system does not say.
pub fn peak_mib() -> Option<f64> {
    let status = fs_err::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").trim().parse::<f64>().ok()? / 1024.0)
}

/// Runs a stage of ours in a process of its own.
pub fn in_a_process(stage: &str, threads: usize) -> Result<Measured> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--ours", stage, &threads.to_string()])
        .env("RAYON_NUM_THREADS", threads.to_string())
        .envs(stage.contains("train").then_some(KEEP_MEMORY))
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "our stage {stage} failed");
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().context("no result")?;
    serde_json::from_str(line).with_context(|| format!("our stage {stage} said: {line}"))
}
