//! Where ONNX Runtime's shared library lies on this machine.
//!
//! The order: `IRN_ONNXRUNTIME` (a file or a folder), the folder of the program, `.deps/onnxruntime`
//! in that folder or above it, the same from the working directory, `ORT_DYLIB_PATH`. Where NVIDIA's driver is
//! installed, `.deps/onnxruntime-gpu` goes before `.deps/onnxruntime`, else after it: on the processor the two
//! builds compute the same.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use irn_models::error::Hint;

use crate::device::driver;

/// Names the library, or a folder somewhere above it.
pub const VARIABLE: &str = "IRN_ONNXRUNTIME";
/// The two builds' folders below `.deps`.
const BUILDS: [&str; 2] = ["onnxruntime", "onnxruntime-gpu"];
/// How deep a wheel unpacked below `.deps/onnxruntime` is searched.
const DEPTH: usize = 4;

/// The shared library to load.
///
/// # Errors
/// None found, or `IRN_ONNXRUNTIME` names something else; the message lists where it looked.
pub fn library() -> Result<PathBuf> {
    let [program, directory] = starts();
    let chosen = std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
    if let Some(chosen) = chosen {
        return named(Path::new(&chosen))
            .with_context(|| format!("{VARIABLE} is {}: no library there", chosen.display()))
            .hint("it names libonnxruntime.so or a folder above it; unset it to search again");
    }
    let other = std::env::var_os("ORT_DYLIB_PATH").filter(|value| !value.is_empty());
    let mut builds = BUILDS;
    if driver::is_installed() {
        builds.reverse();
    }
    search(program.as_deref(), directory.as_deref(), other.as_deref().map(Path::new), builds)
}

/// The folders called `name` in `.deps` in or above the program's folder and the working directory.
pub(crate) fn above(name: &str) -> Vec<PathBuf> {
    starts().iter().flatten().flat_map(|start| below_ancestors(start, name)).collect()
}

fn below_ancestors(start: &Path, name: &str) -> impl Iterator<Item = PathBuf> {
    start.ancestors().map(move |folder| folder.join(".deps").join(name))
}

/// The program's folder and the working directory.
fn starts() -> [Option<PathBuf>; 2] {
    let program = std::env::current_exe().ok();
    let program = program.and_then(|path| path.parent().map(Path::to_path_buf));
    [program, std::env::current_dir().ok()]
}

fn search(
    program: Option<&Path>,
    directory: Option<&Path>,
    other: Option<&Path>,
    builds: [&str; 2],
) -> Result<PathBuf> {
    let above = |start: Option<&Path>| {
        let of = |build| start.into_iter().flat_map(move |start| below_ancestors(start, build));
        builds.into_iter().flat_map(of).map(|folder| (folder, DEPTH)).collect::<Vec<_>>()
    };
    let beside = program.map(|folder| (folder.to_path_buf(), 0));
    let places: Vec<_> = beside.into_iter().chain(above(program)).chain(above(directory)).collect();
    let found = places.iter().find_map(|(folder, depth)| newest_below(folder, *depth));
    if let Some(found) = found.or_else(|| other.and_then(named)) {
        return Ok(found);
    }
    let places = places.iter().map(|(folder, _)| format!("\n    {}", folder.display()));
    let other = other.map(|path| format!("\n    {} (ORT_DYLIB_PATH)", path.display()));
    let places: String = places.chain(other).collect();
    Err(anyhow!("ONNX Runtime's shared library was not found; looked in{places}")).hint(format!(
        "run `make deps` in the project's folder, or `pip install onnxruntime` and set {VARIABLE} \
         to the libonnxruntime.so of that package"
    ))
}

/// A file as it is, whatever its name; the newest library below a folder.
fn named(path: &Path) -> Option<PathBuf> {
    if path.is_file() { Some(path.to_path_buf()) } else { newest_below(path, DEPTH) }
}

/// The library of the highest version in `folder` or up to `depth` folders below it.
fn newest_below(folder: &Path, depth: usize) -> Option<PathBuf> {
    let mut best: Option<(Vec<u32>, PathBuf)> = None;
    let mut consider = |path: PathBuf| {
        let candidate = (version(path.file_name().unwrap_or_default()), path);
        if best.as_ref().is_none_or(|best| *best < candidate) {
            best = Some(candidate);
        }
    };
    for entry in fs_err::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            let below = if depth > 0 { newest_below(&path, depth - 1) } else { None };
            below.into_iter().for_each(&mut consider);
        } else if is_library(&entry.file_name()) {
            consider(path);
        }
    }
    best.map(|(_, path)| path)
}

/// `libonnxruntime.so.1.31.1` and its like, not `libonnxruntime_providers_shared.so`.
fn is_library(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let unix = name
        .strip_prefix("libonnxruntime.")
        .is_some_and(|rest| rest == "so" || rest.starts_with("so.") || rest.ends_with("dylib"));
    unix || name == "onnxruntime.dll"
}

/// The numbers in a file name.
fn version(name: &OsStr) -> Vec<u32> {
    let name = name.to_string_lossy();
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_library_of_the_nearest_folder_wins() {
        let root = tempfile::tempdir().unwrap();
        let wheel = root.path().join("project/.deps/onnxruntime/onnxruntime/capi");
        fs_err::create_dir_all(&wheel).unwrap();
        let library = |name: &str| {
            let path = wheel.join(name);
            fs_err::write(&path, "").unwrap();
            path
        };
        library("libonnxruntime_providers_shared.so");
        library("libonnxruntime.so.1.9.0");
        let newest = library("libonnxruntime.so.1.31.1");
        let program = root.path().join("project/target/release/deps");
        fs_err::create_dir_all(&program).unwrap();
        assert_eq!(search(Some(&program), None, None, BUILDS).unwrap(), newest);
        assert_eq!(search(None, Some(&program), None, BUILDS).unwrap(), newest);
        assert_eq!(search(None, None, Some(&newest), BUILDS).unwrap(), newest);
        let beside = program.join("libonnxruntime.so");
        fs_err::write(&beside, "").unwrap();
        assert_eq!(search(Some(&program), None, None, BUILDS).unwrap(), beside);
    }

    #[test]
    fn the_error_says_where_it_looked() {
        let nowhere = Path::new("nowhere/libonnxruntime.so");
        let error = search(None, None, Some(nowhere), BUILDS).unwrap_err();
        let report = irn_models::error::report(&error);
        assert!(report.contains("nowhere/libonnxruntime.so (ORT_DYLIB_PATH)"), "{report}");
        assert!(report.contains("make deps"), "{report}");
    }
}
