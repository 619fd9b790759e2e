//! Every dialect, from files that NumPy and PyTorch wrote (`tests/python/make_cam_fixtures.py`).

use std::path::PathBuf;

use ndarray::{Array3, s};

use super::*;

const SIZE: Size = (10, 14);

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cams").join(name)
}

fn load(name: &str) -> CamFile {
    read(&fixture(name), Some(&[2, 6]), 20).unwrap_or_else(|error| panic!("{name}: {error:#}"))
}

/// The maps of the script, `[2, h, w]`.
fn maps((h, w): Size) -> Array3<f32> {
    Array3::from_shape_fn((2, h, w), |(r, y, x)| {
        let ramp = (y * w + x) as f32 / (h * w) as f32;
        (r + 1) as f32 * ramp / 2.0
    })
}

fn close(ours: &Array3<f32>, theirs: &Array3<f32>) -> bool {
    ours.dim() == theirs.dim() && ours.iter().zip(theirs).all(|(a, b)| (a - b).abs() < 1e-6)
}

#[test]
fn every_dialect_is_found_out() {
    let irn = ["irn_torch_2", "irn_torch_3", "irn_torch_4", "irn_torch_5", "irn_numpy", "irn_2017"];
    let irn = irn.iter().chain(&["irn_view", "irn_parameter", "irn_unsorted"]);
    let irn = irn.map(|name| (*name, Dialect::Irn));
    let others = [
        ("clims_hr", Dialect::Clims),
        ("clims_rw", Dialect::Clims),
        ("amn", Dialect::Amn),
        ("sipe", Dialect::Sipe),
        ("psa", Dialect::Psa),
        ("psa_from_one", Dialect::Psa),
    ];
    for (name, dialect) in irn.chain(others) {
        let file = load(&format!("{name}.npy"));
        assert_eq!((file.dialect, &*file.keys), (dialect, &[2, 6][..]), "{name}");
        assert!(close(file.high_res.as_ref().unwrap(), &maps(SIZE)), "{name}");
        let has_cam = matches!(dialect, Dialect::Irn | Dialect::Amn) || name == "clims_hr";
        assert_eq!(file.cam.is_some(), has_cam, "{name}");
        if let Some(cam) = &file.cam {
            assert!(close(cam, &maps((3, 4))), "{name}");
        }
        assert!(file.expect_classes(&[2, 6]).is_ok() && file.expect_classes(&[3, 6]).is_err());
    }
}

#[test]
fn a_crfs_background_is_left_out() {
    let file = load("psa_crf.npy");
    assert_eq!((file.dialect, &*file.keys), (Dialect::PsaCrf, &[2, 6][..]));
    let (maps, high) = (maps(SIZE), file.high_res.unwrap());
    let sum = 0.5 + maps[[0, 9, 13]] + maps[[1, 9, 13]];
    assert!((high[[1, 9, 13]] - maps[[1, 9, 13]] / sum).abs() < 1e-6);
    // Without a label the sum of 1 tells as well; classes from 1 can't be told then.
    assert_eq!(read(&fixture("psa_crf.npy"), None, 20).unwrap().keys, [2, 6]);
    assert_eq!(read(&fixture("psa_from_one.npy"), None, 20).unwrap().keys, [3, 7]);
}

#[test]
fn what_a_file_lacks_is_made() {
    let both = load("irn_torch_4.npy").complete(SIZE).unwrap();
    assert!(close(&both.cam, &maps((3, 4))) && close(&both.high_res, &maps(SIZE)));
    let made = load("psa.npy").complete(SIZE).unwrap();
    assert_eq!(made.cam.dim(), (2, 3, 4));
    assert_eq!(made.high_res, load("psa.npy").high_res.unwrap());
    let low = CamFile { high_res: None, ..load("irn_numpy.npy") };
    let made = low.complete(SIZE).unwrap();
    assert_eq!(made.high_res.dim(), (2, 10, 14));
    assert!(made.high_res.slice(s![.., ..2, ..2]).iter().all(|value| *value >= 0.0));
    let empty = load("rib_empty.npy");
    assert_eq!((empty.dialect, empty.keys.len()), (Dialect::WithoutMaps, 0));
    let none = empty.complete(SIZE).unwrap();
    assert_eq!((none.cam.dim(), none.high_res.dim()), ((0, 3, 4), (0, 10, 14)));
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let text = format!("{:#}", load("psa.npy").complete((10, 15)).unwrap_err());
    assert!(text.contains("10 x 14") && text.contains("10 x 15"), "{text}");
    let text = crate::error::report(&read(&fixture("other.npy"), None, 20).unwrap_err());
    assert!(text.contains("other.npy") && text.contains("\"scores\""), "{text}");
    let text = format!("{:#}", read(&fixture("irn_numpy.npy"), None, 5).unwrap_err());
    assert!(text.contains("class 6 of 5"), "{text}");
}
