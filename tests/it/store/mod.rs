//! The store as its users see it: what goes in comes out, whatever happens to processes and files.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod crash;
mod damage;
mod python;

use std::path::Path;

use half::f16;
use irn::error::report;
use irn::store::{Data, Identity, Record, Stage, StageSettings, Store};
use ndarray::{Array0, Array1, Array2, Array3, array};

fn identity() -> Identity {
    let classes = ["cat", "dog", "Käse"].map(str::to_owned).to_vec();
    Identity { dataset: "animals".to_owned(), fingerprint: "1234".to_owned(), classes }
}

fn settings(threshold: &str) -> StageSettings {
    let settings = format!("{{\"threshold\":{threshold}}}");
    StageSettings { settings, model: "abcd".to_owned() }
}

fn open(dir: &Path) -> Store {
    Store::create_or_open(dir, &identity()).unwrap()
}

/// A record that depends on its name.
fn record(name: &str) -> Record {
    let seed = name.bytes().map(usize::from).sum::<usize>();
    let map = Array3::from_shape_fn((2, 30, 41), |(c, y, x)| ((seed + c + y * x) % 97) as f32);
    let mut record = Record::new().with("cam", map).with("keys", array![seed as i64, -1]);
    record.insert_text("size", format!("{seed}x41"));
    record
}

fn put_all(store: &Store, stage: Stage, names: &[&str]) {
    let writer = store.writer(stage, settings("0.3")).unwrap();
    for name in names {
        writer.put(name, &record(name)).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn every_type_and_shape_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let big = Array3::from_shape_fn((3, 65, 70), |(c, y, x)| (c * y + x) as f32 / 7.0);
    let transposed = Data::F32(big.clone().into_dyn().reversed_axes());
    let mut all = Record::new()
        .with("f32", big.clone())
        .with("transposed", transposed)
        .with("f16", big.mapv(f16::from_f32))
        .with("u8", big.mapv(|value| value as u8))
        .with("bool", big.mapv(|value| value > 9.0))
        .with("i64", big.mapv(|value| value as i64 - 5))
        .with("scalar", Array0::from_elem((), 1.5_f32))
        .with("empty", Array3::<bool>::default((0, 65, 70)))
        .with("none", Array1::<i64>::default(0))
        .with("special", array![f32::NAN, f32::INFINITY, -0.0, f32::MIN_POSITIVE / 2.0]);
    all.insert_text("note", "é\n\"quoted\"");
    all.insert_text("nothing", "");
    all.insert_text("long", "é".repeat(50_000));
    let store = open(dir.path());
    let writer = store.writer(Stage::InsSeg, settings("0.25")).unwrap();
    writer.put("a/b.jpg", &all).unwrap();
    writer.put("empty", &Record::new()).unwrap();
    writer.finish().unwrap();

    let read = Store::open(dir.path()).unwrap().read(Stage::InsSeg, "a/b.jpg").unwrap();
    assert_eq!(read.texts(), all.texts());
    for (key, data) in all.maps().iter().filter(|(key, _)| *key != "special") {
        assert_eq!(read.data(key).unwrap(), data, "{key}");
    }
    let bits = |record: &Record| record.f32::<ndarray::Ix1>("special").unwrap().mapv(f32::to_bits);
    assert_eq!(bits(&read), bits(&all));
    assert_eq!(store.read(Stage::InsSeg, "empty").unwrap(), Record::new());
    assert!(!store.has(Stage::Cam, "empty").unwrap());
}

#[test]
fn a_stage_started_again_sees_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let all = ["a", "b", "c", "d"];
    put_all(&open(dir.path()), Stage::Cam, &all[..2]);
    let store = open(dir.path());
    let done = store.names(Stage::Cam).unwrap();
    let missing: Vec<&str> = all.into_iter().filter(|name| !done.contains(*name)).collect();
    assert_eq!(missing, ["c", "d"]);
    put_all(&store, Stage::Cam, &missing);
    assert_eq!(store.names(Stage::Cam).unwrap().len(), 4);
    assert!(store.has(Stage::Cam, "d").unwrap());
    assert_eq!(store.stage_settings(Stage::Cam).unwrap(), [settings("0.3")]);
    assert_eq!(store.verify().unwrap(), []);

    store.remove_stage(Stage::Cam).unwrap();
    assert!(store.names(Stage::Cam).unwrap().is_empty());
    assert_eq!(store.stage_settings(Stage::Cam).unwrap(), []);
    assert!(report(&store.read(Stage::Cam, "a").unwrap_err()).contains("hint: run the stage cam"));
}

