//! Hostile and damaged pickles: refused by name, never a panic, never much memory.

use std::path::PathBuf;

use irn::data::{cam_file, npy};
use irn::error::report;
use irn_models::checkpoint;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::fixture;
use crate::allocation::peak_of;

/// Bytes that reading a damaged file of some kilobytes may take.
const MEMORY: usize = 24 << 20;

fn refused(path: &str) -> String {
    let path = fixture(path);
    let mut message = String::new();
    let read = || {
        message = match path.extension().unwrap().to_str().unwrap() {
            "npy" => report(&npy::read(&path).unwrap_err()),
            _ => report(&checkpoint::load(&path).unwrap_err()),
        };
    };
    assert!(peak_of(read) < MEMORY);
    assert!(message.contains(path.file_name().unwrap().to_str().unwrap()), "{message}");
    message
}

#[test]
fn hostile_files_are_refused_by_name() {
    let cases = [
        ("npy/hostile.npy", "posix.system"),
        ("npy/cycle.npy", "nested"),
        ("npy/deep.npy", "nested"),
        ("npy/bomb.npy", "repeated"),
        ("pth/hostile.pth", "posix.system"),
        ("pth/hostile_legacy.pth", "posix.system"),
        ("pth/huge.pth", "more than the file can hold"),
        ("pth/huge_legacy.pth", "more than the file can hold"),
    ];
    for (file, why) in cases {
        let message = refused(file);
        assert!(message.contains(why), "{file}: {message}");
    }
}

/// Pickles made by hand: what a machine must not believe.
#[test]
fn instructions_that_lie_are_refused() {
    let mut deep = b"\x80\x02".to_vec();
    deep.extend(vec![b'('; 1 << 20]);
    let mut marks = b"\x80\x02".to_vec();
    marks.extend(b"]".repeat(1 << 20));
    let lies: Vec<(&str, Vec<u8>)> = vec![
        ("a text of 4 GB", b"\x80\x02X\xff\xff\xff\xffabc.".to_vec()),
        ("bytes of 16 EB", b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xffabc.".to_vec()),
        ("a call of a number", b"\x80\x02K\x01)R.".to_vec()),
        ("eval", b"\x80\x02cbuiltins\neval\nX\x03\x00\x00\x001+1\x85R.".to_vec()),
        ("an instance", b"\x80\x02(i__main__\nEvil\n.".to_vec()),
        ("marks without end", deep),
        ("lists without end", marks),
        ("nothing", b"\x80\x02.".to_vec()),
        ("a loop", b"\x80\x02]q\x00h\x00a.".to_vec()),
        ("a protocol of tomorrow", b"\x80\x09N.".to_vec()),
    ];
    for (what, pickle) in lies {
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        let header = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }\n";
        file.extend((header.len() as u16).to_le_bytes());
        file.extend(header);
        file.extend(&pickle);
        let limit = MEMORY + 96 * pickle.len();
        let peak = peak_of(|| assert!(npy::parse(&file).is_err(), "{what}"));
        assert!(peak < limit, "{what}: {peak} bytes");
    }
}

fn files(folder: &str, suffix: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs_err::read_dir(fixture(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        entries.filter(|path| path.to_string_lossy().ends_with(suffix)).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs_err::read(path).unwrap())).collect()
}

/// `count` variants of the files, some bytes changed, some cut, some with a piece of another file.
fn mutated(originals: &[(PathBuf, Vec<u8>)], count: usize, mut check: impl FnMut(&[u8])) {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for i in 0..count {
        let (path, whole) = &originals[i % originals.len()];
        let mut bytes = whole.clone();
        for _ in 0..rng.random_range(1..6) {
            // The pickle stands at the beginning: that is where changes tell.
            let end = if rng.random_range(0..2) == 0 { bytes.len() } else { bytes.len().min(2048) };
            let at = rng.random_range(0..end);
            let opcodes = *b"(}]N)JKMXqhRtbu.c\x85\x86\x87\x93\x94\x8e\xff\x00\x7f";
            bytes[at] = match rng.random_range(0..3) {
                0 => opcodes[rng.random_range(0..opcodes.len())],
                1 => bytes[at] ^ (1 << rng.random_range(0..8)),
                _ => rng.random(),
            };
        }
        match rng.random_range(0..6) {
            0 => bytes.truncate(rng.random_range(0..bytes.len())),
            1 => {
                let other = &originals[rng.random_range(0..originals.len())].1;
                let length = other.len().min(bytes.len()).min(256);
                let at = rng.random_range(0..=bytes.len() - length);
                bytes[at..at + length].copy_from_slice(&other[..length]);
            }
            _ => {}
        }
        let peak = peak_of(|| check(&bytes));
        assert!(peak < MEMORY, "variant {i} of {}: {peak} bytes", path.display());
    }
}

#[test]
fn a_thousand_damaged_npy_files() {
    let originals = [files("cams", ".npy"), files("npy", ".npy")].concat();
    mutated(&originals, 1000, |bytes| drop(npy::parse(bytes)));
    let originals = files("cams", ".npy");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    mutated(&originals, 1000, |bytes| {
        fs_err::write(&path, bytes).unwrap();
        let read = cam_file::read(&path, Some(&[2, 6]), 20);
        drop(read.and_then(|file| file.complete((10, 14))));
    });
}

#[test]
fn a_thousand_damaged_checkpoints_of_each_form() {
    let of_form = |zip: bool| {
        let mut files = files("pth", ".pth");
        files.retain(|(_, bytes)| bytes.starts_with(b"PK") == zip);
        files
    };
    for originals in [of_form(true), of_form(false)] {
        assert!(originals.len() >= 5);
        mutated(&originals, 1000, |bytes| drop(checkpoint::parse(bytes)));
    }
}
