//! CUDA's own libraries, which ONNX Runtime's CUDA provider needs beside the driver: found in `IRN_CUDA`, in
//! `.deps/cuda-runtime` (see `scripts/deps.sh cuda`) or in the Python packages beside ONNX Runtime's, and loaded
//! by their full paths. The provider then finds them loaded, and no `LD_LIBRARY_PATH` is needed.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libloading::Library;

use crate::locate;

/// Names a folder above the libraries.
pub const VARIABLE: &str = "IRN_CUDA";
/// How deep wheels unpacked into one folder are searched.
const DEPTH: usize = 4;
/// Beginnings of the file names, in the order in which they need one another, and as the linker looks for them
/// where no folder holds them.
const NEEDED: [[&str; 2]; 7] = [
    ["libcudart.so.", "libcudart.so.13"],
    ["libcublasLt.so.", "libcublasLt.so.13"],
    ["libcublas.so.", "libcublas.so.13"],
    ["libnvrtc-builtins.so.", "libnvrtc-builtins.so.13.0"],
    ["libnvrtc.so.", "libnvrtc.so.13"],
    ["libcurand.so.", "libcurand.so.10"],
    ["libcudnn.so.", "libcudnn.so.9"],
];

/// One of the libraries, and where it came from.
#[derive(Debug)]
pub struct Needed {
    /// Its name.
    pub name: &'static str,
    /// Its file, or the name by which the linker found it; else why it can't be loaded.
    pub loaded: Result<PathBuf, String>,
}

/// Loads what there is, once a process; what is loaded stays.
pub fn load() -> &'static [Needed] {
    static LOADED: OnceLock<Vec<Needed>> = OnceLock::new();
    LOADED.get_or_init(|| {
        let folders = folders();
        let load = |[beginning, name]: [&'static str; 2]| {
            let found = folders.iter().find_map(|folder| below(folder, beginning, DEPTH));
            let path = found.unwrap_or_else(|| PathBuf::from(name));
            Needed { name, loaded: keep(&path).map(|()| path) }
        };
        NEEDED.map(load).into()
    })
}

/// The libraries that can't be loaded, in words; none where all are there. `libnvrtc` finds its own second half
/// where that is not beside it.
pub fn missing() -> Option<String> {
    let lost = |needed: &&Needed| needed.loaded.is_err() && !needed.name.contains("builtins");
    let names: Vec<&str> = load().iter().filter(lost).map(|needed| needed.name).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// Where to look: the nearest first.
fn folders() -> Vec<PathBuf> {
    if let Some(chosen) = std::env::var_os(VARIABLE).filter(|chosen| !chosen.is_empty()) {
        return vec![PathBuf::from(chosen)];
    }
    let mut folders = locate::above("cuda-runtime");
    // site-packages/onnxruntime/capi/libonnxruntime.so.1 has site-packages/nvidia/cu13/lib beside it.
    let library = locate::library().ok();
    let packages = library.as_deref().and_then(|library| library.ancestors().nth(3));
    folders.extend(packages.map(|packages| packages.join("nvidia")));
    folders
}

/// The first file below `folder` whose name is `beginning` and a version.
fn below(folder: &Path, beginning: &str, depth: usize) -> Option<PathBuf> {
    let entries = fs_err::read_dir(folder).ok()?.flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    let is_it = |path: &&PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        path.is_file() && name.starts_with(beginning)
    };
    let here = paths.iter().find(is_it).cloned();
    let deeper = || paths.iter().filter(|path| path.is_dir());
    here.or_else(|| {
        deeper().filter(|_| depth > 0).find_map(|path| below(path, beginning, depth - 1))
    })
}

/// Why a library can't be opened, in the linker's words.
pub(super) fn why(error: libloading::Error) -> String {
    anyhow::Error::from(error).root_cause().to_string()
}

fn keep(path: &Path) -> Result<(), String> {
    // SAFETY: NVIDIA's libraries are made to be opened by any program at any time. They are never closed: the
    // provider holds on to their functions.
    let library = unsafe { Library::new(path) }.map_err(why)?;
    std::mem::forget(library);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_found_below_a_folder_by_their_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let lib = folder.path().join("nvidia/cu13/lib");
        fs_err::create_dir_all(&lib).unwrap();
        for name in ["libnvrtc.alt.so.13", "libnvrtc.so.13", "libcublasLt.so.13"] {
            fs_err::write(lib.join(name), "").unwrap();
        }
        let found = |beginning| below(folder.path(), beginning, DEPTH);
        assert_eq!(found("libnvrtc.so."), Some(lib.join("libnvrtc.so.13")));
        assert_eq!(found("libcublas.so."), None);
        assert_eq!(below(folder.path(), "libnvrtc.so.", 1), None);
        assert!(keep(&lib.join("libnvrtc.so.13")).is_err(), "an empty file is no library");
    }
}
