//! tract: the model is made for the inputs' shapes, as is its habit.

use std::path::Path;

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor as Candle};
use tract_onnx::prelude::*;

use crate::{Run, Tensors};

pub fn open(model: &Path, inputs: &Tensors) -> Result<Run> {
    // The sizes that the file leaves open have names, which tract would not unite with numbers.
    let onnx = tract_onnx::onnx().with_ignore_value_info(true).with_ignore_output_shapes(true);
    let mut model = onnx.model_for_path(model)?;
    let inputs = inputs.iter().map(tensor).collect::<Result<Vec<_>>>()?;
    for (index, input) in inputs.iter().enumerate() {
        model.set_input_fact(index, InferenceFact::dt_shape(input.datum_type(), input.shape()))?;
    }
    let model = model.into_optimized()?.into_runnable()?;
    Ok(Box::new(move || {
        let outputs = model.run(inputs.iter().cloned().collect())?;
        outputs.iter().map(|output| candle(output)).collect()
    }))
}

fn tensor(from: &Candle) -> Result<TValue> {
    let flat = from.flatten_all()?;
    let tensor = match from.dtype() {
        DType::F32 => Tensor::from_shape(from.dims(), &flat.to_vec1::<f32>()?)?,
        DType::U8 => Tensor::from_shape(from.dims(), &flat.to_vec1::<u8>()?)?,
        other => bail!("an input of {other:?}"),
    };
    Ok(tensor.into_tvalue())
}

fn candle(from: &Tensor) -> Result<Candle> {
    let values = from.cast_to::<f32>()?;
    let values = values.to_plain_array_view::<f32>()?;
    let values = values.to_owned().into_iter().collect::<Vec<f32>>();
    Candle::from_vec(values, from.shape(), &Device::Cpu).context("tract's output")
}
