//! What a GPU needs and a processor can show: canvases, bound memory, workers that differ.

use std::path::{Path, PathBuf};

use irn::overlap::{overlapped, pool};
use irn::runtime::{CamModel, IrnModel, Padding, Relations, Workers, irn_pair};
use irn_export::form::{Form, Precision};
use irn_export::padded::padded;
use irn_export::{NetworkKind, SessionOptions};
use irn_models::resnet::BACKBONES;
use irn_models::{Backbone, weights::splitmix};
use ndarray::{Array3, Array4};

use super::random;

fn exported(dir: &Path, kind: NetworkKind, backbone: Backbone, precision: Precision) -> PathBuf {
    let (network, mut info) = random(kind, backbone, 3).unwrap();
    info.form = Form { precision, ..Form::default() };
    let path = dir.join("model.onnx");
    fs_err::write(&path, network.export(&info).unwrap()).unwrap();
    path
}

fn photo((h, w): (usize, usize), seed: u64) -> Array3<f32> {
    let state = splitmix::state(seed, "photo");
    let at = |(c, y, x): (usize, usize, usize)| ((c * h + y) * w + x) as u64;
    Array3::from_shape_fn((3, h, w), |place| (splitmix::uniform(state, at(place)) * 4. - 2.) as f32)
}

fn pair(size: (usize, usize), seed: u64) -> Array4<f32> {
    irn::runtime::mirror_pair(photo(size, seed).view())
}

#[test]
fn a_canvas_changes_nothing_inside_the_photo() {
    let dir = tempfile::tempdir().unwrap();
    for (backbone, precision, tolerance) in [
        (BACKBONES[0], Precision::F32, 1e-5),
        (BACKBONES[2], Precision::F32, 1e-5),
        (BACKBONES[2], Precision::F16, 2e-2),
    ] {
        let path = exported(dir.path(), NetworkKind::Cam, backbone, precision);
        let options = SessionOptions { padded: true, ..SessionOptions::default() };
        let mut plain = CamModel::open(&path, 1, None).unwrap();
        let mut canvas = CamModel::open_with(&path, &options, 2, None).unwrap();
        assert_eq!(plain.fingerprint(), canvas.fingerprint());
        // Sizes on, below and above canvases' sides, turn by turn in two sessions.
        for size in [(64, 128), (63, 50), (65, 127), (64, 128), (1, 1), (33, 97), (130, 40)] {
            let pair = pair(size, 5);
            let (expected, expected_logits) = plain.run(pair.view()).unwrap();
            let (found, logits) = canvas.run(pair.view()).unwrap();
            assert_eq!(expected.dim(), found.dim(), "{size:?}");
            let largest = expected.iter().fold(1e-3f32, |most, value| most.max(value.abs()));
            let apart = |a: &f32, b: &f32| (a - b).abs() / largest;
            let worst = expected.iter().zip(&found).map(|(a, b)| apart(a, b)).fold(0., f32::max);
            assert!(worst < tolerance, "{} {precision:?} {size:?}: {worst}", backbone.name);
            let means = expected_logits.iter().zip(&logits);
            assert!(means.map(|(a, b)| apart(a, b)).all(|apart| apart < tolerance), "{size:?}");
        }
    }
}

#[test]
fn other_networks_get_no_canvas() {
    let dir = tempfile::tempdir().unwrap();
    let path = exported(dir.path(), NetworkKind::Irn, BACKBONES[0], Precision::F32);
    let error = padded(&fs_err::read(&path).unwrap()).unwrap_err();
    assert!(format!("{error:#}").contains("which the CAM network has not"), "{error:#}");
    // All sessions on a GPU are opened with the same options.
    let options = SessionOptions { padded: true, ..SessionOptions::default() };
    let [mut plain, mut same] =
        [SessionOptions::default(), options].map(|o| IrnModel::open_with(&path, &o).unwrap());
    let padding = Padding { crop: 48, compat: false };
    let photo = photo((40, 50), 1);
    let expected = irn_pair(&mut plain, photo.view(), padding).unwrap();
    assert_eq!(expected, irn_pair(&mut same, photo.view(), padding).unwrap());
}

#[test]
fn the_result_does_not_depend_on_the_worker() {
    let dir = tempfile::tempdir().unwrap();
    let path = exported(dir.path(), NetworkKind::Irn, BACKBONES[0], Precision::F32);
    let plain = SessionOptions::default();
    let kinds =
        [plain, SessionOptions { bound: true, ..plain }, SessionOptions { threads: 2, ..plain }];
    let sizes = [(40, 64), (64, 40), (33, 70), (40, 64), (90, 41), (64, 40)];
    let run = |sessions: &[SessionOptions], threads: usize| -> Vec<Relations> {
        let open = |options: &SessionOptions| IrnModel::open_with(&path, options);
        let workers = Workers::open_each(sessions, open).unwrap();
        let padding = Padding { crop: 48, compat: false };
        let one = |seed: usize| {
            let photo = photo(sizes[seed % sizes.len()], seed as u64);
            irn_pair(&mut workers.lend(), photo.view(), padding)
        };
        let mut found = Vec::new();
        overlapped(&pool(threads).unwrap(), 8, 0..12, one, |relations| {
            found.push(relations?);
            Ok(())
        })
        .unwrap();
        found
    };
    let alone = run(&kinds[..1], 1);
    assert_eq!(alone, run(&kinds, 4));
    assert_eq!(alone, run(&kinds[1..2], 2));
}
