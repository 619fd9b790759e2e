//! Files that are cut, flipped or foreign: reported, never believed, never a panic.

use std::fs;
use std::path::{Path, PathBuf};

use irn::error::report;
use irn::store::{Stage, Store};

use super::{open, put_all, record};

const NAMES: [&str; 3] = ["a", "b", "c"];

fn segment(dir: &Path) -> PathBuf {
    let mut files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    files.find(|path| path.file_name().unwrap().to_string_lossy().starts_with("cam-")).unwrap()
}

#[test]
fn a_truncated_segment_is_reported_and_computed_again() {
    let dir = tempfile::tempdir().unwrap();
    put_all(&open(dir.path()), Stage::Cam, &NAMES);
    let path = segment(dir.path());
    let whole = fs::read(&path).unwrap();
    for length in [0, 7, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        let store = open(dir.path());
        let problems = store.problems().unwrap();
        assert_eq!(problems.len(), 1, "{length} bytes");
        assert_eq!(problems[0].file, path);
        assert!(store.names(Stage::Cam).unwrap().is_empty());
    }
    let store = open(dir.path());
    put_all(&store, Stage::Cam, &NAMES);
    assert_eq!(store.names(Stage::Cam).unwrap().len(), 3);
    assert_eq!(store.read(Stage::Cam, "b").unwrap(), record("b"));
}

#[test]
fn garbage_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let name = "cam-0123456789abcdef-01234567.h5";
    fs::write(dir.path().join(name), vec![0xA5; 5000]).unwrap();
    fs::copy(dir.path().join("store.h5"), dir.path().join(name.replace("cam", "irn"))).unwrap();
    fs::create_dir(dir.path().join(name.replace("cam", "sem_seg"))).unwrap();
    fs::write(dir.path().join("notes.h5"), "mine").unwrap();
    assert_eq!(store.problems().unwrap().len(), 3);

    fs::write(dir.path().join("store.h5"), "not HDF5").unwrap();
    let text = report(&Store::open(dir.path()).err().unwrap());
    assert!(text.contains("store.h5") && text.contains("hint: delete store.h5"), "{text}");
}

/// Whatever bit is wrong: an item is missing, refused, or right.
#[test]
fn flipped_bits_never_change_a_map() {
    let dir = tempfile::tempdir().unwrap();
    put_all(&open(dir.path()), Stage::Cam, &NAMES);
    let path = segment(dir.path());
    let whole = fs::read(&path).unwrap();
    let flips: usize = std::env::var("IRN_TEST_FLIPS").map_or(500, |text| text.parse().unwrap());
    let mut found = 0;
    for flip in 0..flips {
        let bit = whole.len() * 8 / flips * flip + flip % 8;
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, damaged).unwrap();
        let store = open(dir.path());
        let complete = store.names(Stage::Cam).unwrap();
        let right = |name: &&str| match store.read(Stage::Cam, name) {
            Ok(read) => {
                assert_eq!(read, record(name), "bit {bit}");
                true
            }
            Err(_) => false,
        };
        let right = NAMES.iter().filter(|name| right(name)).count();
        assert!(right <= complete.len());
        found += usize::from(right < NAMES.len());
        let reported = store.verify().unwrap().len();
        assert_eq!(reported > 0, right < NAMES.len(), "bit {bit}");
    }
    assert!(found > flips / 10, "only {found} of {flips} flips were found");
}
