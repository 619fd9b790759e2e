//! The first node, in the order of the graph, whose value is not Candle's.

use anyhow::{Context, Result};
use ndarray::Array4;
use prost::Message;
use prost::bytes::Bytes;

use super::photos::normal;
use super::report::Divergence;
use super::{Plan, difference, tensor};
use crate::export::INPUT;
use crate::network::Network;
use crate::onnx::{ModelProto, ValueInfoProto};
use crate::onnxruntime::Session;
use crate::probe::{Log, Probe};

/// Compares every value that Candle computes under the name of a node, in the graph's order.
pub fn divergence(
    network: &Network,
    bytes: &Bytes,
    size: [usize; 3],
    plan: &Plan,
) -> Result<Option<Divergence>> {
    let photos = normal(size)?;
    let log = probe(network, &photos)?;
    let mut model = ModelProto::decode(bytes.clone())?;
    let graph = model.graph.as_mut().context("a model without a graph")?;
    let nodes: Vec<_> = graph.node.iter().filter(|node| log.contains_key(&node.name)).collect();
    let nodes: Vec<_> =
        nodes.iter().map(|n| (n.name.clone(), n.op_type.clone(), n.output[0].clone())).collect();
    for (_, _, value) in &nodes {
        if graph.output.iter().all(|output| output.name != *value) {
            graph.output.push(ValueInfoProto { name: value.clone(), r#type: None });
        }
    }
    let values = nodes.iter().map(|(_, _, value)| value.clone()).collect();
    let mut session = Session::unchecked(&model.encode_to_vec(), values, &plan.options())?;
    let values = session.run(photos.view())?;
    for ((node, operation, _), value) in nodes.into_iter().zip(&values) {
        let difference = difference(&log[&node], value).with_context(|| node.clone())?;
        if difference.relative > plan.tolerance {
            return Ok(Some(Divergence { node, operation, size, difference }));
        }
    }
    Ok(None)
}

fn probe(network: &Network, photos: &Array4<f32>) -> Result<Log> {
    let image = Probe::input(INPUT, tensor(photos)?);
    match network {
        Network::Cam(net) => drop(net.forward(&image)?),
        Network::Irn(net) => drop(net.forward_eval(&image)?),
    }
    Ok(image.log())
}
