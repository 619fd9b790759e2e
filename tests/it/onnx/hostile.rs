//! Files that are no models, or not any more, or not the one expected: an error, never a panic.

use std::path::Path;

use irn::runtime::{CamModel, IrnModel};
use irn_export::{NetworkKind, Session, SessionOptions};
use irn_models::resnet::BACKBONES;
use irn_models::weights::splitmix;

use super::random;

fn cam_bytes() -> anyhow::Result<Vec<u8>> {
    let (network, info) = random(NetworkKind::Cam, BACKBONES[0], 1)?;
    network.export(&info)
}

fn open(bytes: Vec<u8>) -> anyhow::Result<()> {
    let options = SessionOptions::default();
    Session::from_bytes(bytes.into(), NetworkKind::Cam, &options).map(|_| ())
}

#[test]
fn truncated_and_mutated_files_are_errors() {
    let whole = cam_bytes().unwrap();
    open(whole.clone()).unwrap();
    let state = splitmix::state(9, "hostile");
    for i in 0..60 {
        let place = splitmix::bits(state, 2 * i) as usize % whole.len();
        assert!(open(whole[..place].to_vec()).is_err(), "truncated to {place} bytes");
        let mut mutated = whole.clone();
        mutated[place] ^= 1 << (splitmix::bits(state, 2 * i + 1) % 8);
        // A changed producer name is not covered by the seal, and does no harm.
        if place > 40 {
            assert!(open(mutated).is_err(), "byte {place} mutated");
        }
    }
}

#[test]
fn random_bytes_are_errors() {
    for length in [0, 1, 7, 100, 4096] {
        let state = splitmix::state(length, "noise");
        let noise = (0..length).map(|i| splitmix::bits(state, i) as u8).collect();
        assert!(open(noise).is_err(), "{length} random bytes");
    }
}

#[test]
fn the_wrong_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cam.onnx");
    fs_err::write(&path, cam_bytes().unwrap()).unwrap();
    let swapped = format!("{:#}", IrnModel::open(&path, 1).err().unwrap());
    assert!(swapped.contains("cam.onnx") && swapped.contains("not `irn`"), "{swapped}");
    let classes = ["cat", "cow", "ox"].map(String::from);
    let other = format!("{:#}", CamModel::open(&path, 1, Some(&classes)).err().unwrap());
    assert!(other.contains("cat,dog,ox") && other.contains("cat,cow,ox"), "{other}");
    let absent = format!("{:#}", CamModel::open(Path::new("no/such.onnx"), 1, None).err().unwrap());
    assert!(absent.contains("no/such.onnx"), "{absent}");
}

#[test]
fn an_empty_batch_is_an_error() {
    let options = SessionOptions::default();
    let opened = Session::from_bytes(cam_bytes().unwrap().into(), NetworkKind::Cam, &options);
    let mut session = opened.unwrap().0;
    assert!(session.run(ndarray::Array4::<f32>::zeros((0, 3, 8, 8)).view()).is_err());
    assert!(
        session.run(ndarray::Array4::<f32>::zeros((1, 4, 8, 8)).view()).is_err(),
        "four channels"
    );
}
