//! The feature map that computes nothing and writes down everything: a forward pass on it is the ONNX
//! graph.
//!
//! What runtimes get wrong is avoided: batch norm is folded into its convolution, group norm is
//! Reshape, InstanceNormalization, Reshape, Mul, Add, and enlargement is half-pixel `Resize` by
//! constant scales.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use candle_core::{Result, Tensor, bail};
use irn_models::{BatchNorm, Conv, ConvNorm, FeatureMap, GroupNorm};

use crate::onnx::{AttributeProto, Dim, GraphProto, NodeProto, TensorProto, ValueInfoProto};
use crate::trace::{Extent, Trace};

/// The graph under construction.
#[derive(Default)]
struct Graph {
    nodes: Vec<NodeProto>,
    constants: BTreeMap<String, TensorProto>,
    outputs: Vec<ValueInfoProto>,
}

/// A value of the graph.
#[derive(Clone)]
pub struct Symbol {
    graph: Rc<RefCell<Graph>>,
    trace: Trace,
}

impl Symbol {
    /// The photo, the input of a new graph.
    pub fn input(name: &str) -> Self {
        Self { graph: Rc::default(), trace: Trace::input(name) }
    }

    /// Appends a node named after the value it makes. A node that exists already is not repeated.
    fn node(
        &self,
        trace: Trace,
        op: &str,
        inputs: &[&str],
        attribute: Vec<AttributeProto>,
    ) -> Result<Self> {
        let node = NodeProto {
            input: inputs.iter().map(ToString::to_string).collect(),
            output: vec![trace.name.clone()],
            name: trace.name.clone(),
            op_type: op.into(),
            attribute,
        };
        let mut graph = self.graph.borrow_mut();
        match graph.nodes.iter().find(|other| other.name == node.name) {
            Some(other) if *other == node => {}
            Some(_) => bail!("two different values of the graph are called {}", node.name),
            None => graph.nodes.push(node),
        }
        drop(graph);
        Ok(Self { graph: self.graph.clone(), trace })
    }

    fn constant(&self, tensor: TensorProto) -> Result<String> {
        let name = tensor.name.clone();
        let mut graph = self.graph.borrow_mut();
        match graph.constants.get(&name) {
            Some(other) if *other != tensor => bail!("two different constants are called {name}"),
            Some(_) => {}
            None => drop(graph.constants.insert(name.clone(), tensor)),
        }
        Ok(name)
    }

    /// Convolution with weight and bias given as numbers; the node bears the layer's name.
    fn conv_with(&self, layer: &Conv, weight: &[f32], bias: Option<&[f32]>) -> Result<Self> {
        let dims = layer.weight.var().dims();
        let weight = TensorProto::floats(&format!("{}.weight", layer.name), dims, weight);
        let mut inputs = vec![self.trace.name.clone(), self.constant(weight)?];
        if let Some(bias) = bias {
            let bias = TensorProto::floats(&format!("{}.bias", layer.name), &[bias.len()], bias);
            inputs.push(self.constant(bias)?);
        }
        let attributes = vec![
            ("kernel_shape", &dims[2..]).into(),
            ("pads", &[layer.padding; 4][..]).into(),
            ("strides", &[layer.stride; 2][..]).into(),
        ];
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        self.node(self.trace.layer(&layer.name, layer.stride), "Conv", &inputs, attributes)
    }

    fn unary(&self, trace: Trace, op: &str, attributes: Vec<AttributeProto>) -> Result<Self> {
        self.node(trace, op, &[&self.trace.name], attributes)
    }

    /// `self op constant`, a value for each channel.
    fn per_channel(&self, trace: Trace, op: &str, name: &str, values: &[f32]) -> Result<Self> {
        let constant = self.constant(TensorProto::floats(name, &[values.len(), 1, 1], values))?;
        self.node(trace, op, &[&self.trace.name, &constant], vec![])
    }

    fn reshape(&self, trace: Trace, shape: &[i64]) -> Result<Self> {
        let sizes: Vec<String> = shape.iter().map(ToString::to_string).collect();
        let name = format!("shape.{}", sizes.join("."));
        let shape = self.constant(TensorProto::ints(&name, shape))?;
        self.node(trace, "Reshape", &[&self.trace.name, &shape], vec![])
    }

    /// The mean over height and width, `(batch, channels)`.
    ///
    /// # Errors
    /// A name that another value has.
    pub fn spatial_mean(&self) -> Result<Self> {
        let axes: &[usize] = &[2, 3];
        let attributes = vec![("axes", axes).into(), ("keepdims", 0i64).into()];
        self.unary(self.trace.then("mean"), "ReduceMean", attributes)
    }

    /// Makes this value an output called `name`; its node keeps its own name.
    pub fn output(&self, name: &str, shape: Vec<Dim>) {
        let mut graph = self.graph.borrow_mut();
        for node in &mut graph.nodes {
            for value in node.input.iter_mut().chain(&mut node.output) {
                if *value == self.trace.name {
                    *value = name.into();
                }
            }
        }
        graph.outputs.push(ValueInfoProto::float(name, shape));
    }

    /// Ends the construction. `self` is the input the graph began with.
    pub fn finish(self, name: &str, shape: Vec<Dim>) -> GraphProto {
        let graph = self.graph.take();
        GraphProto {
            node: graph.nodes,
            name: name.into(),
            initializer: graph.constants.into_values().collect(),
            input: vec![ValueInfoProto::float(&self.trace.name, shape)],
            output: graph.outputs,
        }
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
            let inputs = [&*y.trace.name, &*residual.trace.name];
            y = y.node(y.trace.then("add"), "Add", &inputs, vec![])?;
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
        let inputs = [&*x.trace.name, &self.constant(ones)?, &self.constant(zeros)?];
        let epsilon = vec![("epsilon", layer.eps as f32).into()];
        let x = x.node(trace.then("normed"), "InstanceNormalization", &inputs, epsilon)?;
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
        let names: Vec<&str> = maps.iter().map(|map| &*map.trace.name).collect();
        first.node(first.trace.concat(), "Concat", &names, vec![("axis", 1i64).into()])
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
        let inputs = [&*self.trace.name, "", &self.constant(scales)?];
        let attributes = vec![
            ("coordinate_transformation_mode", "half_pixel").into(),
            ("mode", "linear").into(),
        ];
        self.node(self.trace.upsample(factor), "Resize", &inputs, attributes)
    }

    fn crop_like(&self, other: &Self) -> Result<Self> {
        let trace = self.trace.crop_like(&other.trace);
        if trace.name == self.trace.name {
            return Ok(self.clone());
        }
        let size = other.unary(other.trace.then("size"), "Shape", vec![("start", 2i64).into()])?;
        let starts = self.constant(TensorProto::ints("crop.starts", &[0, 0]))?;
        let axes = self.constant(TensorProto::ints("crop.axes", &[2, 3]))?;
        let inputs = [&*self.trace.name, &starts, &size.trace.name, &axes];
        self.node(trace, "Slice", &inputs, vec![])
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
