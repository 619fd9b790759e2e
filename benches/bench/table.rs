//! The results as a table and as `target/bench.json`.

use std::fmt;

use anyhow::Result;
use serde::Serialize;

use super::inputs;
use super::measure::Measured;
use super::peer::Best;
use super::stages::Stage;

/// One stage of both sides.
#[derive(Serialize)]
pub struct Row {
    stage: &'static str,
    ours_s: f64,
    peer: Option<String>,
    peer_s: Option<f64>,
    /// How many times as fast as the peer ours is.
    ratio: Option<f64>,
    /// The least ratio that is asked for.
    target: Option<f64>,
    ours_peak_mib: Option<f64>,
    peer_peak_mib: Option<f64>,
    threads: usize,
    /// How the results compare.
    agreement: String,
}

impl Row {
    /// Puts both sides together.
    pub fn new(stage: &Stage, ours: &Measured, theirs: Option<Best>) -> Self {
        let peer_s = theirs.as_ref().map(|best| best.seconds);
        Self {
            stage: stage.name,
            ours_s: ours.seconds,
            peer_s,
            ratio: peer_s.map(|seconds| seconds / ours.seconds),
            target: stage.target,
            ours_peak_mib: ours.peak_mib.map(f64::round),
            peer_peak_mib: theirs.as_ref().and_then(|best| best.peak_mib),
            peer: theirs.map(|best| best.variant),
            threads: stage.threads,
            agreement: ours.agreement.clone(),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_dash = |value: Option<f64>, digits: usize| {
            value.map_or("-".into(), |value| format!("{value:.digits$}"))
        };
        write!(
            f,
            "{:24} {:>10.5} {:>10} {:>9} {:>7} {:>9} {:>9} {:>7}  {}",
            self.stage,
            self.ours_s,
            or_dash(self.peer_s, 5),
            or_dash(self.ratio, 2),
            or_dash(self.target, 2),
            or_dash(self.ours_peak_mib, 0),
            or_dash(self.peer_peak_mib, 0),
            self.threads,
            self.peer.as_deref().unwrap_or("")
        )
    }
}

/// Prints all rows.
pub fn print(rows: &[Row]) {
    println!(
        "\n{:24} {:>10} {:>10} {:>9} {:>7} {:>9} {:>9} {:>7}  peer",
        "stage", "ours s", "peer s", "ratio", "target", "ours MiB", "peer MiB", "threads"
    );
    rows.iter().for_each(|row| println!("{row}"));
}

/// Writes all rows.
pub fn write(rows: &[Row]) -> Result<()> {
    let path = inputs::folder()?.with_extension("json");
    fs_err::write(&path, serde_json::to_string_pretty(rows)?)?;
    println!("\nwritten to {}", path.display());
    Ok(())
}
