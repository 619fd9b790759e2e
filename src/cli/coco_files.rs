//! `irn-infer eval coco`: results and annotations that others made.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use crate::data::atomic::write_atomically;
use crate::error::Hint;
use crate::eval::coco::files;
use crate::stage::Outcome;

/// The two files, and where the figures go.
#[derive(Args, Clone, Debug)]
pub struct CocoFiles {
    /// With `coco`: the annotations, instances_*.json
    #[arg(long, value_name = "JSON")]
    gt: Option<PathBuf>,
    /// With `coco`: the detections, a list of results or irn's coco.json
    #[arg(long, value_name = "JSON")]
    dt: Option<PathBuf>,
    /// With `coco`: also write the figures to this file
    #[arg(long, value_name = "JSON")]
    json: Option<PathBuf>,
}

impl CocoFiles {
    /// Evaluates the masks as `pycocotools` does and prints the table.
    ///
    /// # Errors
    /// A file that is not given, can't be read, or does not fit the other.
    pub fn evaluate(&self) -> Result<Outcome> {
        let hint = "irn-infer eval coco --gt instances.json --dt results.json";
        let gt = self.gt.as_ref().context("no annotation file is given").hint(hint)?;
        let dt = self.dt.as_ref().context("no results file is given").hint(hint)?;
        let found = files::evaluate(gt, dt)?;
        let names: Vec<String> =
            found.categories.iter().map(|category| category.name.clone()).collect();
        print!("masks on {} images\n{}", found.images, found.scores.table(&names));
        if found.strange > 0 {
            let (strange, gt) = (found.strange, gt.display());
            eprintln!("warning: {strange} detections of categories that {gt} does not have");
        }
        if let Some(path) = &self.json {
            let text = serde_json::to_string_pretty(&found.scores)?;
            write_atomically(path, |file| Ok(file.write_all(text.as_bytes())?))?;
        }
        Ok(Outcome { done: found.images, ..Outcome::default() })
    }
}
