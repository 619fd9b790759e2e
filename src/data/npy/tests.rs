//! Reading what NumPy wrote (fixtures by `tests/fixtures/make.py`) and reading back what we write.

use std::path::PathBuf;

use ndarray::{Array1, Array3, ArrayD, IxDyn};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/npy").join(name)
}

fn load(name: &str) -> Value {
    read(&fixture(name)).unwrap_or_else(|error| panic!("{name}: {error:#}"))
}

fn message(name: &str) -> String {
    format!("{:#}", read(&fixture(name)).unwrap_err())
}

/// 0, 1, .. 23 as `[2, 3, 4]`.
fn ramp() -> ArrayD<f32> {
    ArrayD::from_shape_vec(IxDyn(&[2, 3, 4]), (0..24).map(|v| v as f32).collect()).unwrap()
}

#[test]
fn plain_arrays_of_every_type() {
    let kinds = ["f4", "f8", "f2", "i8", "i4", "i2", "i1", "u1", "u2", "u4", "u8"];
    for kind in kinds.into_iter().chain(["big_f4", "big_i8", "fortran", "version2"]) {
        let Value::Array(array) = load(&format!("plain_{kind}.npy")) else { panic!("{kind}") };
        assert_eq!(array.to_f32(), ramp(), "{kind}");
        assert_eq!(array.to_i64().unwrap(), ramp().mapv(|v| v as i64), "{kind}");
        assert!(array.to_f32().is_standard_layout(), "{kind}");
    }
    let Value::Array(Array::Bool(mask)) = load("plain_bool.npy") else { panic!("bool") };
    assert_eq!(mask, ramp().mapv(|v| (v as usize).is_multiple_of(3)));
}

#[test]
fn odd_shapes_and_texts() {
    let Value::Array(scalar) = load("plain_scalar.npy") else { panic!() };
    assert_eq!(scalar, Array::F64(ArrayD::from_elem(IxDyn(&[]), 2.5)));
    let Value::Array(empty) = load("plain_empty.npy") else { panic!() };
    assert_eq!(empty.shape(), [0, 4]);
    let texts = ["2007_000032", "a cat", "päge"].map(|text| Value::Str(text.into()));
    assert_eq!(load("plain_text.npy"), Value::List(texts.to_vec()));
}

#[test]
fn unsupported_types_are_named() {
    assert!(message("plain_complex.npy").contains("<c8"), "{}", message("plain_complex.npy"));
    assert!(message("plain_structured.npy").contains("structured"));
}

#[test]
fn dicts_of_every_protocol() {
    for protocol in 2..=5 {
        let labels = load(&format!("labels_protocol{protocol}.npy"));
        let entries = labels.entries().unwrap();
        let keys: Vec<_> = entries.iter().map(|(key, _)| key.clone()).collect();
        let numbers = [2007000032, 2007000039].map(Value::Int);
        let names = ["a cat", "päge"].map(|name| Value::Str(name.into()));
        assert_eq!(keys, [numbers, names].concat());
        let Value::Array(Array::F32(first)) = &entries[0].1 else { panic!() };
        assert_eq!(first.as_slice(), Some(&[0.0, 1.0, 0.0, 0.0][..]));
        let cam = load(&format!("cam_protocol{protocol}.npy"));
        assert_eq!(cam.array("keys").unwrap().to_i64().unwrap().as_slice(), Some(&[3, 14][..]));
        assert_eq!(cam.array("cam").unwrap().to_f32(), ramp());
        assert_eq!(cam.array("high_res").unwrap().to_f32(), ramp() / 8.0);
    }
}

