//! Other Rust runtimes on irn's models: `irn-runtimes RUNTIME MODEL CASES OUT INPUT,.. OUTPUT,..` runs the
//! model on the inputs of every folder `CASES/NAME` (`INPUT.npy`), writes `OUT/NAME/OUTPUT.npy`, and tells
//! of each the least time of three, or the error, as a line of JSON.

mod candle;
mod rten;
mod tract;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use candle_core::Tensor;

/// Inputs or outputs in the model's order.
pub type Tensors = Vec<Tensor>;
/// A model ready to run.
pub type Run = Box<dyn Fn() -> Result<Tensors>>;

/// What the command line says.
struct Job {
    runtime: String,
    model: PathBuf,
    out: PathBuf,
    inputs: Vec<String>,
    outputs: Vec<String>,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [runtime, model, cases, out, inputs, outputs] = &arguments[..] else {
        bail!("usage: irn-runtimes tract|rten|candle-onnx MODEL CASES OUT INPUT,.. OUTPUT,..");
    };
    let names = |list: &str| list.split(',').map(String::from).collect();
    let job = Job {
        runtime: runtime.clone(),
        model: model.into(),
        out: out.into(),
        inputs: names(inputs),
        outputs: names(outputs),
    };
    for entry in fs::read_dir(cases)? {
        let case = entry?.path();
        let name = case.file_name().context("an entry has a name")?.to_string_lossy().into_owned();
        let mut told = BTreeMap::from([("case", format!("{name:?}"))]);
        match job.run(&case, &name) {
            Ok(milliseconds) => told.insert("ms", format!("{milliseconds:.3}")),
            Err(error) => told.insert("error", format!("{:?}", format!("{error:#}"))),
        };
        let told: Vec<_> = told.iter().map(|(key, value)| format!("{key:?}: {value}")).collect();
        println!("{{{}}}", told.join(", "));
    }
    Ok(())
}

impl Job {
    /// Writes the outputs; the least time of three, in milliseconds.
    fn run(&self, case: &Path, name: &str) -> Result<f64> {
        let read = |input: &String| Ok(Tensor::read_npy(case.join(format!("{input}.npy")))?);
        let inputs = self.inputs.iter().map(read).collect::<Result<Tensors>>()?;
        let run = match &*self.runtime {
            "tract" => tract::open(&self.model, &inputs)?,
            "rten" => rten::open(&self.model, inputs)?,
            "candle-onnx" => candle::open(&self.model, &self.inputs, inputs, &self.outputs)?,
            other => bail!("no runtime {other}"),
        };
        let mut least = f64::INFINITY;
        let mut outputs = Vec::new();
        for _ in 0..3 {
            let start = Instant::now();
            outputs = run()?;
            least = least.min(start.elapsed().as_secs_f64() * 1e3);
        }
        let out = self.out.join(name);
        fs::create_dir_all(&out)?;
        for (name, output) in self.outputs.iter().zip(outputs) {
            output.contiguous()?.write_npy(out.join(format!("{name}.npy")))?;
        }
        Ok(least)
    }
}
