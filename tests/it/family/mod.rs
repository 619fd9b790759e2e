//! Files of the IRN family, both ways: weights, CAMs of other methods, folders evaluated, hostile files.

mod command_line;
mod evaluate;
mod hostile;
mod import;
mod python;
mod round_trip;

use std::path::PathBuf;

/// A committed file below `tests/fixtures`.
fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}
