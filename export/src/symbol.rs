//! The feature map that computes nothing and writes down everything: a forward pass on it is the ONNX
//! graph.
//!
//! What runtimes get wrong is avoided: batch norm is folded into its convolution, group norm is
//! Reshape, InstanceNormalization, Reshape, Mul, Add, and enlargement is half-pixel `Resize` by
//! constant scales.

use candle_core::{Result, Tensor, bail};
use irn_models::{BatchNorm, Conv, ConvNorm, FeatureMap, GroupNorm};

use crate::graph::{Builder, Value};
use crate::onnx::{AttributeProto, TensorProto};
use crate::trace::{Extent, Trace};

/// A feature map that is a value of the graph.
#[derive(Clone)]
pub struct Symbol {
    /// Where the constants belong, which several passes of one network share.
    weights: Builder,
    value: Value,
    trace: Trace,
}

impl Symbol {
    /// The photo on which a network runs. Nodes are named within the value's part of the graph, weights
    /// within `weights`.
    pub fn photo(value: Value, weights: &Builder) -> Self {
        let trace = Trace::input(&value.name);
        Self { weights: weights.clone(), value, trace }
    }

    /// The value of the graph.
    pub fn value(&self) -> &Value {
        &self.value
    }

    fn node(
        &self,
        trace: Trace,
        op: &str,
        others: &[&Value],
        attributes: Vec<AttributeProto>,
    ) -> Result<Self> {
        let value = self.value.op(&trace.name, op, others, attributes)?;
        Ok(Self { weights: self.weights.clone(), value, trace })
    }

    fn constant(&self, tensor: TensorProto) -> Result<Value> {
        self.weights.constant(tensor)
    }

    /// Convolution with weight and bias given as numbers; the node bears the layer's name.
    fn conv_with(&self, layer: &Conv, weight: &[f32], bias: Option<&[f32]>) -> Result<Self> {
        let dims = layer.weight.var().dims();
        let weight = TensorProto::floats(&format!("{}.weight", layer.name), dims, weight);
        let mut inputs = vec![self.constant(weight)?];
        if let Some(bias) = bias {
            let bias = TensorProto::floats(&format!("{}.bias", layer.name), &[bias.len()], bias);
            inputs.push(self.constant(bias)?);
        }
        let attributes = vec![
            ("kernel_shape", &dims[2..]).into(),
            ("pads", &[layer.padding; 4][..]).into(),
            ("strides", &[layer.stride; 2][..]).into(),
        ];
        let inputs: Vec<&Value> = inputs.iter().collect();
        self.node(self.trace.layer(&layer.name, layer.stride), "Conv", &inputs, attributes)
    }

    fn unary(&self, trace: Trace, op: &str, attributes: Vec<AttributeProto>) -> Result<Self> {
        self.node(trace, op, &[], attributes)
    }

    /// `self op constant`, a value for each channel.
    fn per_channel(&self, trace: Trace, op: &str, name: &str, values: &[f32]) -> Result<Self> {
        let constant = self.constant(TensorProto::floats(name, &[values.len(), 1, 1], values))?;
        self.node(trace, op, &[&constant], vec![])
    }

    fn reshape(&self, trace: Trace, shape: &[i64]) -> Result<Self> {
        let shape = self.value.builder().ints(shape)?;
        self.node(trace, "Reshape", &[&shape], vec![])
    }

    /// The mean over height and width, `(batch, channels)`.
    ///
    /// # Errors
    /// A name that another value has.
    pub fn spatial_mean(&self) -> Result<Value> {
        let mean = self.unary(self.trace.then("mean"), "GlobalAveragePool", vec![])?;
        mean.value.op(&self.trace.then("flat").name, "Flatten", &[], vec![("axis", 1i64).into()])
    }

    /// How the value's size follows from the photo's.
    pub fn extent(&self) -> Extent {
        self.trace.extent
    }
}

impl FeatureMap for Symbol {
    fn conv_norm(&self, layer: &ConvNorm, residual: Option<&Self>) -> Result<Self> {
        let (weight, bias) = fold(&layer.conv, &layer.norm)?;
        let mut y = self.conv_with(&layer.conv, &weight, Some(&bias))?;
        if let Some(residual) = residual {
            y = y.node(y.trace.then("add"), "Add", &[&residual.value], vec![])?;
        }
        let trace = self.trace.conv_norm(layer, residual.is_some());
        if layer.relu { y.unary(trace, "Relu", vec![]) } else { Ok(y) }
    }

    fn conv(&self, layer: &Conv) -> Result<Self> {
        let bias = layer.bias.as_ref().map(|bias| values(&bias.tensor())).transpose()?;
        self.conv_with(layer, &values(&layer.weight.tensor())?, bias.as_deref())
    }

