//! A fully convolutional network that takes photos on a larger canvas and computes, inside, what it computes
//! without the canvas.
//!
//! Every convolution pads its input with zeros at the photo's border. On a canvas the border lies inside, and what
//! lies beyond it is zero in the photo only: biases and ReLUs fill it layer by layer. So the graph is rewritten:
//! the photo gets a fourth channel, 1 inside and 0 beyond, and the input of every operation that looks at its
//! neighbours is multiplied with it (with every second value of it after a stride of 2). Inside, each sum then has
//! the same terms as without the canvas. Photo and canvas share their upper left corner, and sizes after strides
//! are rounded up in both. Pooling pads with minus infinity instead, which after a ReLU is the same as zero.
//!
//! A GPU's plans for convolutions are made for one shape; with this, photos of many sizes share few.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use prost::Message;

use crate::form::Precision;
use crate::info::{ModelInfo, NetworkKind};
use crate::onnx::{
    AttributeProto, Dim, FLOAT16, GraphProto, ModelProto, NodeProto, TensorProto, TypeProto,
    ValueInfoProto,
};

/// Beginning of the names of what is added.
const SCOPE: &str = "canvas";

/// Whether the model is one that can be rewritten: the CAM network, not with 8-bit maps. IRNet's group norms see
/// all of their input.
pub fn takes_canvas(info: &ModelInfo) -> bool {
    info.network == NetworkKind::Cam && info.form.precision != Precision::Int8
}

/// The model `bytes` with a photo of four channels, `(batch, 4, height, width)`: the last is 1 inside the photo
/// and 0 beyond. Outputs are what they were, as far as they lie inside; means over a map are not.
///
/// # Errors
/// A graph with other operations than those of the CAM network.
pub fn padded(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut model = ModelProto::decode(bytes)?;
    let graph = model.graph.take().context("a model without a graph")?;
    // The description is sealed by a hash of the graph, which is another one now.
    model.metadata_props.clear();
    model.graph = Some(rewritten(graph)?);
    Ok(model.encode_to_vec())
}

fn rewritten(mut graph: GraphProto) -> Result<GraphProto> {
    let [input] = &mut graph.input[..] else { bail!("a graph of several inputs") };
    let photo = input.name.clone();
    four_channels(input)?;
    let mut canvas = Canvas::new(&photo, halves(&graph));
    for mut node in std::mem::take(&mut graph.node) {
        canvas.follow(&mut node)?;
        canvas.nodes.push(node);
    }
    graph.node = canvas.nodes;
    graph.initializer.extend(constants());
    // Shapes between the operations are inferred again.
    graph.value_info.clear();
    Ok(graph)
}

/// Whether the maps are 16 bits wide.
fn halves(graph: &GraphProto) -> bool {
    graph.initializer.iter().any(|weight| weight.data_type == FLOAT16 && weight.dims.len() == 4)
}

fn four_channels(input: &mut ValueInfoProto) -> Result<()> {
    let shape = |kind: &mut TypeProto| kind.tensor_type.as_mut()?.shape.take();
    let shape = input.r#type.as_mut().and_then(shape).context("a photo without a shape")?;
    let mut sizes: Vec<Dim> = shape.dim.into_iter().filter_map(|dim| dim.value).collect();
    ensure!(sizes.len() == 4 && sizes[1] == Dim::Value(3), "a photo of other axes");
    sizes[1] = Dim::Value(4);
    *input = ValueInfoProto::float(&input.name, sizes);
    Ok(())
}

/// Where the channels are cut apart, as constants of the graph.
fn constants() -> [TensorProto; 4] {
    let named = |value: i64| TensorProto::ints(&format!("{SCOPE}.{value}"), &[value]);
    [0, 1, 3, 4].map(named)
}

/// The graph so far.
struct Canvas {
    nodes: Vec<NodeProto>,
    photo: String,
    /// The stride at which each value lies.
    stride: BTreeMap<String, i64>,
    /// What is not negative anywhere.
    rectified: BTreeSet<String>,
    /// Masks that there are, by stride, and values that were multiplied with theirs.
    masks: BTreeSet<i64>,
    masked: BTreeSet<String>,
}