#[test]
fn the_newest_item_wins_and_settings_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let writer = store.writer(Stage::SemSeg, settings("1")).unwrap();
    writer.put("a", &record("old")).unwrap();
    writer.put("a", &record("newer")).unwrap();
    writer.finish().unwrap();
    assert_eq!(store.read(Stage::SemSeg, "a").unwrap(), record("newer"));
    let writer = store.writer(Stage::SemSeg, settings("2")).unwrap();
    writer.put("a", &record("newest")).unwrap();
    writer.finish().unwrap();
    assert_eq!(store.read(Stage::SemSeg, "a").unwrap(), record("newest"));
    let both = [settings("2"), settings("1")];
    assert_eq!(store.stage_settings(Stage::SemSeg).unwrap(), both);
}

#[test]
fn an_unfinished_writer_loses_only_what_is_not_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let limits = irn::store::Limits { items: 2, ..Default::default() };
    let writer = store.writer_with(Stage::Cam, settings("1"), limits).unwrap();
    for name in ["a", "b", "c"] {
        writer.put(name, &record(name)).unwrap();
    }
    drop(writer);
    let names: Vec<String> = store.names(Stage::Cam).unwrap().into_iter().collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn threads_put_and_read_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let limits = irn::store::Limits { items: 7, ..Default::default() };
    let writer = store.writer_with(Stage::Irn, settings("1"), limits).unwrap();
    let name = |thread: usize, item: usize| format!("{thread}_{item}");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (store, writer) = (&store, &writer);
            scope.spawn(move || {
                for item in 0..20 {
                    writer.put(&name(thread, item), &record(&name(thread, item))).unwrap();
                    for sealed in store.names(Stage::Irn).unwrap().iter().take(3) {
                        assert_eq!(store.read(Stage::Irn, sealed).unwrap(), record(sealed));
                    }
                }
            });
        }
    });
    writer.finish().unwrap();
    assert_eq!(store.names(Stage::Irn).unwrap().len(), 80);
}

#[test]
fn another_data_set_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    put_all(&open(dir.path()), Stage::Cam, &["a"]);
    let refuse = |other: Identity, part: &str| {
        let error = Store::create_or_open(dir.path(), &other).err().unwrap();
        let text = report(&error);
        assert!(text.contains(part) && text.contains("hint: "), "{text}");
        assert!(text.contains(&dir.path().display().to_string()), "{text}");
    };
    let classes = vec!["cat".to_owned()];
    refuse(Identity { classes, ..identity() }, "classes are 3 [cat, dog, Käse], not 1 [cat]");
    refuse(Identity { dataset: "voc".to_owned(), ..identity() }, "`animals`, not `voc`");
    refuse(Identity { fingerprint: String::new(), ..identity() }, "fingerprint");

    // The segments know as well as the master whose they are.
    std::fs::remove_file(dir.path().join("store.h5")).unwrap();
    refuse(Identity { dataset: "voc".to_owned(), ..identity() }, "`animals`, not `voc`");
    assert_eq!(open(dir.path()).read(Stage::Cam, "a").unwrap(), record("a"));
    assert!(dir.path().join("store.h5").exists());
}

#[test]
fn impossible_directories_and_names_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    for path in [file.clone(), file.join("store")] {
        let text = report(&Store::create_or_open(&path, &identity()).err().unwrap());
        assert!(text.contains("failed to open the store") && text.contains("hint: "), "{text}");
    }
    let text = report(&Store::open(&dir.path().join("none")).err().unwrap());
    assert!(text.contains("none"), "{text}");
    let store = open(dir.path());
    let writer = store.writer(Stage::Cam, settings("1")).unwrap();
    assert!(writer.put("", &Record::new()).is_err());
    let odd = Record::new().with("a/b", Array2::<u8>::zeros((1, 1)));
    let text = report(&writer.put("x", &odd).unwrap_err());
    assert!(text.contains("item x") && text.contains("a/b"), "{text}");
    writer.put("../../escape", &record("x")).unwrap();
    writer.finish().unwrap();
    assert_eq!(store.read(Stage::Cam, "../../escape").unwrap(), record("x"));
}
