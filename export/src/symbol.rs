//! The feature map that computes nothing and writes down everything: a forward pass on it is the ONNX
//! graph.
//!
//! What runtimes get wrong is avoided: batch norm is folded into its convolution, group norm is
//! Reshape, InstanceNormalization, Reshape, Mul, Add, and enlargement is half-pixel `Resize` by
//! constant scales.

use std::rc::Rc;

use candle_core::{Result, bail};
use irn_models::{Conv, ConvNorm, FeatureMap, GroupNorm};

use crate::folding::{fold, values};
use crate::form::{Form, Precision};
use crate::graph::{Builder, Value};
use crate::onnx::{AttributeProto, Dim, FLOAT, FLOAT16, TensorProto, ValueInfoProto};
use crate::trace::{Extent, Trace};

/// A feature map that is a value of the graph.
#[derive(Clone)]
pub struct Symbol {
    network: Rc<Network>,
    value: Value,
    trace: Trace,
    channels: usize,
}

/// What all values of a network share.
struct Network {
    /// Where the constants belong, which several passes of one network share.
    weights: Builder,
    form: Form,
}

impl Symbol {
    /// The normalised photo on which a network runs. Nodes are named within the value's part of the
    /// graph, weights within `weights`.
    ///
    /// # Errors
    /// A name that another value has.
    pub fn photo(value: Value, weights: &Builder, form: &Form) -> Result<Self> {
        let network = Rc::new(Network { weights: weights.clone(), form: form.clone() });
        let photo = Self { trace: Trace::input(&value.name), network, value, channels: 3 };
        if photo.halved() { photo.cast("image.half", FLOAT16) } else { Ok(photo) }
    }

    /// The value of the graph, f32.
    ///
    /// # Errors
    /// A name that another value has.
    pub fn value(&self) -> Result<Value> {
        let name = self.trace.then("float").name;
        Ok(if self.halved() { self.cast(&name, FLOAT)?.value } else { self.value.clone() })
    }

    fn halved(&self) -> bool {
        self.network.form.precision == Precision::F16
    }

    fn cast(&self, name: &str, to: i32) -> Result<Self> {
        let value = self.value.op(name, "Cast", &[], vec![("to", i64::from(to)).into()])?;
        Ok(Self { value, ..self.clone() })
    }

    fn node(
        &self,
        trace: Trace,
        op: &str,
        others: &[&Value],
        attributes: Vec<AttributeProto>,
    ) -> Result<Self> {
        let value = self.value.op(&trace.name, op, others, attributes)?;
        Ok(Self { value, trace, ..self.clone() })
    }

    /// A map of `channels`, whose shape the graph is to state.
    fn described(mut self, channels: usize) -> Self {
        let (form, builder) = (&self.network.form, self.value.builder());
        let mut shape: Vec<Dim> = vec![form.batch(), channels.into()];
        shape.extend(form.sides(self.trace.extent));
        // Passes of one network at several sizes have sizes of their own.
        let shape = shape.into_iter().map(|dim| match dim {
            Dim::Param(name) => Dim::Param(builder.scoped(&name)),
            dim => dim,
        });
        let kind = if self.halved() { FLOAT16 } else { FLOAT };
        builder.describe(ValueInfoProto::tensor(&self.value.name, kind, shape.collect()));
        self.channels = channels;
        self
    }

    /// A weight, in the precision of the graph.
    fn constant(&self, tensor: TensorProto) -> Result<Value> {
        self.network.weights.constant(if self.halved() { tensor.halved() } else { tensor })
    }

    /// A number that is f32 in every precision.
    fn exact(&self, tensor: TensorProto) -> Result<Value> {
        self.network.weights.constant(tensor)
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
        let y =
            self.node(self.trace.layer(&layer.name, layer.stride), "Conv", &inputs, attributes)?;
        Ok(y.described(dims[0]))
    }

    fn unary(&self, trace: Trace, op: &str, attributes: Vec<AttributeProto>) -> Result<Self> {
        self.node(trace, op, &[], attributes)
    }

    /// `self op constant`, a value for each channel.
    fn per_channel(&self, trace: Trace, op: &str, name: &str, values: &[f32]) -> Result<Self> {
        let constant = self.exact(TensorProto::floats(name, &[values.len(), 1, 1], values))?;
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
        let value = self.value()?;
        let mean = value.op(&self.trace.then("mean").name, "GlobalAveragePool", &[], vec![])?;
        mean.op(&self.trace.then("flat").name, "Flatten", &[], vec![("axis", 1i64).into()])
    }

