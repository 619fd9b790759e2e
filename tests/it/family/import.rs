//! CAMs of other methods into the store and on to relation labels, and back out as upstream's files.

use std::path::Path;

use irn::config::{self, Config};
use irn::data::cam_file::{self, Dialect};
use irn::data::photo::write_rgb_png;
use irn::stage::{Context, export_npy, import_cam, ir_label};
use irn::store::Stage;
use ndarray::{Array3, Ix3};

use super::fixture;

/// Files of `tests/fixtures/cams` that show classes 2 and 6 of a photo of 10 x 14.
const FILES: [&str; 9] = [
    "irn_torch_2",
    "irn_torch_4",
    "irn_2017",
    "clims_hr",
    "clims_rw",
    "amn",
    "sipe",
    "psa",
    "psa_crf",
];

fn settings(dir: &Path, more: &[&str]) -> Config {
    let quoted = |key: &str, name: &str| format!("{key}=\"{}\"", dir.join(name).display());
    let mut overrides = vec![
        quoted("data.root", "data"),
        quoted("data.train_list", "list.txt"),
        quoted("run.out", "out"),
        "data.eval_list=null".into(),
        "run.threads=2".into(),
    ];
    overrides.extend(more.iter().map(ToString::to_string));
    config::load(None, &overrides).unwrap()
}

/// A photo for each file, annotated with a bird (2) and a car (6), and one image of neither.
fn data(dir: &Path) {
    let cams = dir.join("cams");
    fs_err::create_dir_all(&cams).unwrap();
    fs_err::create_dir_all(dir.join("data/Annotations")).unwrap();
    for name in FILES.iter().chain(&["rib_empty", "nothing"]) {
        let photo = Array3::from_shape_fn((10, 14, 3), |(y, x, c)| (y * 20 + x * 3 + c) as u8);
        write_rgb_png(&dir.join(format!("data/JPEGImages/{name}.png")), photo.view()).unwrap();
        let objects = match *name {
            "rib_empty" => "",
            _ => "<object><name>bird</name></object><object><name>car</name></object>",
        };
        let text = format!("<annotation>{objects}</annotation>");
        fs_err::write(dir.join(format!("data/Annotations/{name}.xml")), text).unwrap();
        let file = fixture(&format!("cams/{name}.npy"));
        if file.exists() {
            fs_err::copy(file, cams.join(format!("{name}.npy"))).unwrap();
        }
    }
    let names: Vec<&str> = FILES.iter().chain(&["rib_empty", "nothing"]).copied().collect();
    fs_err::write(dir.join("list.txt"), names.join("\n")).unwrap();
}

#[test]
fn every_dialect_goes_through_the_store() {
    let dir = tempfile::tempdir().unwrap();
    data(dir.path());
    let cams = dir.path().join("cams");
    let context = Context::open(settings(dir.path(), &["run.method=amn"]), false).unwrap();
    let set = context.every_set().unwrap();
    let outcome = import_cam::run(&context, &set, &cams).unwrap();
    assert_eq!(outcome.done, FILES.len() + 1);
    let skipped: Vec<_> = outcome.skipped.keys().collect();
    assert_eq!(skipped, ["nothing"]);
    let known = context.settings_of(Stage::Cam).unwrap();
    assert_eq!(known["method"], "amn");
    assert_eq!(known["imported_from"], cams.display().to_string());

    let labels = ir_label::run(&context, &context.train_set().unwrap()).unwrap();
    assert_eq!(labels.done, FILES.len() + 1, "{:?}", labels.skipped);
    let known = context.settings_of(Stage::IrLabel).unwrap();
    assert_eq!(known["method"], "amn");
    assert_eq!(known["cam"]["method"], "amn");
    let conf_fg = known["ir_label"]["conf_fg"].as_f64().unwrap();
    assert!((conf_fg - 0.45).abs() < 1e-6);

    let out = dir.path().join("written");
    assert_eq!(export_npy::run(&context, &set, &out).unwrap().done, FILES.len() + 1);
    for name in FILES {
        let file = cam_file::read(&out.join(format!("{name}.npy")), None, 20).unwrap();
        assert_eq!((file.dialect, &*file.keys), (Dialect::Irn, &[2, 6][..]));
        let stored = context.store.read(Stage::Cam, name).unwrap();
        assert_eq!(file.high_res.unwrap(), stored.f32::<Ix3>("high_res").unwrap(), "{name}");
        assert_eq!(file.cam.unwrap(), stored.f32::<Ix3>("cam").unwrap(), "{name}");
    }
    let empty = cam_file::read(&out.join("rib_empty.npy"), None, 20).unwrap();
    assert!(empty.keys.is_empty());
}

#[test]
fn cams_of_another_origin_or_of_other_classes_are_not_mixed() {
    let dir = tempfile::tempdir().unwrap();
    data(dir.path());
    let context = Context::open(settings(dir.path(), &[]), false).unwrap();
    let set = context.every_set().unwrap();
    import_cam::run(&context, &set, &dir.path().join("cams")).unwrap();
    let other = dir.path().join("other");
    fs_err::create_dir_all(&other).unwrap();
    let error = import_cam::run(&context, &set, &other).unwrap_err();
    assert!(irn::error::report(&error).contains("--force"));
    let error = import_cam::run(&context, &set, &dir.path().join("none")).unwrap_err();
    assert!(irn::error::report(&error).contains("none"), "{error:#}");

    let xml = "<annotation><object><name>cat</name></object></annotation>";
    fs_err::write(dir.path().join("data/Annotations/amn.xml"), xml).unwrap();
    let again = Context::open(settings(dir.path(), &[]), true).unwrap();
    let set = again.every_set().unwrap();
    let outcome = import_cam::run(&again, &set, &dir.path().join("cams")).unwrap();
    assert!(outcome.skipped["amn"].contains("[2, 6]"), "{:?}", outcome.skipped);
}