impl Canvas {
    fn new(photo: &str, halves: bool) -> Self {
        let mut canvas = Self {
            nodes: Vec::new(),
            photo: photo.into(),
            stride: BTreeMap::from([(format!("{SCOPE}.photo"), 1)]),
            rectified: BTreeSet::new(),
            masks: BTreeSet::from([1]),
            masked: BTreeSet::from([format!("{SCOPE}.photo")]),
        };
        let channels = |from: i64, to: i64| {
            [photo.into(), format!("{SCOPE}.{from}"), format!("{SCOPE}.{to}"), format!("{SCOPE}.1")]
        };
        canvas.add("Slice", channels(0, 3).to_vec(), "photo".into(), vec![]);
        let mask = if halves { "mask".to_string() } else { name_of(1) };
        canvas.add("Slice", channels(3, 4).to_vec(), mask.clone(), vec![]);
        if halves {
            let to = vec![("to", i64::from(FLOAT16)).into()];
            canvas.add("Cast", vec![format!("{SCOPE}.{mask}")], name_of(1), to);
        }
        canvas
    }

    fn add(&mut self, op: &str, input: Vec<String>, name: String, attribute: Vec<AttributeProto>) {
        let name = format!("{SCOPE}.{name}");
        let output = vec![name.clone()];
        self.nodes.push(NodeProto { input, output, name, op_type: op.into(), attribute });
    }

    /// Takes note of what `node` makes, and gives it masked input where it needs that.
    fn follow(&mut self, node: &mut NodeProto) -> Result<()> {
        for input in &mut node.input {
            if *input == self.photo {
                *input = format!("{SCOPE}.photo");
            }
        }
        let strides = node.input.iter().filter_map(|input| self.stride.get(input));
        let at = strides.copied().max().with_context(|| format!("{} of no map", node.name))?;
        let mut stride = at;
        match &*node.op_type {
            "Conv" | "MaxPool" => {
                let pooling = node.op_type == "MaxPool";
                let fits = !pooling || self.rectified.contains(&node.input[0]);
                ensure!(fits, "{} pools what may be negative", node.name);
                stride *= self.centred(node)?;
                if ints(node, "kernel_shape").iter().any(|&side| side > 1) {
                    node.input[0] = self.inside(&node.input[0], at);
                }
            }
            "Relu" | "Add" | "Cast" => {}
            // The logits: of no use here, they are means over canvases.
            "ReduceMean" | "GlobalAveragePool" | "Flatten" => {}
            other => bail!("{} is a {other}, which the CAM network has not", node.name),
        }
        let rectified = match &*node.op_type {
            "Relu" | "MaxPool" => true,
            "Cast" => self.rectified.contains(&node.input[0]),
            _ => false,
        };
        for output in &node.output {
            self.stride.insert(output.clone(), stride);
            if rectified {
                self.rectified.insert(output.clone());
            }
        }
        Ok(())
    }

    /// The stride of an operation that is padded so that the corners stay together.
    fn centred(&self, node: &NodeProto) -> Result<i64> {
        let sides = ints(node, "kernel_shape");
        let pads = ints(node, "pads");
        let strides = ints(node, "strides");
        let dilated = ints(node, "dilations").iter().any(|&rate| rate != 1);
        let centred = sides.len() == 2
            && pads.iter().enumerate().all(|(i, &pad)| pad == sides[i % 2] / 2)
            && sides.iter().all(|side| side % 2 == 1);
        ensure!(centred && !dilated, "{} is padded in another way", node.name);
        match strides.first().copied().unwrap_or(1) {
            stride @ (1 | 2) if strides.iter().all(|&other| other == stride) => Ok(stride),
            _ => bail!("{} has strides {strides:?}", node.name),
        }
    }

    /// The name of `value`, which lies at `stride`, with zeros beyond the photo.
    fn inside(&mut self, value: &str, stride: i64) -> String {
        if self.masked.contains(value) {
            return value.into();
        }
        self.mask(stride);
        let name = format!("inside.{value}");
        let masked = format!("{SCOPE}.{name}");
        if self.masked.insert(masked.clone()) {
            self.add(
                "Mul",
                vec![value.into(), format!("{SCOPE}.{}", name_of(stride))],
                name,
                vec![],
            );
        }
        masked
    }

    /// Makes the mask of a stride: every second value of that of half the stride.
    fn mask(&mut self, stride: i64) {
        if !self.masks.insert(stride) {
            return;
        }
        self.mask(stride / 2);
        let two: &[usize] = &[2, 2];
        let one: &[usize] = &[1, 1];
        let attributes = vec![("kernel_shape", one).into(), ("strides", two).into()];
        let half = format!("{SCOPE}.{}", name_of(stride / 2));
        self.add("MaxPool", vec![half], name_of(stride), attributes);
    }
}

fn name_of(stride: i64) -> String {
    format!("mask{stride}")
}

fn ints<'a>(node: &'a NodeProto, name: &str) -> &'a [i64] {
    let found = node.attribute.iter().find(|attribute| attribute.name == name);
    found.map_or(&[], |attribute| &attribute.ints)
}
