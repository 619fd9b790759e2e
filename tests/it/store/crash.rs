//! Processes that are killed, that write at the same time, and that meet a full disk. The child is
//! this test binary itself, told by environment variables what to do.

#![cfg(unix)]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use irn::store::{Limits, Record, Stage, Store};
use ndarray::Array1;

use super::{identity, record, settings};

const DIR: &str = "IRN_TEST_STORE";
const TASK: &str = "IRN_TEST_TASK";
const ITEMS: usize = 300;

fn name(item: usize) -> String {
    format!("img/{item:04}")
}

/// Not a test of its own: what the child processes run.
#[test]
fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let store = Store::create_or_open(Path::new(&dir), &identity()).unwrap();
    match std::env::var(TASK).as_deref() {
        Ok("missing") => write_missing(&store),
        Ok("noise") => write_noise(&store),
        other => panic!("task {other:?}"),
    }
}

fn write_missing(store: &Store) {
    let limits = Limits { items: 5, ..Limits::default() };
    let done = store.names(Stage::Cam).unwrap();
    let writer = store.writer_with(Stage::Cam, settings("0.3"), limits).unwrap();
    for name in (0..ITEMS).map(name).filter(|name| !done.contains(name)) {
        writer.put(&name, &record(&name)).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    writer.finish().unwrap();
}

/// Writes until the disk is full, and says what happened.
fn write_noise(store: &Store) {
    let limits = Limits { items: 3, ..Limits::default() };
    let writer = store.writer_with(Stage::Cam, settings("0.3"), limits).unwrap();
    for item in 0..50 {
        let noise = Array1::from_shape_simple_fn(40_000, rand::random::<u8>);
        if let Err(error) = writer.put(&name(item), &Record::new().with("noise", noise)) {
            println!("{}", irn::error::report(&error));
            assert!(writer.finish().is_err());
            return;
        }
    }
    panic!("the disk was never full");
}

fn command(dir: &Path, task: &str, before: &str) -> Command {
    let mut command = Command::new("sh");
    let script = format!("{before} exec \"$0\" --exact store::crash::child --nocapture");
    command.arg("-c").arg(script).arg(std::env::current_exe().unwrap());
    command.env(DIR, dir).env(TASK, task).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn succeed(output: &Output) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(!text.contains("HDF5-DIAG"), "{text}");
}

fn segments(dir: &Path) -> usize {
    let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().starts_with("cam-")).count()
}

fn check_items(store: &Store) -> usize {
    assert_eq!(store.problems().unwrap(), []);
    let names = store.names(Stage::Cam).unwrap();
    for name in &names {
        assert_eq!(store.read(Stage::Cam, name).unwrap(), record(name));
    }
    names.len()
}

#[test]
fn kills_at_any_moment_lose_nothing_that_was_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let mut complete = Vec::new();
    for round in 0..10 {
        let before = segments(dir.path());
        let mut child = command(dir.path(), "missing", "").spawn().unwrap();
        while segments(dir.path()) == before && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros((round * 2_713) % 12_000));
        child.kill().unwrap();
        child.wait().unwrap();
        complete.push(check_items(&Store::open(dir.path()).unwrap()));
    }
    println!("complete after each kill: {complete:?}");
    assert!(complete.is_sorted() && (1..ITEMS).contains(&complete[0]), "{complete:?}");
    succeed(&command(dir.path(), "missing", "").output().unwrap());
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(check_items(&store), ITEMS);
}

#[test]
fn two_processes_fill_one_stage() {
    let dir = tempfile::tempdir().unwrap();
    let start = || command(dir.path(), "missing", "").spawn().unwrap();
    let children = [start(), start(), start()];
    for child in children {
        succeed(&child.wait_with_output().unwrap());
    }
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(check_items(&store), ITEMS);
}

#[test]
fn a_full_disk_is_an_error_and_keeps_what_is_complete() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create_or_open(dir.path(), &identity()).unwrap();
    let writer = store.writer(Stage::Cam, settings("0.3")).unwrap();
    writer.put("kept", &record("kept")).unwrap();
    writer.finish().unwrap();
    // No file may grow beyond 100 blocks; writing more fails instead of killing the process.
    let limit = "trap '' XFSZ; ulimit -f 100;";
    let output = command(dir.path(), "noise", limit).output().unwrap();
    succeed(&output);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("failed to write stage cam"), "{text}");
    assert!(text.contains("File too large") && text.contains("hint: check the free"), "{text}");
    assert_eq!(check_items(&store), 1);
    let left = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().ends_with(".tmp")));
}
