//! Evaluation against ground truth: upstream's `eval_cam.py`, `eval_sem_seg.py`, `eval_ins_seg.py`.
//! Results go to `eval/WHAT.json` and, as a table, to standard output.

mod instance;
mod semantic;
mod source;
mod summary;

pub use source::Source;
pub use summary::{Summary, read};

use anyhow::{Result, anyhow};

use super::{Context, Outcome};
use crate::data::dataset::Dataset;
use crate::error::Hint;

/// What is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
    /// CAMs at `cam.eval_threshold`.
    Cam,
    /// Relation labels; unknown pixels are left out.
    IrLabel,
    /// Semantic masks.
    SemSeg,
    /// Instance masks.
    InsSeg,
}

impl What {
    /// All, in the pipeline's order.
    pub const ALL: [Self; 4] = [Self::Cam, Self::IrLabel, Self::SemSeg, Self::InsSeg];

    /// Name on the command line and of the JSON file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cam => "cam",
            Self::IrLabel => "ir-label",
            Self::SemSeg => "sem-seg",
            Self::InsSeg => "ins-seg",
        }
    }
}

/// Evaluates, prints the table, writes the JSON file. Images without ground truth or result are skipped
/// and listed.
///
/// # Errors
/// No image that could be evaluated, a file that can't be written, Ctrl-C.
pub fn run(context: &Context, set: &Dataset, what: What) -> Result<(Summary, Outcome)> {
    run_on(context, set, what, &Source::Store)
}

/// [`run`] on results from elsewhere.
///
/// # Errors
/// As [`run`].
pub fn run_on(
    context: &Context,
    set: &Dataset,
    what: What,
    source: &Source,
) -> Result<(Summary, Outcome)> {
    let (mut summary, outcome) = match what {
        What::InsSeg => instance::evaluate(context, set, source)?,
        _ => semantic::evaluate(context, set, what, source)?,
    };
    summary.method = crate::config::described(&context.config);
    if let Source::Folder(dir) = source {
        summary.from = Some(dir.display().to_string());
    }
    if outcome.done == 0 {
        let first = outcome.skipped.iter().next();
        let reason =
            first.map_or("the list is empty".into(), |(name, why)| format!("{name}: {why}"));
        return Err(anyhow!("nothing to evaluate ({reason})"))
            .hint("data.eval_list names images that have ground truth and results");
    }
    print!("{}", summary.table());
    summary.write(&context.dir("eval")?)?;
    Ok((summary, outcome))
}
