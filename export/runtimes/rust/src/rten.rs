//! RTen.

use std::path::Path;

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor};
use rten::{Model, Value};
use rten_tensor::prelude::*;

use crate::{Run, Tensors};

pub fn open(model: &Path, inputs: Tensors) -> Result<Run> {
    let model = Model::load_file(model)?;
    let inputs = inputs.iter().map(value).collect::<Result<Vec<_>>>()?;
    Ok(Box::new(move || {
        let given = model.input_ids().iter().copied().zip(inputs.iter().map(Into::into));
        let outputs = model.run(given.collect(), model.output_ids(), None)?;
        outputs.into_iter().map(tensor).collect()
    }))
}

fn value(from: &Tensor) -> Result<Value> {
    let flat = from.flatten_all()?;
    Ok(match from.dtype() {
        DType::F32 => Value::from_shape(from.dims(), flat.to_vec1::<f32>()?)?,
        DType::U8 => Value::from_shape(from.dims(), flat.to_vec1::<u8>()?)?,
        other => bail!("an input of {other:?}"),
    })
}

fn tensor(from: Value) -> Result<Tensor> {
    let (shape, values): (Vec<usize>, Vec<f32>) = match from {
        Value::FloatTensor(values) => (values.shape().to_vec(), values.to_vec()),
        Value::UInt8Tensor(values) => {
            (values.shape().to_vec(), values.iter().map(|&value| value.into()).collect())
        }
        _ => bail!("an output of another kind"),
    };
    Tensor::from_vec(values, shape, &Device::Cpu).context("RTen's output")
}