    /// Height and width, i64 `(2,)`: a constant where the sizes are fixed.
    fn size(&self) -> Result<Value> {
        let builder = self.value.builder();
        if let Some([_, height, width]) = self.network.form.size {
            let extent = self.trace.extent;
            return builder.ints(&[extent.of(height) as i64, extent.of(width) as i64]);
        }
        let [two, four, axis] = [2, 4, 0].map(|number| builder.ints(&[number]));
        let shape = self.unary(self.trace.then("shape"), "Shape", vec![])?;
        let size = self.trace.then("size").name;
        shape.value.op(&size, "Slice", &[&two?, &four?, &axis?], vec![])
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
            let channels = y.channels;
            y = y.node(y.trace.then("add"), "Add", &[&residual.value], vec![])?;
            y = y.described(channels);
        }
        let trace = self.trace.conv_norm(layer, residual.is_some());
        if layer.relu { Ok(y.unary(trace, "Relu", vec![])?.described(y.channels)) } else { Ok(y) }
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
        let x = match self.halved() {
            true => self.cast(&trace.then("float").name, FLOAT)?,
            false => self.clone(),
        };
        let x = x.reshape(trace.then("groups"), &[0, groups as i64, -1, 0])?;
        let ones = TensorProto::floats(&format!("ones.{groups}"), &[groups], &vec![1.; groups]);
        let zeros = TensorProto::floats(&format!("zeros.{groups}"), &[groups], &vec![0.; groups]);
        let (ones, zeros) = (self.exact(ones)?, self.exact(zeros)?);
        let epsilon = vec![("epsilon", layer.eps as f32).into()];
        let normed = trace.then("normed");
        let x = x.node(normed, "InstanceNormalization", &[&ones, &zeros], epsilon)?;
        let x = x.reshape(trace.then("channels"), &[0, channels as i64, -1, 0])?;
        let (weight, bias) = (values(&layer.weight.tensor())?, values(&layer.bias.tensor())?);
        let x = x.per_channel(trace.then("scaled"), "Mul", &layer.weight.name, &weight)?;
        if self.halved() {
            let x = x.per_channel(trace.then("shifted"), "Add", &layer.bias.name, &bias)?;
            let half = x.cast(&trace.name, FLOAT16)?;
            return Ok(Self { trace, ..half }.described(channels));
        }
        Ok(x.per_channel(trace, "Add", &layer.bias.name, &bias)?.described(channels))
    }

    fn relu(&self) -> Result<Self> {
        Ok(self.unary(self.trace.then("relu"), "Relu", vec![])?.described(self.channels))
    }

    fn concat(maps: &[Self]) -> Result<Self> {
        let Some(first) = maps.first() else { bail!("nothing to concatenate") };
        let others: Vec<&Value> = maps[1..].iter().map(|map| &map.value).collect();
        let all = first.node(first.trace.concat(), "Concat", &others, vec![("axis", 1i64).into()]);
        Ok(all?.described(maps.iter().map(|map| map.channels).sum()))
    }

    fn max_pool(&self) -> Result<Self> {
        let attributes = vec![
            ("kernel_shape", &[3; 2][..]).into(),
            ("pads", &[1; 4][..]).into(),
            ("strides", &[2; 2][..]).into(),
        ];
        Ok(self.unary(self.trace.max_pool(), "MaxPool", attributes)?.described(self.channels))
    }

    fn upsample(&self, factor: usize) -> Result<Self> {
        if factor == 1 {
            return Ok(self.clone());
        }
        let scales = [1., 1., factor as f32, factor as f32];
        let scales = TensorProto::floats(&format!("scales.x{factor}"), &[4], &scales);
        let scales = self.exact(scales)?;
        let attributes = vec![
            ("coordinate_transformation_mode", "half_pixel").into(),
            ("mode", "linear").into(),
        ];
        let none = self.value.builder().value(String::new());
        let large =
            self.node(self.trace.upsample(factor), "Resize", &[&none, &scales], attributes)?;
        Ok(large.described(self.channels))
    }

    fn crop_like(&self, other: &Self) -> Result<Self> {
        let trace = self.trace.crop_like(&other.trace);
        if trace.name == self.trace.name {
            return Ok(self.clone());
        }
        let builder = self.value.builder();
        let (starts, axes) = (builder.ints(&[0, 0])?, builder.ints(&[2, 3])?);
        let size = other.size()?;
        let cut = self.node(trace, "Slice", &[&starts, &size, &axes], vec![])?;
        Ok(cut.described(self.channels))
    }

    fn detach(&self) -> Self {
        self.clone()
    }
}
