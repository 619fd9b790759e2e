//! A network as an ONNX file: the forward pass on a [`Symbol`], then names, shapes and description.
//!
//! Batch, height and width stay open unless the [`crate::form::Form`] fixes them. Equal networks and descriptions give equal bytes.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use irn_models::{CamNet, IrNet, Param};
use prost::Message;
use sha2::{Digest, Sha256};

use crate::form::Input;
use crate::graph::{Builder, Value};
use crate::info::{ModelInfo, NetworkKind, hexadecimal};
use crate::onnx::{
    FLOAT, GraphProto, ModelProto, OperatorSetIdProto, TensorProto, UINT8, ValueInfoProto,
};
use crate::symbol::Symbol;
use crate::trace::Extent;

/// Name of the only input: the normalised photo, f32 `(batch, 3, height, width)`.
pub const INPUT: &str = "image";

/// The CAM network. Outputs: `scores` `(batch, classes, h16, w16)`, the score of every class at every
/// cell before any ReLU, and `logits` `(batch, classes)`, their mean.
///
/// # Errors
/// A description of another network or number of classes.
pub fn export_cam(net: &CamNet, info: &ModelInfo) -> Result<Vec<u8>> {
    let classes = net.classifier.weight.var().dim(0)?;
    ensure!(info.network == NetworkKind::Cam, "a CAM network described as {}", info.network);
    ensure!(
        info.classes.len() == classes,
        "{} class names for a network of {classes} classes",
        info.classes.len()
    );
    let graph = Builder::default();
    let scores = net.forward(&image(&graph, info)?)?;
    debug_assert_eq!(scores.extent().divisor, info.stride);
    let logits = scores.spatial_mean()?;
    output(&graph, &scores, "scores", classes, info)?;
    let pair = vec![info.form.batch(), classes.into()];
    graph.output(&logits, ValueInfoProto::float("logits", pair));
    let mut params = Vec::new();
    net.visit(&mut |param| params.push(param));
    encode(graph.finish("cam"), info, &params)
}

/// IRNet. Outputs: `edge` `(batch, 1, h4, w4)`, the class boundary logit, and `displacement`
/// `(batch, 2, h4, w4)`, `(dy, dx)` with the mean shift subtracted.
///
/// # Errors
/// A description of another network.
pub fn export_irn(net: &IrNet, info: &ModelInfo) -> Result<Vec<u8>> {
    ensure!(info.network == NetworkKind::Irn, "an IRNet described as {}", info.network);
    let graph = Builder::default();
    let relations = net.forward_eval(&image(&graph, info)?)?;
    debug_assert_eq!(relations.edge.extent().divisor, info.stride);
    output(&graph, &relations.edge, "edge", 1, info)?;
    output(&graph, &relations.displacement, "displacement", 2, info)?;
    let mut params = Vec::new();
    net.visit(&mut |param| params.push(param));
    encode(graph.finish("irn"), info, &params)
}

/// The input as the network takes it.
fn image(graph: &Builder, info: &ModelInfo) -> Result<Symbol> {
    let form = &info.form;
    form.validate()?;
    let [height, width] = form.sides(Extent::PHOTO);
    let image = match form.input {
        Input::Normalised => {
            let shape = vec![form.batch(), 3usize.into(), height, width];
            graph.input(ValueInfoProto::float(INPUT, shape))
        }
        Input::Rgb8 => {
            let shape = vec![form.batch(), height, width, 3usize.into()];
            let photo = graph.input(ValueInfoProto::tensor(INPUT, UINT8, shape));
            let order: &[usize] = &[0, 3, 1, 2];
            let planes =
                photo.op("image.planes", "Transpose", &[], vec![("perm", order).into()])?;
            normalised(graph, &planes, "image", info)?
        }
    };
    Ok(Symbol::photo(image, graph, form)?)
}

