//! What a training says while it runs: a progress line, `log/NAME.jsonl`, a TensorBoard event file.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use fs_err::{File, OpenOptions};
use serde::{Deserialize, Serialize};
use tensorboard_rs::summary_writer::SummaryWriter;

/// One logged step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Steps done, counted from 1.
    pub step: usize,
    /// Epoch, from 0.
    pub epoch: usize,
    /// Loss terms by name; `loss` is the one that is minimised.
    pub losses: Vec<(String, f64)>,
    /// Rate of the base group.
    pub rate: f64,
    /// Images per second since the start of this run.
    pub images_per_second: f64,
    /// Seconds this step waited for its batch.
    pub wait: f64,
}

/// The log files of one training.
pub struct Log {
    jsonl: File,
    board: SummaryWriter,
    name: String,
}

impl Log {
    /// Opens `DIR/NAME.jsonl` and `DIR/tensorboard/NAME`; on a resumed run entries after `step` are
    /// dropped first, so that no step is logged twice.
    ///
    /// # Errors
    /// Files that can't be written.
    pub fn open(dir: &Path, name: &str, step: usize) -> Result<Self> {
        fs_err::create_dir_all(dir)?;
        let path = dir.join(format!("{name}.jsonl"));
        let kept: Vec<Entry> =
            read(&path)?.into_iter().filter(|entry| entry.step <= step).collect();
        let mut jsonl = OpenOptions::new().create(true).write(true).truncate(true).open(&path)?;
        for entry in &kept {
            writeln!(jsonl, "{}", serde_json::to_string(entry)?)?;
        }
        let events = dir.join("tensorboard").join(name);
        fs_err::create_dir_all(&events)?;
        let board = SummaryWriter::new(&events);
        Ok(Self { jsonl, board, name: name.into() })
    }

    /// Appends one step.
    ///
    /// # Errors
    /// A full disk.
    pub fn write(&mut self, entry: &Entry) -> Result<()> {
        let line = serde_json::to_string(entry)?;
        writeln!(self.jsonl, "{line}").context("failed to write the training log")?;
        for (loss, value) in &entry.losses {
            self.board.add_scalar(&format!("{}/{loss}", self.name), *value as f32, entry.step);
        }
        self.board.add_scalar(&format!("{}/rate", self.name), entry.rate as f32, entry.step);
        Ok(())
    }

    /// Hands everything to the operating system.
    ///
    /// # Errors
    /// A full disk.
    pub fn flush(&mut self) -> Result<()> {
        self.board.flush();
        self.jsonl.flush().context("failed to write the training log")
    }
}

/// The entries of `NAME.jsonl`; none where the file is absent. A last line cut off by a crash is dropped.
///
/// # Errors
/// A file that can't be read.
pub fn read(path: &Path) -> Result<Vec<Entry>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs_err::read_to_string(path)?;
    Ok(text.lines().map_while(|line| serde_json::from_str(line).ok()).collect())
}
