//! One convolution, to be sure: a device that the driver lists may still not compute, for want of cuDNN, of
//! memory, of code for its architecture, or because another process has it to itself.

use anyhow::{Result, ensure};
use ndarray::Array4;
use prost::Message;

use super::wish::Place;
use crate::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OPSET, OperatorSetIdProto, TensorProto,
    ValueInfoProto,
};
use crate::onnxruntime::{Session, SessionOptions};

/// Channels of the photo.
pub(crate) const CHANNELS: usize = 8;
/// Its sides: large enough that its maps are not taken for shapes.
const SIDE: usize = 16;

/// Computes at `place`.
///
/// # Errors
/// Those of ONNX Runtime; a result that is wrong.
pub fn probe(place: Place) -> Result<()> {
    let options = SessionOptions { place, ..SessionOptions::default() };
    let mut session = Session::unchecked(&model(), vec!["map".into()], &options)?;
    let found = session.run(Array4::<f32>::ones((1, CHANNELS, SIDE, SIDE)).view())?;
    let inside = found[0].get([0, 0, 1, 1].as_slice()).copied();
    ensure!(inside == Some((CHANNELS * 9) as f32), "a convolution is computed wrongly: {inside:?}");
    Ok(())
}

/// A convolution with ones, sizes open.
pub(crate) fn model() -> Vec<u8> {
    let shape = [CHANNELS, CHANNELS, 3, 3];
    let weight = TensorProto::floats("weight", &shape, &[1.; CHANNELS * CHANNELS * 9]);
    let node = NodeProto {
        input: vec!["image".into(), "weight".into()],
        output: vec!["map".into()],
        name: "probe".into(),
        op_type: "Conv".into(),
        attribute: vec![AttributeProto::from(("pads", [1usize; 4].as_slice()))],
    };
    let open = || vec!["batch".into(), CHANNELS.into(), "height".into(), "width".into()];
    let value = |name| ValueInfoProto::float(name, open());
    let graph = GraphProto {
        node: vec![node],
        name: "probe".into(),
        initializer: vec![weight],
        input: vec![value("image")],
        output: vec![value("map")],
        ..Default::default()
    };
    let opset_import = vec![OperatorSetIdProto { domain: String::new(), version: OPSET }];
    ModelProto { ir_version: 8, graph: Some(graph), opset_import, ..Default::default() }
        .encode_to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_passes() {
        probe(Place::Cpu).unwrap();
    }
}
