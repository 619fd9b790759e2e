//! The figures of one evaluation, as table and as JSON.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::data::atomic::write_atomically;

/// One class of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// `background` or the class.
    pub class: String,
    /// One figure per column; `None` where the class does not occur.
    pub values: Vec<Option<f64>>,
}

/// The figures of one evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// `cam`, `ir-label`, `sem-seg` or `ins-seg`.
    pub what: String,
    /// Images that were evaluated.
    pub images: usize,
    /// Names of the columns: `IoU`, or `AP50` and so on.
    pub columns: Vec<String>,
    /// Means of the columns over the classes of `eval.classes` (all where empty).
    pub means: Vec<Option<f64>>,
    /// The classes.
    pub rows: Vec<Row>,
    /// mIoU at other background thresholds.
    pub sweep: Vec<(f32, Option<f64>)>,
    /// Other figures by name.
    pub notes: Vec<(String, f64)>,
    /// The preset of thresholds and what was set otherwise, see `run.method`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The folder of the results, where they are not of this program's store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

impl Summary {
    /// A table for people, percentages.
    pub fn table(&self) -> String {
        let percent = |value: &Option<f64>| {
            value.map_or("     -".into(), |value| format!("{:6.1}", 100.0 * value))
        };
        let width = self.rows.iter().map(|row| row.class.len()).max().unwrap_or(0).max(8);
        let mut text = format!("\n{} on {} images\n{:width$}", self.what, self.images, "class");
        for column in &self.columns {
            let _ = write!(text, " {column:>6}");
        }
        text.push('\n');
        let mean = Row { class: "mean".into(), values: self.means.clone() };
        for row in
            self.rows.iter().filter(|row| row.values.iter().any(Option::is_some)).chain([&mean])
        {
            let _ = write!(text, "{:width$}", row.class);
            for value in &row.values {
                let _ = write!(text, " {}", percent(value));
            }
            text.push('\n');
        }
        let origins = [("method", &self.method), ("from", &self.from)];
        for (name, value) in
            origins.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)))
        {
            let _ = writeln!(text, "{name}: {value}");
        }
        for (name, value) in &self.notes {
            let _ = writeln!(text, "{name}: {value:.4}");
        }
        if !self.sweep.is_empty() {
            text.push_str("threshold:");
            for (threshold, miou) in &self.sweep {
                let _ = write!(text, "  {threshold:.2} {}", percent(miou).trim());
            }
            text.push('\n');
        }
        text
    }

    /// Writes `DIR/WHAT.json`.
    ///
    /// # Errors
    /// A directory that can't be written.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        let path = dir.join(format!("{}.json", self.what));
        write_atomically(&path, |file| Ok(std::io::Write::write_all(file, text.as_bytes())?))
    }
}

/// The summary that [`Summary::write`] wrote, if there is one.
///
/// # Errors
/// A damaged file.
pub fn read(dir: &Path, what: &str) -> Result<Option<Summary>> {
    let path = dir.join(format!("{what}.json"));
    if !path.exists() {
        return Ok(None);
    }
    let text = fs_err::read_to_string(&path)?;
    let summary = serde_json::from_str(&text);
    summary.map(Some).with_context(|| format!("{} is no evaluation of ours", path.display()))
}
