//! Files that PyTorch wrote (`tests/fixtures/pth/make.py`), whole and damaged.

use super::*;

fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/../tests/fixtures/pth/{name}", env!("CARGO_MANIFEST_DIR"));
    fs_err::read(path).unwrap()
}

#[test]
fn all_forms_hold_the_same() {
    for name in ["zip.pth", "legacy.pth", "nested.pth", "parameters.pth"] {
        let tensors = read(&fixture(name)).unwrap();
        let names: Vec<_> = tensors.keys().map(String::as_str).collect();
        let expected = [
            "classifier.weight",
            "mean_shift.running_mean",
            "resnet50.bn1.running_var",
            "resnet50.conv1.weight",
            "resnet50.layer1.0.conv1.weight",
        ];
        assert_eq!(names, expected, "{name}");
        let flat = |key: &str| tensors[key].flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(tensors["classifier.weight"].dims(), [2, 3, 1, 1]);
        assert_eq!(flat("classifier.weight"), [0., 1., 2., 3., 4., 5.]);
        // Half precision, then a transposed view, then a part of a larger storage.
        assert_eq!(flat("resnet50.bn1.running_var"), [0.5, 1.5]);
        assert_eq!(flat("resnet50.conv1.weight"), [0., 2., 4., 1., 3., 5.]);
        assert_eq!(flat("resnet50.layer1.0.conv1.weight"), [7., 8., 9.]);
        assert_eq!(flat("mean_shift.running_mean"), [-1., 2.]);
    }
}

#[test]
fn damage_is_an_error_or_harmless_but_never_a_panic() {
    for name in ["zip.pth", "legacy.pth", "py2_2017.pth"] {
        let bytes = fixture(name);
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "{name}: {length} bytes");
        }
        for position in 0..bytes.len() {
            for value in [0, 0xff, bytes[position] ^ 1, b'(', b't', 0x85] {
                let mut damaged = bytes.clone();
                damaged[position] = value;
                drop(read(&damaged));
            }
        }
    }
}

#[test]
fn names_of_one_parameter_that_differ_are_an_error() {
    let error = format!("{:#}", read(&fixture("disagree.pth")).unwrap_err());
    assert!(error.contains("classifier.weight and newly_added.0.weight"), "{error}");
}
