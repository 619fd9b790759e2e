//! Upstream's checkpoints, as PyTorch wrote them in both containers, through ours to ONNX: the outputs are
//! those that PyTorch computed (`tests/python/make_pth_fixtures.py`).

use std::collections::BTreeMap;

use candle_core::Tensor;
use irn::data::npy::{self, Value};
use irn::runtime::{CamModel, IrnModel};
use irn_export::network::{Network, Overrides};
use irn_models::checkpoint::{self, fingerprint, load, save_pth};
use ndarray::{Array4, ArrayD};

use super::fixture;
use crate::golden::compare::{max_abs, within};

/// The image of the script.
fn image() -> Array4<f32> {
    Array4::from_shape_fn((1, 3, 33, 47), |(_, c, y, x)| {
        (((7 * c + 3 * y + 5 * x) % 23) as f64 / 11.0 - 1.0) as f32
    })
}

fn expected(name: &str) -> ArrayD<f32> {
    let Value::Array(array) = npy::read(&fixture(&format!("pth/{name}.npy"))).unwrap() else {
        panic!("{name}")
    };
    array.to_f32()
}

fn agree(name: &str, ours: &Array4<f32>) {
    let theirs = expected(name);
    assert_eq!(ours.shape(), theirs.shape(), "{name}");
    let largest = theirs.iter().fold(0f32, |max, value| max.max(value.abs()));
    within(name, max_abs(ours, &theirs).unwrap() / f64::from(largest), 2e-5).unwrap();
}

fn classes() -> Vec<String> {
    ["a", "b", "c"].map(String::from).to_vec()
}

fn exported(tensors: BTreeMap<String, Tensor>) -> tempfile::NamedTempFile {
    let overrides = Overrides { classes: Some(classes()), ..Overrides::default() };
    let (network, info) = Network::build(tensors, None, &overrides).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(file.path(), network.export(&info).unwrap()).unwrap();
    file
}

#[test]
fn a_cam_checkpoint_computes_what_pytorch_computes() {
    let mut prints = Vec::new();
    for form in ["zip", "legacy"] {
        let tensors = load(fixture(&format!("pth/cam_{form}.pth"))).unwrap().tensors;
        prints.push(fingerprint(&tensors).unwrap());
        let file = exported(tensors);
        let mut model = CamModel::open(file.path(), 1, Some(&classes())).unwrap();
        agree("cam", &model.scores(image().view()).unwrap());
    }
    assert_eq!(prints[0], prints[1]);
}

#[test]
fn an_irnet_checkpoint_computes_what_pytorch_computes() {
    let mut prints = Vec::new();
    for form in ["zip", "legacy"] {
        let tensors = load(fixture(&format!("pth/irn_{form}.pth"))).unwrap().tensors;
        prints.push(fingerprint(&tensors).unwrap());
        let file = exported(tensors);
        let mut model = IrnModel::open(file.path(), 1).unwrap();
        let (edge, displacement) = model.relations(image().view()).unwrap();
        agree("edge", &edge);
        agree("dp", &displacement);
    }
    assert_eq!(prints[0], prints[1]);
}

#[test]
fn what_we_write_is_what_we_read_under_every_name() {
    let dir = tempfile::tempdir().unwrap();
    for network in ["cam", "irn"] {
        let original = fixture(&format!("pth/{network}_zip.pth"));
        let tensors = load(&original).unwrap().tensors;
        let path = dir.path().join(format!("{network}.pth.pth"));
        save_pth(&path, &tensors).unwrap();
        // Upstream's doubled suffix is found by the name without it.
        let back = load(dir.path().join(format!("{network}.pth"))).unwrap().tensors;
        assert_eq!(fingerprint(&back).unwrap(), fingerprint(&tensors).unwrap());
        let names = |path| {
            let contents = checkpoint::contents(path).unwrap();
            let bare = |name: &str| name.trim_start_matches("module.").to_string();
            let mut names: Vec<_> =
                contents.tensors.iter().map(|t| (bare(&t.name), t.dims.clone())).collect();
            names.retain(|(name, _)| !name.starts_with("path_") && name != "disp_target");
            names.sort();
            names
        };
        assert_eq!(names(&path), names(&original), "{network}");
    }
}

#[test]
fn python_2_and_views_of_storages() {
    let tensors = load(fixture("pth/py2_2017.pth")).unwrap().tensors;
    let flat = |name: &str| tensors[name].flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(flat("resnet50.conv1.weight"), [0., 2., 4., 1., 3., 5.]);
    assert_eq!(flat("resnet50.bn1.running_var"), [12., 13.]);
    assert_eq!(flat("resnet50.bn1.bias"), [11., 14.]);
    assert_eq!(tensors.len(), 3);
}

#[test]
fn a_network_with_names_of_stages_alone_is_read() {
    let tensors = load(fixture("pth/cam_zip.pth")).unwrap().tensors;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stages.safetensors");
    let alias = |name: &str| match name.strip_prefix("resnet50.") {
        Some(rest) if rest.starts_with("conv1.") => format!("stage1.0.{}", &rest[6..]),
        Some(rest) if rest.starts_with("bn1.") => format!("stage1.1.{}", &rest[4..]),
        Some(rest) if rest.starts_with("layer1.") => format!("backbone.0.4.{}", &rest[7..]),
        Some(rest) => {
            format!("backbone.{}.0.{}", rest[5..6].parse::<usize>().unwrap() - 1, &rest[7..])
        }
        None => format!("module.newly_added.0.{}", &name["classifier.".len()..]),
    };
    let renamed = tensors.iter().map(|(name, tensor)| (alias(name), tensor.clone()));
    let renamed: std::collections::HashMap<_, _> = renamed.collect();
    candle_core::safetensors::save(&renamed, &path).unwrap();
    let back = load(&path).unwrap().tensors;
    assert_eq!(fingerprint(&back).unwrap(), fingerprint(&tensors).unwrap());
}