    /// Normalises `(batch, groups, channels / groups * h, w)`, a shape that needs no sizes at export:
    /// 0 keeps an axis and -1 is what is left, in both directions.
    fn group_norm(&self, layer: &GroupNorm) -> Result<Self> {
        let trace = self.trace.group_norm(layer);
        let (groups, channels) = (layer.groups, layer.weight.var().dim(0)?);
        let x = self.reshape(trace.then("groups"), &[0, groups as i64, -1, 0])?;
        let ones = TensorProto::floats(&format!("ones.{groups}"), &[groups], &vec![1.; groups]);
        let zeros = TensorProto::floats(&format!("zeros.{groups}"), &[groups], &vec![0.; groups]);
        let (ones, zeros) = (self.constant(ones)?, self.constant(zeros)?);
        let epsilon = vec![("epsilon", layer.eps as f32).into()];
        let normed = trace.then("normed");
        let x = x.node(normed, "InstanceNormalization", &[&ones, &zeros], epsilon)?;
        let x = x.reshape(trace.then("channels"), &[0, channels as i64, -1, 0])?;
        let (weight, bias) = (values(&layer.weight.tensor())?, values(&layer.bias.tensor())?);
        let x = x.per_channel(trace.then("scaled"), "Mul", &layer.weight.name, &weight)?;
        x.per_channel(trace, "Add", &layer.bias.name, &bias)
    }

    fn relu(&self) -> Result<Self> {
        self.unary(self.trace.then("relu"), "Relu", vec![])
    }

    fn concat(maps: &[Self]) -> Result<Self> {
        let Some(first) = maps.first() else { bail!("nothing to concatenate") };
        let others: Vec<&Value> = maps[1..].iter().map(|map| &map.value).collect();
        first.node(first.trace.concat(), "Concat", &others, vec![("axis", 1i64).into()])
    }

    fn max_pool(&self) -> Result<Self> {
        let attributes = vec![
            ("kernel_shape", &[3; 2][..]).into(),
            ("pads", &[1; 4][..]).into(),
            ("strides", &[2; 2][..]).into(),
        ];
        self.unary(self.trace.max_pool(), "MaxPool", attributes)
    }

    fn upsample(&self, factor: usize) -> Result<Self> {
        if factor == 1 {
            return Ok(self.clone());
        }
        let scales = [1., 1., factor as f32, factor as f32];
        let scales = TensorProto::floats(&format!("scales.x{factor}"), &[4], &scales);
        let scales = self.constant(scales)?;
        let attributes = vec![
            ("coordinate_transformation_mode", "half_pixel").into(),
            ("mode", "linear").into(),
        ];
        let none = self.value.builder().value(String::new());
        self.node(self.trace.upsample(factor), "Resize", &[&none, &scales], attributes)
    }

    fn crop_like(&self, other: &Self) -> Result<Self> {
        let trace = self.trace.crop_like(&other.trace);
        if trace.name == self.trace.name {
            return Ok(self.clone());
        }
        let builder = self.value.builder();
        let [two, four, axis] = [2, 4, 0].map(|number| builder.ints(&[number]));
        let shape = other.unary(other.trace.then("shape"), "Shape", vec![])?;
        let (two, four, axis) = (two?, four?, axis?);
        let size = shape.node(other.trace.then("size"), "Slice", &[&two, &four, &axis], vec![])?;
        let (starts, axes) = (builder.ints(&[0, 0])?, builder.ints(&[2, 3])?);
        self.node(trace, "Slice", &[&starts, &size.value, &axes], vec![])
    }

    fn detach(&self) -> Self {
        self.clone()
    }
}

/// Weight and bias of the convolution that does both, computed in f64 and rounded once.
fn fold(conv: &Conv, norm: &BatchNorm) -> Result<(Vec<f32>, Vec<f32>)> {
    let weight = values(&conv.weight.tensor())?;
    let [gain, shift, mean, variance] =
        [&norm.weight, &norm.bias, &norm.running_mean, &norm.running_var]
            .map(|p| values(&p.tensor()));
    let (gain, shift, mean, variance) = (gain?, shift?, mean?, variance?);
    let scale: Vec<f64> = gain
        .iter()
        .zip(&variance)
        .map(|(&gain, &variance)| f64::from(gain) / (f64::from(variance) + norm.eps).sqrt())
        .collect();
    let each = weight.len() / scale.len();
    let folded = weight.chunks_exact(each).zip(&scale);
    let folded = folded.flat_map(|(row, s)| row.iter().map(move |&w| (f64::from(w) * s) as f32));
    let bias = shift.iter().zip(&mean).zip(&scale);
    let bias = bias.map(|((&shift, &mean), s)| (f64::from(shift) - f64::from(mean) * s) as f32);
    Ok((folded.collect(), bias.collect()))
}

fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1::<f32>()
}
