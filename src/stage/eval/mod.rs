//! Evaluation against ground truth: upstream's `eval_cam.py`, `eval_sem_seg.py`, `eval_ins_seg.py`.
//! Results go to `eval/WHAT.json` and, as a table, to standard output.

mod coco;
mod instance;
mod semantic;
mod source;
mod summary;

pub use semantic::chosen;
pub use source::Source;
pub use summary::{Row, Summary, read};

use anyhow::{Result, anyhow, bail};

use super::{Context, Outcome, classes};
use crate::config::Layout;
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
    /// Instance masks; for COCO data sets (or with `eval.coco`) with COCO's figures too.
    InsSeg,
    /// Classes that the CAM network would predict.
    Classes,
    /// A COCO results file (--dt) against an annotation file (--gt).
    Coco,
}

impl What {
    /// Those of the pipeline, in its order.
    pub const ALL: [Self; 4] = [Self::Cam, Self::IrLabel, Self::SemSeg, Self::InsSeg];

    /// Name on the command line and of the JSON file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cam => "cam",
            Self::IrLabel => "ir-label",
            Self::SemSeg => "sem-seg",
            Self::InsSeg => "ins-seg",
            Self::Classes => "classes",
            Self::Coco => "coco",
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
        What::Classes => classes::evaluate(context, set)?,
        What::Coco => bail!("it compares two files: eval coco --gt FILE --dt FILE"),
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
    let as_coco = context.config.eval.coco || context.config.data.layout == Layout::Coco;
    if what == What::InsSeg && as_coco {
        coco::evaluate(context, set)?;
    }
    Ok((summary, outcome))
}
