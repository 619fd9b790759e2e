//! The graph with bytes between its convolutions.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::on_bytes;
use super::ranges::Range;
use crate::onnx::{AttributeProto, GraphProto, INT8, INT32, NodeProto, TensorProto, UINT8};

/// Puts every value of `ranges` through bytes, and turns the weights of the convolutions that read
/// them into bytes.
pub fn rewrite(graph: &mut GraphProto, ranges: &BTreeMap<String, Range>) -> Result<()> {
    let mut quantizer = Quantizer { ranges, nodes: Vec::new(), constants: BTreeMap::new() };
    let inputs: Vec<String> = graph.input.iter().map(|input| input.name.clone()).collect();
    inputs.iter().for_each(|name| quantizer.through_bytes(name));
    for node in &graph.node {
        let mut node = node.clone();
        if on_bytes(graph, &node) {
            quantizer.reads_bytes(graph, &mut node)?;
        }
        let made = node.output.clone();
        quantizer.nodes.push(node);
        made.iter().for_each(|name| quantizer.through_bytes(name));
    }
    graph.node = quantizer.nodes;
    let used = |name: &String| graph.node.iter().any(|node| node.input.contains(name));
    let kept = graph.initializer.drain(..).map(|tensor| (tensor.name.clone(), tensor));
    let mut all: BTreeMap<String, TensorProto> = kept.collect();
    all.append(&mut quantizer.constants);
    graph.initializer = all.into_values().filter(|tensor| used(&tensor.name)).collect();
    Ok(())
}

struct Quantizer<'a> {
    ranges: &'a BTreeMap<String, Range>,
    nodes: Vec<NodeProto>,
    constants: BTreeMap<String, TensorProto>,
}

impl Quantizer<'_> {
    fn constant(&mut self, name: String, tensor: TensorProto) -> String {
        self.constants.insert(name.clone(), TensorProto { name: name.clone(), ..tensor });
        name
    }

    fn scalar(&mut self, name: String, value: f32) -> String {
        self.constant(name, TensorProto::floats("", &[], &[value]))
    }

    fn node(&mut self, name: String, op: &str, input: Vec<String>, axis: Option<i64>) -> String {
        let attribute = axis.map(|axis| AttributeProto::from(("axis", axis))).into_iter().collect();
        let (output, op_type) = (vec![name.clone()], op.into());
        self.nodes.push(NodeProto { input, output, name: name.clone(), op_type, attribute });
        name
    }

    /// Quantises a value and restores it, under a name of its own.
    fn through_bytes(&mut self, value: &str) {
        let Some(range) = self.ranges.get(value) else { return };
        let (scale, zero) = range.scale_and_zero();
        let scale = self.scalar(format!("{value}.scale"), scale);
        let zero = self.constant(format!("{value}.zero"), TensorProto::raw(UINT8, &[], vec![zero]));
        let inputs = vec![value.to_string(), scale.clone(), zero.clone()];
        let bytes = self.node(format!("{value}.bytes"), "QuantizeLinear", inputs, None);
        self.node(restored(value), "DequantizeLinear", vec![bytes, scale, zero], None);
    }

    /// Lets the node read restored values, and a convolution restored weights.
    fn reads_bytes(&mut self, graph: &GraphProto, node: &mut NodeProto) -> Result<()> {
        if node.op_type == "Conv" {
            self.restored_weights(graph, node)?;
        }
        for value in &mut node.input {
            if self.ranges.contains_key(value) {
                *value = restored(value);
            }
        }
        Ok(())
    }

    fn restored_weights(&mut self, graph: &GraphProto, node: &mut NodeProto) -> Result<()> {
        let tensor = |name: &String| {
            let found = graph.initializer.iter().find(|tensor| tensor.name == *name);
            found.with_context(|| format!("{} has no constant {name}", node.name))
        };
        let weight = tensor(&node.input[1])?;
        let values = weight.to_floats();
        let rows: Vec<&[f32]> = values
            .chunks(values.len() / weight.dims.first().map_or(1, |&n| n.max(1) as usize))
            .collect();
        let highest = |row: &&[f32]| row.iter().fold(1e-12f32, |high, value| high.max(value.abs()));
        let scales: Vec<f32> = rows.iter().map(|row| highest(row) / 127.0).collect();
        let bytes = rows.iter().zip(&scales).flat_map(|(row, scale)| {
            row.iter().map(move |value| (value / scale).round().clamp(-127.0, 127.0) as i8 as u8)
        });
        let raw = TensorProto {
            dims: weight.dims.clone(),
            ..TensorProto::raw(INT8, &[], bytes.collect())
        };
        let scale_of_photo =
            self.ranges.get(&node.input[0]).map_or(1.0, |range| range.scale_and_zero().0);
        let bias = node.input.get(2).map(tensor).transpose()?.map(TensorProto::to_floats);
        let [weight_name, bias_name] =
            [1, 2].map(|at| node.input.get(at).cloned().unwrap_or_default());
        node.input[1] = self.restored_constant(&weight_name, raw, &scales);
        if let Some(bias) = bias {
            let scales: Vec<f32> = scales.iter().map(|scale| scale * scale_of_photo).collect();
            let whole = bias.iter().zip(&scales).flat_map(|(value, scale)| {
                ((f64::from(*value) / f64::from(*scale)).round() as i32).to_le_bytes()
            });
            let raw = TensorProto::raw(INT32, &[bias.len()], whole.collect());
            node.input[2] = self.restored_constant(&bias_name, raw, &scales);
        }
        Ok(())
    }

    /// A constant of whole numbers, one scale for each entry of its first axis.
    fn restored_constant(&mut self, name: &str, whole: TensorProto, scales: &[f32]) -> String {
        let whole = self.constant(format!("{name}.whole"), whole);
        let scales = TensorProto::floats("", &[scales.len()], scales);
        let scale = self.constant(format!("{name}.scale"), scales);
        self.node(restored(name), "DequantizeLinear", vec![whole, scale], Some(0))
    }
}

fn restored(name: &str) -> String {
    format!("{name}.restored")
}
