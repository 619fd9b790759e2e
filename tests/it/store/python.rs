//! h5py reads a store without our code. Needs a Python with h5py: `IRN_PYTHON`, or `python3`.

use std::path::Path;
use std::process::Command;

use half::f16;
use irn::store::{Record, Stage};
use ndarray::{Array3, array};
use serde_json::{Value, json};

use super::{open, settings};

#[test]
fn h5py_reads_a_store() {
    let python = std::env::var("IRN_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let importable = Command::new(&python).args(["-c", "import h5py"]).output();
    if !importable.is_ok_and(|output| output.status.success()) {
        println!("skipped: {python} has no h5py (set IRN_PYTHON)");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let map = Array3::from_shape_fn((2, 64, 50), |(c, y, x)| ((c + y + x) % 5) as f32);
    let mut record = Record::new()
        .with("keys", array![0_i64, 2])
        .with("cam", map.clone())
        .with("half", map.mapv(f16::from_f32))
        .with("mask", map.mapv(|value| value > 1.0))
        .with("label", map.mapv(|value| value as u8))
        .with("none", Array3::<u8>::zeros((0, 3, 4)));
    record.insert_text("size", "500x375 é");
    for (stage, name) in [(Stage::Cam, "2007_000032"), (Stage::InsSeg, "a/犬")] {
        let writer = store.writer(stage, settings("0.5")).unwrap();
        writer.put(name, &record).unwrap();
        writer.finish().unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/read_store.py");
    let output = Command::new(&python).arg(script).arg(dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();

    let attributes = json!({
        "format": "irn store", "format_version": 1, "dataset": "animals",
        "classes": ["cat", "dog", "Käse"],
    });
    assert_eq!(found["attributes"], attributes);
    assert_eq!(found["cam settings"], json!({ "threshold": 0.5 }));
    let sum = f64::from(map.sum());
    let ones = map.iter().filter(|value| **value > 1.0).count() as f64;
    for item in ["cam/2007_000032", "ins_seg/a%2F犬"] {
        let part = |key: &str| found[format!("{item}/{key}")].clone();
        assert_eq!(part("keys"), json!(["int64", [2], 2.0]), "{found}");
        assert_eq!(part("cam"), json!(["float32", [2, 64, 50], sum]));
        assert_eq!(part("half")[0], "float16");
        assert_eq!(part("mask"), json!(["bool", [2, 64, 50], ones]));
        assert_eq!(part("label"), json!(["uint8", [2, 64, 50], sum]));
        assert_eq!(part("none"), json!(["uint8", [0, 3, 4], 0.0]));
        assert_eq!(found[format!("{item}@size")], "500x375 é");
    }
}
