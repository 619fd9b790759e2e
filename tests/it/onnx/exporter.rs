//! The exporter against Candle, on random small networks of every backbone at odd sizes.

use irn_export::network::Network;
use irn_export::onnx::ModelProto;
use irn_export::verify::{Plan, verify};
use irn_export::{NetworkKind, Session, SessionOptions};
use irn_models::resnet::BACKBONES;
use ndarray::Array4;
use prost::Message;

use super::random;

const KINDS: [NetworkKind; 2] = [NetworkKind::Cam, NetworkKind::Irn];

#[test]
fn every_backbone_computes_the_same() {
    let sizes = vec![[1, 65, 97], [2, 33, 47], [1, 17, 129], [1, 1, 1]];
    let plan = Plan { sizes, ..Plan::default() };
    for (seed, backbone) in (1..).zip(BACKBONES) {
        for kind in KINDS {
            let (network, info) = random(kind, backbone, seed).unwrap();
            let report = verify(&network, network.export(&info).unwrap(), &plan).unwrap();
            assert!(
                report.passed() && report.same_weights == Some(true),
                "{} {report}",
                backbone.name
            );
            assert_eq!(report.comparisons.len(), 2 * plan.sizes.len());
        }
    }
}

#[test]
fn a_wrong_weight_is_found_at_its_node() {
    let (network, info) = random(NetworkKind::Irn, BACKBONES[0], 5).unwrap();
    let bytes = network.export(&info).unwrap();
    let mut model = ModelProto::decode(&*bytes).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let name = "resnet50.layer3.1.conv1.weight";
    let weight = graph.initializer.iter_mut().find(|tensor| tensor.name == name).unwrap();
    weight.raw_data[..400].fill(0);
    model.metadata_props = info.entries(&graph.encode_to_vec()).unwrap();
    let report = verify(&network, model.encode_to_vec(), &Plan::default()).unwrap();
    assert!(!report.passed() && report.same_weights == Some(false), "{report}");
    let divergence = report.divergence.unwrap();
    assert_eq!(divergence.node, "resnet50.layer3.1.conv1.relu");
    assert_eq!(divergence.operation, "Relu");
}

#[test]
fn the_description_comes_back() {
    let (network, mut info) = random(NetworkKind::Cam, BACKBONES[2], 3).unwrap();
    info.settings = serde_json::json!({"cam": {"scales": [1.0, 0.5]}});
    let bytes = network.export(&info).unwrap();
    let options = SessionOptions::default();
    let (_, read, _) = Session::from_bytes(bytes.into(), NetworkKind::Cam, &options).unwrap();
    info.weights_sha256 = network.weights_sha256().unwrap();
    assert_eq!(read, info);
}

#[test]
fn outputs_do_not_depend_on_threads() {
    let Ok((network @ Network::Irn(_), info)) = random(NetworkKind::Irn, BACKBONES[1], 7) else {
        panic!("an IRNet");
    };
    let bytes = network.export(&info).unwrap();
    let photos = Array4::from_shape_fn((2, 3, 81, 63), |(n, c, y, x)| {
        ((n + 3 * c + 7 * y + 11 * x) % 17) as f32 / 8. - 1.
    });
    let run = |threads| {
        let options = SessionOptions { threads, ..SessionOptions::default() };
        let bytes = bytes.clone().into();
        let mut session = Session::from_bytes(bytes, NetworkKind::Irn, &options).unwrap().0;
        session.run(photos.view()).unwrap()
    };
    assert_eq!(run(1), run(3));
}