/// Bytes as the network wants them; the constants belong to `weights`.
pub(crate) fn normalised(
    weights: &Builder,
    pixels: &Value,
    name: &str,
    info: &ModelInfo,
) -> Result<Value> {
    let float = vec![("to", i64::from(FLOAT)).into()];
    let x = pixels.op(&format!("{name}.float"), "Cast", &[], float)?;
    let gain = info.std.map(|std| (1.0 / (255.0 * std)) as f32);
    let gain = weights.constant(TensorProto::floats("gain", &[3, 1, 1], &gain))?;
    let shift: Vec<f32> =
        info.mean.iter().zip(info.std).map(|(mean, std)| (-mean / std) as f32).collect();
    let shift = weights.constant(TensorProto::floats("shift", &[3, 1, 1], &shift))?;
    let x = x.op(&format!("{name}.scaled"), "Mul", &[&gain], vec![])?;
    Ok(x.op(&format!("{name}.normal"), "Add", &[&shift], vec![])?)
}

fn output(
    graph: &Builder,
    map: &Symbol,
    name: &str,
    channels: usize,
    info: &ModelInfo,
) -> Result<()> {
    let mut shape = vec![info.form.batch(), channels.into()];
    shape.extend(info.form.sides(Extent { divisor: info.stride, factor: 1 }));
    graph.output(&map.value()?, ValueInfoProto::float(name, shape));
    Ok(())
}

/// The file of a graph.
pub(crate) fn encode(graph: GraphProto, info: &ModelInfo, params: &[&Param]) -> Result<Vec<u8>> {
    let info = ModelInfo { weights_sha256: weights_sha256(params)?, ..info.clone() };
    let metadata_props = info.entries(&graph.encode_to_vec())?;
    let model = ModelProto {
        ir_version: info.form.ir_version(),
        producer_name: "irn-export".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: info.form.opset }],
        metadata_props,
    };
    Ok(model.encode_to_vec())
}

/// SHA-256 over name, shape and little-endian f32 values of every parameter, sorted by name.
///
/// # Errors
/// Those of reading a tensor.
pub fn weights_sha256(params: &[&Param]) -> Result<String> {
    let sorted: BTreeMap<&str, &&Param> = params.iter().map(|p| (p.name.as_str(), p)).collect();
    let mut hash = Sha256::new();
    for (name, param) in sorted {
        hash.update(format!("{name} {:?}\n", param.var().dims()));
        let values = param.tensor().flatten_all()?.to_vec1::<f32>()?;
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        hash.update(bytes);
    }
    Ok(hexadecimal(&hash.finalize()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use candle_core::Device;
    use irn_models::resnet::BACKBONES;
    use irn_models::{Backbone, Weights};

    use super::*;

    fn irn(backbone: Backbone) -> (IrNet, ModelInfo) {
        let net = IrNet::new(&mut Weights::seeded(1, &Device::Cpu), backbone, 0.125).unwrap();
        (net, ModelInfo::new(NetworkKind::Irn, backbone.name, 0.125, vec![]))
    }

    #[test]
    fn graphs_are_deterministic_lean_and_sound() {
        for backbone in BACKBONES {
            let (net, info) = irn(backbone);
            let bytes = export_irn(&net, &info).unwrap();
            assert_eq!(bytes, export_irn(&net, &info).unwrap());
            let graph = ModelProto::decode(&*bytes).unwrap().graph.unwrap();
            let names = graph.initializer.iter().map(|tensor| tensor.name.clone());
            let mut known: HashSet<String> = names.chain([INPUT.into(), String::new()]).collect();
            assert!(known.len() == graph.initializer.len() + 2, "duplicate constants");
            for node in &graph.node {
                assert!(node.op_type != "Identity" && node.op_type != "BatchNormalization");
                assert!(node.input.iter().all(|input| known.contains(input)), "{}", node.name);
                assert!(known.insert(node.output[0].clone()), "{} is made twice", node.output[0]);
            }
            assert!(graph.output.iter().all(|output| known.contains(&output.name)));
        }
    }

    #[test]
    fn a_wrong_description_is_refused() {
        let backbone = BACKBONES[0];
        let (net, mut info) = irn(backbone);
        info.network = NetworkKind::Cam;
        assert!(export_irn(&net, &info).is_err());
        let cam = CamNet::new(&mut Weights::seeded(1, &Device::Cpu), backbone, 0.125, 3).unwrap();
        let error = export_cam(&cam, &info).unwrap_err().to_string();
        assert_eq!(error, "0 class names for a network of 3 classes");
    }
}
