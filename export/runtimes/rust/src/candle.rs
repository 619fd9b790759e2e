//! candle-onnx: Candle's own evaluator of ONNX graphs.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result};

use crate::{Run, Tensors};

pub fn open(model: &Path, names: &[String], inputs: Tensors, outputs: &[String]) -> Result<Run> {
    let model = candle_onnx::read_file(model)?;
    let inputs: HashMap<_, _> = names.iter().cloned().zip(inputs).collect();
    let outputs = outputs.to_vec();
    Ok(Box::new(move || {
        let mut values = candle_onnx::simple_eval(&model, inputs.clone())?;
        let mut take = |name| values.remove(name).context("an output is missing");
        outputs.iter().map(&mut take).collect()
    }))
}
