//! The forms a graph can have, each against Candle.

use irn_export::external::split;
use irn_export::form::{Form, Input, Precision};
use irn_export::onnx::ModelProto;
use irn_export::quantize::quantize;
use irn_export::verify::{Plan, verify};
use irn_export::{NetworkKind, Session, SessionOptions};
use irn_models::resnet::BACKBONES;
use prost::Message;

use super::random;

const KINDS: [NetworkKind; 2] = [NetworkKind::Cam, NetworkKind::Irn];

fn check(form: &Form) {
    for kind in KINDS {
        let (network, mut info) = random(kind, BACKBONES[2], 4).unwrap();
        info.form = form.clone();
        let bytes = network.export(&info).unwrap();
        let plan = Plan { sizes: vec![[2, 33, 50]], ..Plan::default() };
        let report = verify(&network, bytes, &plan).unwrap();
        assert!(report.passed() && report.same_weights == Some(true), "{form:?} {kind}\n{report}");
    }
}

#[test]
fn every_operator_set_computes_the_same() {
    for opset in 13..=21 {
        check(&Form { opset, ..Form::default() });
    }
}

#[test]
fn fixed_sizes_bytes_and_halves_compute_the_same() {
    check(&Form { size: Some([1, 47, 65]), ..Form::default() });
    check(&Form { input: Input::Rgb8, ..Form::default() });
    check(&Form { precision: Precision::F16, ..Form::default() });
    let all =
        Form { opset: 20, size: Some([2, 31, 70]), precision: Precision::F16, input: Input::Rgb8 };
    check(&all);
}

#[test]
fn halves_are_half_as_large_and_fixed_sizes_leave_no_shapes_open() {
    let (network, mut info) = random(NetworkKind::Irn, BACKBONES[0], 4).unwrap();
    let whole = network.export(&info).unwrap();
    info.form.precision = Precision::F16;
    let half = network.export(&info).unwrap();
    let weights = |bytes: &[u8]| -> usize {
        let graph = ModelProto::decode(bytes).unwrap().graph.unwrap();
        graph.initializer.iter().map(|tensor| tensor.raw_data.len()).sum()
    };
    assert!(weights(&half) * 10 < weights(&whole) * 6, "{} of {}", weights(&half), weights(&whole));
    info.form = Form { size: Some([1, 33, 33]), ..Form::default() };
    let graph = ModelProto::decode(&*network.export(&info).unwrap()).unwrap().graph.unwrap();
    assert!(graph.node.iter().all(|node| node.op_type != "Shape"));
    assert!(graph.value_info.len() > 50);
}

#[test]
fn weights_in_a_file_of_their_own_are_checked() {
    let (network, info) = random(NetworkKind::Cam, BACKBONES[0], 4).unwrap();
    let bytes = network.export(&info).unwrap();
    let (info, _) = irn_export::ModelInfo::read(&bytes.clone().into()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let [model, data] = ["cam.onnx", "cam.onnx.data"].map(|name| dir.path().join(name));
    let (graph, weights) = split(&bytes, &info, "cam.onnx.data").unwrap();
    assert!(graph.len() * 4 < bytes.len());
    fs_err::write(&model, graph).unwrap();
    let open = || Session::open(&model, NetworkKind::Cam, &SessionOptions::default());
    let message = |path: &std::path::Path| {
        let error = open().err().map(|error| irn_models::error::report(&error));
        (error.unwrap_or_default(), path.to_path_buf())
    };
    assert!(message(&data).0.contains("the model's weights"), "{}", message(&data).0);
    fs_err::write(&data, &weights).unwrap();
    let photo = ndarray::Array4::<f32>::ones((1, 3, 40, 33));
    let options = SessionOptions::default();
    let whole =
        Session::from_bytes(bytes.into(), NetworkKind::Cam, &options).unwrap().0.run(photo.view());
    let apart = open().unwrap().0.run(photo.view()).unwrap();
    assert_eq!(whole.unwrap(), apart);
    fs_err::write(&data, &weights[1..]).unwrap();
    assert!(message(&data).0.contains("other weights"));
}

#[test]
fn bytes_are_a_quarter_as_large_and_close() {
    let photo = |seed: u64| {
        let state = irn_models::weights::splitmix::state(seed, "photo");
        let value = |i| (irn_models::weights::splitmix::uniform(state, i as u64) * 4. - 2.) as f32;
        Ok(ndarray::Array4::from_shape_fn((1, 3, 64, 64), |(_, c, y, x)| {
            value((c * 64 + y) * 64 + x)
        }))
    };
    for kind in KINDS {
        let (network, info) = random(kind, BACKBONES[2], 4).unwrap();
        let whole = network.export(&info).unwrap();
        let (info, _) = irn_export::ModelInfo::read(&whole.clone().into()).unwrap();
        let bytes = quantize(&whole, &info, (1..5).map(photo), 1).unwrap();
        assert_eq!(bytes, quantize(&whole, &info, (1..5).map(photo), 1).unwrap());
        let options = SessionOptions::default();
        let run = |bytes: Vec<u8>| {
            let mut session = Session::from_bytes(bytes.into(), kind, &options).unwrap().0;
            session.run(photo(9).unwrap().view()).unwrap()
        };
        for (expected, found) in run(whole.clone()).iter().zip(run(bytes)) {
            let norm = |values: &ndarray::ArrayD<f32>| values.mapv(|v| v * v).sum().sqrt();
            let error = norm(&(expected - &found)) / norm(expected);
            assert!(error < 0.15, "{kind}: {error}");
        }
        assert!(quantize(&whole, &info, [], 1).is_err());
    }
}

#[test]
fn models_for_other_programs_are_refused_by_name() {
    let (network, mut info) = random(NetworkKind::Cam, BACKBONES[0], 4).unwrap();
    info.form.input = Input::Rgb8;
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("cam.onnx");
    fs_err::write(&model, network.export(&info).unwrap()).unwrap();
    let error = Session::open(&model, NetworkKind::Cam, &SessionOptions::default()).err().unwrap();
    let report = irn_models::error::report(&error);
    assert!(report.contains("preprocessing") && report.contains("hint: export it"), "{report}");
}
