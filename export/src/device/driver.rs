//! NVIDIA's driver, asked without linking it: `libcuda.so.1` is opened while the program runs, so one program
//! starts on every machine. `CUDA_VISIBLE_DEVICES` is honoured by the driver itself.

use std::path::Path;

use anyhow::{Result, anyhow};
use irn_models::error::Hint;
use serde::Serialize;

use super::calls::{Calls, no_device};

/// Names of the driver's library: as the linker finds it, then WSL's place for it.
const NAMES: [&str; 3] = ["libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1", "nvcuda.dll"];
/// More devices than any machine has.
const MOST: i32 = 1024;

/// One device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gpu {
    /// As NVIDIA calls it.
    pub name: String,
    /// Its memory, bytes.
    pub memory: usize,
    /// Compute capability, such as 9.0.
    pub capability: [i32; 2],
}

/// The driver and its devices, in the order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Driver {
    /// The newest version of CUDA that it runs.
    pub cuda: [i32; 2],
    /// Its own version, such as 580.65.06, where the system says it.
    pub release: Option<String>,
    /// Never empty.
    pub gpus: Vec<Gpu>,
}

/// Whether there is a driver's library at all; no device is touched.
pub fn is_installed() -> bool {
    library().is_ok()
}

impl Driver {
    /// What the driver says.
    ///
    /// # Errors
    /// No driver, one that fails, one without a device.
    pub fn ask() -> Result<Self> {
        let advice =
            "install NVIDIA's driver; in a container, start it with the devices (--gpus all)";
        Self::of(&library().hint(advice)?)
    }

    /// The same of the library at `path`.
    ///
    /// # Errors
    /// See [`Self::ask`].
    pub fn ask_library(path: &Path) -> Result<Self> {
        Self::of(&Calls::open(path).map_err(|why| anyhow!(why))?)
    }

    fn of(calls: &Calls) -> Result<Self> {
        calls.init()?;
        let version = calls.version()?;
        let gpu = |number| -> Result<Gpu> {
            let device = calls.device(number)?;
            let (name, memory) = (calls.name(device)?, calls.memory(device)?);
            Ok(Gpu { name, memory, capability: calls.capability(device)? })
        };
        match (0..calls.count()?.min(MOST)).map(gpu).collect::<Result<Vec<Gpu>>>()? {
            none if none.is_empty() => no_device(),
            gpus => {
                let cuda = [version / 1000, version % 1000 / 10];
                Ok(Self { cuda, release: release(), gpus })
            }
        }
    }

    /// Its version for a person: its own where the system says it, otherwise CUDA's.
    pub fn version(&self) -> String {
        let [major, minor] = self.cuda;
        match &self.release {
            Some(release) => format!("driver {release}, CUDA {major}.{minor}"),
            None => format!("driver of CUDA {major}.{minor}"),
        }
    }
}

fn library() -> Result<Calls> {
    let mut found = None;
    for name in NAMES {
        match Calls::open(Path::new(name)) {
            Ok(calls) => return Ok(calls),
            Err(why) if why.contains("No such file") => {}
            Err(why) => drop(found.get_or_insert(why)),
        }
    }
    match found.filter(|_| cfg!(target_os = "linux")) {
        Some(why) => Err(anyhow!("the NVIDIA driver can't be opened: {why}")),
        None => Err(anyhow!("no NVIDIA driver: {} not found", NAMES[0])),
    }
}

/// The driver's own version, which CUDA does not tell but Linux does.
fn release() -> Option<String> {
    released(&fs_err::read_to_string("/proc/driver/nvidia/version").ok()?)
}

/// The first word that is a version: `NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun ...`.
fn released(text: &str) -> Option<String> {
    let line = text.lines().next()?;
    let is_version =
        |word: &&str| word.contains('.') && word.chars().all(|c| c.is_ascii_digit() || c == '.');
    line.split_whitespace().find(is_version).map(String::from)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::process::Command;

    use super::super::calls::NO_DEVICE;
    use super::*;

    /// A driver's library with this many devices, or one that answers with `error`; none without a C compiler.
    fn fake(folder: &Path, devices: i32, error: i32) -> Option<PathBuf> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/fake_libcuda.c");
        let library = folder.join("libcuda.so.1");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source);
        cc.args([format!("-DDEVICES={devices}"), format!("-DERROR={error}")]);
        match cc.status() {
            Ok(status) => assert!(status.success()),
            Err(_) => {
                eprintln!("skipped: there is no C compiler to make a driver with");
                return None;
            }
        }
        Some(library)
    }

    fn said(devices: i32, error: i32) -> Option<Result<Driver>> {
        let folder = tempfile::tempdir().unwrap();
        Some(Driver::ask_library(&fake(folder.path(), devices, error)?))
    }

    #[test]
    fn two_devices_are_listed() {
        let Some(found) = said(2, 0) else { return };
        let found = found.unwrap();
        let names: Vec<&str> = found.gpus.iter().map(|gpu| &*gpu.name).collect();
        assert_eq!((found.cuda, &names[..]), ([13, 0], &["Imaginary 0", "Imaginary 1"][..]));
        assert_eq!((found.gpus[1].memory, found.gpus[1].capability), (8 << 30, [9, 0]));
    }

    #[test]
    fn drivers_that_are_of_no_use_say_why() {
        let report = |found: Option<Result<Driver>>| {
            found.map(|found| irn_models::error::report(&found.unwrap_err()))
        };
        // A driver may say that there is no device in two ways.
        for none in [report(said(0, 0)), report(said(0, NO_DEVICE))].into_iter().flatten() {
            assert!(
                none.contains("sees no device") && none.contains("CUDA_VISIBLE_DEVICES"),
                "{none}"
            );
        }
        if let Some(broken) = report(said(1, 999)) {
            assert!(broken.contains("cuInit: error 999, imaginary trouble"), "{broken}");
            assert!(broken.contains("nvidia-smi"), "{broken}");
        }
    }

    #[test]
    fn a_library_that_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libcuda.so.1");
        assert!(Driver::ask_library(&path).is_err());
        fs_err::write(&path, "no library").unwrap();
        assert!(Driver::ask_library(&path).is_err());
    }

    #[test]
    fn the_release_is_found_in_what_linux_says() {
        let open = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\nGCC";
        assert_eq!(released(open).as_deref(), Some("580.65.06"));
        assert_eq!(released("NVRM version: unknown"), None);
    }
}
