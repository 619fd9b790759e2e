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
    let agree = irn_export(&["verify", &model, "--against", &ours]);
    assert!(agree.status.success(), "{}", String::from_utf8_lossy(&agree.stderr));
    let differ = irn_export(&["verify", &model, "--against", &other]);
    assert_eq!(differ.status.code(), Some(1), "{}", String::from_utf8_lossy(&differ.stdout));
}

#[test]
fn a_model_alone_is_checked_and_reported_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_string();
    let (stored, model) = (path("a.safetensors"), path("a.onnx"));
    write_checkpoint(Path::new(&stored), 1);
    let export = irn_export(&["onnx", &stored, "--out", &model, "--external-data"]);
    assert!(export.status.success(), "{}", said(&export));
    let alone = irn_export(&["verify", &model, "--runtime-report", "--json"]);
    assert!(alone.status.success(), "{}", said(&alone));
    let found: serde_json::Value = serde_json::from_slice(&alone.stdout).unwrap();
    assert_eq!(found["report"]["comparisons"].as_array().unwrap().len(), 8);
    let cpu = &found["runtime"]["used"]["CPUExecutionProvider"];
    assert!(cpu["nodes"].as_u64().unwrap() > 20, "{found}");
    assert_eq!(found["runtime"]["fallbacks"], serde_json::json!([]));
    let offered = found["runtime"]["offered"].as_array().unwrap();
    assert!(offered.contains(&"CPUExecutionProvider".into()), "{found}");
    let agree = irn_export(&["verify", &model, "--against", &stored, "--runtime-report"]);
    assert!(said(&agree).contains("fallbacks    none"), "{}", said(&agree));
    fs_err::write(path("a.onnx.data"), b"other").unwrap();
    let damaged = irn_export(&["verify", &model]);
    assert!(said(&damaged).contains("holds other weights"), "{}", said(&damaged));
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

fn fixture(name: &str) -> String {
    format!("{}/../tests/fixtures/pth/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}{err}")
}

#[test]
fn checkpoints_go_both_ways_and_stay_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_string();
    for (network, classes) in [("cam", Some("--classes=a,b,c")), ("irn", None)] {
        let (ours, theirs) = (path(&format!("new/{network}.safetensors")), path("x.pth"));
        let original = fixture(&format!("{network}_legacy.pth"));
        let mut args = vec!["safetensors", &original, "--out", &ours];
        args.extend(classes);
        let made = irn_export(&args);
        assert!(made.status.success(), "{}", said(&made));
        let made = irn_export(&["pth", &ours, "--out", &theirs]);
        assert!(made.status.success(), "{}", said(&made));
        for other in [&theirs, &fixture(&format!("{network}_zip.pth"))] {
            let same = irn_export(&["diff", &ours, other]);
            assert!(same.status.success(), "{}", said(&same));
        }
    }
    let different =
        irn_export(&["diff", &fixture("cam_zip.pth"), &fixture("irn_zip.pth"), "--json"]);
    assert_eq!(different.status.code(), Some(1), "{}", said(&different));
    let report: serde_json::Value = serde_json::from_slice(&different.stdout).unwrap();
    assert_eq!(report["only_in_a"], serde_json::json!(["classifier.weight"]));
}

#[test]
fn inspect_says_what_a_file_is_and_lacks() {
    let [cam, irn, part] = ["cam_legacy.pth", "irn_zip.pth", "zip.pth"].map(|name| {
        let output = irn_export(&["inspect", &fixture(name)]);
        (output.status.code(), said(&output))
    });
    assert!(cam.0 == Some(0) && cam.1.contains("CAM network, "), "{}", cam.1);
    assert!(cam.1.contains("PyTorch, legacy form"), "{}", cam.1);
    assert!(
        cam.1.contains("newly_added.0.weight  f32 [3, 64, 1, 1]  = classifier.weight"),
        "{}",
        cam.1
    );
    assert!(cam.1.contains("as ImageNet backbone: missing nothing"), "{}", cam.1);
    assert!(irn.0 == Some(0) && irn.1.contains("\nIRNet, "), "{}", irn.1);
    assert!(irn.1.contains("module.path_indices_0  i64 [6]  (not used)"), "{}", irn.1);
    assert_eq!(part.0, Some(1), "{}", part.1);
    assert!(part.1.contains("no whole network"), "{}", part.1);
    let json = irn_export(&["inspect", &fixture("irn_zip.pth"), "--json"]);
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(value["network"], "IRNet");
    assert_eq!(value["form"], "PyTorch, zip form");
}
