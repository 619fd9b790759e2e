//! `make bench-cuda`: training steps, inference and the random walk on a GPU, ours and the PyTorch peer's, in
//! one run on the same card.
//!
//! The peer is `IRN_BASELINE` run by `IRN_PYTHON`, in every precision and layout that it has; without it ours
//! runs alone. Run in the repository's root (`benches/cuda_peer.py`). Results: a table, our steps' profile, and
//! `target/bench-cuda.json`. `--stage NAME` runs one; `--out FILE` names the file.

#[path = "cuda/networks.rs"]
mod networks;
#[path = "cuda/peer.rs"]
mod peer;
#[path = "cuda/training.rs"]
mod training;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use irn_models::cuda::Precision;
use serde_json::{Value, json};

use self::peer::Peer;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A stage of ours on the GPU.
pub struct Ours {
    /// Median seconds.
    pub seconds: f64,
    /// Most memory of the GPU, MiB.
    pub peak_mib: Option<f64>,
    /// Milliseconds by kernel, where they are known.
    pub profile: Value,
}

type Run = fn(Precision) -> Result<Ours>;

/// Name, photos a step, ours, and in which precisions it exists.
const STAGES: [(&str, usize, Run, &[&str]); 5] = [
    ("cam_train", 16, training::cam, &["f32", "tf32", "bf16"]),
    ("irn_train", 16, training::irn, &["f32", "tf32", "bf16"]),
    ("cam_infer", 1, networks::cam, &["f32", "tf32"]),
    ("irn_infer", 1, networks::irn, &["f32", "tf32"]),
    ("random_walk", 1, networks::walk, &["f32"]),
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", irn::error::report(&error));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let value = |flag: &str| {
        arguments.chunks(2).find(|pair| pair[0] == flag).and_then(|pair| pair.get(1)).cloned()
    };
    let (stage, out) = (value("--stage"), value("--out").map(PathBuf::from));
    let out = out.unwrap_or_else(|| "target/bench-cuda.json".into());
    let peer = Peer::find();
    if let Err(reason) = &peer {
        println!("the peer is skipped: {reason:#}");
    }
    let mut rows = Vec::new();
    for (name, batch, ours, precisions) in STAGES {
        if stage.as_ref().is_some_and(|stage| stage != name) {
            continue;
        }
        for precision in precisions {
            match row(name, batch, ours, precision, peer.as_ref().ok()) {
                Ok(row) => {
                    println!("{}", line(&row));
                    rows.push(row);
                }
                // The rest of a lent machine's time is not lost for one stage.
                Err(error) => println!("{name} {precision}: {error:#}"),
            }
            write(&out, &rows)?;
        }
    }
    Ok(())
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn precision(name: &str) -> Precision {
    match name {
        "bf16" => Precision::Bf16,
        "tf32" => Precision::Tf32,
        _ => Precision::F32,
    }
}

fn row(name: &str, batch: usize, ours: Run, of: &str, peer: Option<&Peer>) -> Result<Value> {
    let ours = ours(precision(of))?;
    let theirs = peer.and_then(|peer| peer.best(name, batch, of));
    let ratio = theirs.as_ref().map(|theirs| theirs.seconds / ours.seconds);
    Ok(json!({
        "stage": name,
        "batch": batch,
        "precision": of,
        "ours_s": ours.seconds,
        "ours_peak_mib": ours.peak_mib,
        "peer": theirs.as_ref().map(|theirs| &theirs.variant),
        "peer_s": theirs.as_ref().map(|theirs| theirs.seconds),
        "peer_peak_mib": theirs.as_ref().and_then(|theirs| theirs.peak_mib),
        "ratio": ratio,
        "profile_ms": ours.profile,
    }))
}

fn line(row: &Value) -> String {
    let number = |key: &str| row[key].as_f64().map_or("-".into(), |x| format!("{x:.4}"));
    let text = |key: &str| row[key].as_str().unwrap_or("-").to_string();
    format!(
        "{:12} {:5} ours {} s, peer {} s ({}), ratio {}; profile {}",
        text("stage"),
        text("precision"),
        number("ours_s"),
        number("peer_s"),
        text("peer"),
        number("ratio"),
        row["profile_ms"]
    )
}

fn write(path: &Path, rows: &[Value]) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs_err::create_dir_all(folder)?;
    }
    Ok(fs_err::write(path, serde_json::to_string_pretty(rows)?)?)
}