#[test]
fn plain_objects_of_every_protocol() {
    for protocol in 2..=5 {
        let mixed = load(&format!("mixed_protocol{protocol}.npy"));
        let get = |key| mixed.get(key).cloned().unwrap();
        assert_eq!(get("none"), Value::None);
        assert_eq!(get("yes"), Value::Bool(true));
        assert_eq!(get("big"), Value::Int(1 << 40));
        assert_eq!(get("minus"), Value::Int(-1 << 33));
        assert_eq!(get("f"), Value::Float(0.5));
        assert_eq!(get("np"), Value::Float(0.25));
        let inner = Value::Tuple(vec![Value::Int(2), Value::Int(3)]);
        assert_eq!(get("t"), Value::Tuple(vec![Value::Int(1), inner]));
        let inner = Value::List(vec![Value::Int(2)]);
        assert_eq!(get("l"), Value::List(vec![Value::Int(1), inner]));
        assert_eq!(mixed.array("empty").unwrap().shape(), [0, 3]);
        let objects = vec![Value::Str("a".into()), Value::Int(1), Value::None];
        assert_eq!(get("objects"), Value::List(objects));
    }
    let entry = |name: &str, number| (Value::Str(name.into()), Value::Int(number));
    assert_eq!(load("ordered.npy"), Value::Dict(vec![entry("a", 1), entry("b", 2)]));
}

#[test]
fn hostile_files_are_refused() {
    assert!(message("hostile.npy").contains("posix.system"), "{}", message("hostile.npy"));
    assert!(message("cycle.npy").contains("nested"), "{}", message("cycle.npy"));
    assert!(message("deep.npy").contains("nested"), "{}", message("deep.npy"));
    assert!(message("bomb.npy").contains("repeated"), "{}", message("bomb.npy"));
    let claim = header::text_of("<f8", &[1 << 20, 1 << 20, 1 << 20]);
    assert!(parse(&claim).is_err());
}

#[test]
fn damaged_files_never_panic() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let folder = fixture("");
    let mut files: Vec<_> =
        fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for path in files.iter().filter(|path| !path.ends_with("bomb.npy")) {
        let whole = fs_err::read(path).unwrap();
        for _ in 0..200 {
            let mut bytes = whole.clone();
            for _ in 0..rng.random_range(1..4) {
                let at = rng.random_range(0..bytes.len());
                bytes[at] = rng.random();
            }
            if rng.random_range(0..4) == 0 {
                bytes.truncate(rng.random_range(0..bytes.len()));
            }
            drop(parse(&bytes));
        }
        for length in 0..whole.len() {
            assert!(parse(&whole[..length]).is_err(), "{} cut to {length}", path.display());
        }
    }
}

#[test]
fn what_we_write_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cam.npy");
    let cam = Array3::from_shape_fn((2, 3, 4), |(c, y, x)| (c + y * x) as f32 / 7.0);
    write_cam(&path, &[3, 14], cam.view(), cam.slice(ndarray::s![.., ..;-1, ..])).unwrap();
    let back = read(&path).unwrap();
    assert_eq!(back.array("keys").unwrap().to_i64().unwrap().as_slice(), Some(&[3, 14][..]));
    assert_eq!(back.array("cam").unwrap(), &Array::F32(cam.clone().into_dyn()));

    let mask = cam.mapv(|v| v > 0.3);
    write_instances(&path, Array1::from_vec(vec![0.5, 1.0]).view(), mask.clone(), &[0, 7]).unwrap();
    let back = read(&path).unwrap();
    assert_eq!(back.array("mask").unwrap(), &Array::Bool(mask.into_dyn()));
    assert_eq!(back.array("class").unwrap().to_i64().unwrap().as_slice(), Some(&[0, 7][..]));

    let array = Array::F64(ArrayD::from_elem(IxDyn(&[5]), 0.1));
    write_array(&path, &array).unwrap();
    assert_eq!(read(&path).unwrap(), Value::Array(array));
}

#[test]
fn headers_look_like_numpys() {
    for (shape, text) in [(&[][..], "()"), (&[5], "(5,)"), (&[2, 3], "(2, 3)")] {
        let header = header::text_of("<f4", shape);
        let expected = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {text}, }}");
        assert!(header[10..].starts_with(expected.as_bytes()));
        assert_eq!((header.len() % 64, header.last()), (0, Some(&b'\n')));
    }
}
