//! PyTorch itself reads what we write, with strict=True into upstream's module tree, and we read what it
//! writes. Needs a Python with torch: `IRN_PYTHON`, or `python3`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use candle_core::Tensor;
use irn::data::npy::{self, Array, Value};
use irn_models::Param;
use irn_models::checkpoint::{fingerprint, load, save_pth};
use ndarray::ArrayD;

use super::fixture;
use crate::golden::case::{Case, Index};
use crate::golden::compare::{max_abs, within};
use crate::golden::weights;

/// A Python that can import torch, or `None` and a message.
fn python_with_torch() -> Option<String> {
    let python = std::env::var("IRN_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let importable = Command::new(&python).args(["-c", "import torch, numpy"]).output();
    if importable.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    println!("skipped: {python} has no torch (set IRN_PYTHON)");
    None
}

fn script(python: &str, name: &str, arguments: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(name);
    let output = Command::new(python).arg(script).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn tensors(visit: impl FnOnce(&mut dyn FnMut(&Param))) -> BTreeMap<String, Tensor> {
    let mut tensors = BTreeMap::new();
    visit(&mut |param| drop(tensors.insert(param.name.clone(), param.tensor())));
    tensors
}

/// The first case of a group of networks that has this output.
fn case_with(group: &str, output: &str) -> Case {
    let index = Index::open().unwrap();
    let cases = index.names_of(group).into_iter().map(|name| index.case(&name).unwrap());
    cases.into_iter().find(|case| case.has(output)).unwrap()
}

fn array(path: &Path) -> ArrayD<f32> {
    let Value::Array(array) = npy::read(path).unwrap() else { panic!("{}", path.display()) };
    array.to_f32()
}

/// PyTorch loads our file, computes `out.*` of the case, and saves in four ways, which we read.
fn round_trip(
    python: &str,
    network: &str,
    case: &Case,
    ours: &BTreeMap<String, Tensor>,
    outputs: &[&str],
) {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    save_pth(&path("ours.pth"), ours).unwrap();
    npy::write_array(&path("image.npy"), &Array::F32(case.f32("in.x").unwrap())).unwrap();
    script(python, "load_pth.py", &[network, dir.path().to_str().unwrap()]);
    for output in outputs {
        let theirs = case.f32(&format!("out.{output}")).unwrap();
        let computed = array(&path(&format!("{output}.npy")));
        assert_eq!(computed.shape(), theirs.shape(), "{output}");
        let largest = theirs.iter().fold(0f32, |max, value| max.max(value.abs()));
        let apart = max_abs(&computed, &theirs).unwrap() / f64::from(largest);
        within(output, apart, 1e-4).unwrap();
    }
    let expected = fingerprint(ours).unwrap();
    for file in ["zip.pth", "legacy.pth", "parallel.pth", "nested.pth"] {
        let theirs = load(path(file)).unwrap().tensors;
        assert_eq!(fingerprint(&theirs).unwrap(), expected, "{file}");
    }
}

#[test]
fn pytorch_loads_our_cam_weights_and_we_load_its() {
    let Some(python) = python_with_torch() else { return };
    let case = case_with("1_cam_net", "out.logits");
    let net = weights::cam_net(weights::seed_of(&case).unwrap()).unwrap();
    let ours = tensors(|f| net.visit(&mut |param| f(param)));
    round_trip(&python, "cam", &case, &ours, &["logits"]);
}

#[test]
fn pytorch_loads_our_irnet_weights_and_we_load_its() {
    let Some(python) = python_with_torch() else { return };
    let case = case_with("2_irnet", "out.edge_logit");
    let net = weights::irnet(weights::seed_of(&case).unwrap()).unwrap();
    let ours = tensors(|f| net.visit(&mut |param| f(param)));
    round_trip(&python, "irn", &case, &ours, &["edge_logit", "dp_eval"]);
}

/// NumPy reads the CAM file that we write.
#[test]
fn numpy_loads_our_cams() {
    let Some(python) = python_with_torch() else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    let file = irn::data::cam_file::read(&fixture("cams/sipe.npy"), None, 20).unwrap();
    let maps = file.complete((10, 14)).unwrap();
    npy::write_cam(&path, &[2, 6], maps.cam.view(), maps.high_res.view()).unwrap();
    let fixtures = fixture("cams");
    script(&python, "load_cam.py", &[path.to_str().unwrap(), fixtures.to_str().unwrap()]);
}
