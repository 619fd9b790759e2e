//! The program `irn-export` as a user runs it: a checkpoint in, a compared ONNX file out.

#![cfg(feature = "graph")]
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use candle_core::Device;
use irn_models::checkpoint::{self, Metadata};
use irn_models::{Backbone, CamNet, Weights};

fn irn_export(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_irn-export")).args(args).output().unwrap()
}

/// A small CAM network with random weights.
fn write_checkpoint(path: &Path, seed: u64) {
    let backbone = Backbone::named("resnet18").unwrap();
    let mut weights = Weights::seeded(seed, &Device::Cpu);
    let net = CamNet::new(&mut weights, backbone, 0.125, 2).unwrap();
    let mut tensors = BTreeMap::new();
    net.visit(&mut |param| {
        tensors.insert(param.name.clone(), param.var().as_detached_tensor());
    });
    let metadata = Metadata {
        network: "cam".into(),
        backbone: "resnet18".into(),
        width: 0.125,
        classes: vec!["cat".into(), "dog".into()],
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
        ..Metadata::default()
    };
    checkpoint::save(path, &tensors, &metadata).unwrap();
}

#[test]
fn a_checkpoint_becomes_a_model_that_agrees_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_string();
    let (ours, other, model) = (path("a.safetensors"), path("b.safetensors"), path("a.onnx"));
    write_checkpoint(Path::new(&ours), 1);
    write_checkpoint(Path::new(&other), 2);
    let export = irn_export(&["onnx", &ours, "--out", &model]);
    assert!(export.status.success(), "{}", String::from_utf8_lossy(&export.stderr));
    assert!(Path::new(&model).is_file());
    let agree = irn_export(&["verify", &model, &ours]);
    assert!(agree.status.success(), "{}", String::from_utf8_lossy(&agree.stderr));
    let differ = irn_export(&["verify", &model, &other]);
    assert_eq!(differ.status.code(), Some(1), "{}", String::from_utf8_lossy(&differ.stdout));
}

#[test]
fn bad_files_are_errors_with_hints() {
    let dir = tempfile::tempdir().unwrap();
    let junk = dir.path().join("junk.pth");
    fs_err::write(&junk, b"no checkpoint").unwrap();
    let out = dir.path().join("x.onnx");
    let args = ["onnx", junk.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let refused = irn_export(&args);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("junk.pth"), "{said}");
    assert!(said.contains("hint:") && !out.exists(), "{said}");
}

#[test]
fn help_has_examples() {
    for verb in ["onnx", "verify"] {
        let help = irn_export(&[verb, "--help"]);
        let said = String::from_utf8_lossy(&help.stdout).into_owned();
        assert!(help.status.success() && said.contains("irn-export onnx"), "{said}");
    }
}
