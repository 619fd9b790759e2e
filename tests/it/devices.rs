//! Devices that are there, that are not, and that are of no use: what the programs say, and that the processor's
//! results are the same whichever way they came about. Drivers are imaginary, made by the C compiler.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use irn_export::locate;

use crate::programs::{INFER, Playground, TRAIN, bytes_below};

/// A folder with a driver's library of `devices` devices; none without a C compiler.
fn driver(here: &Playground, devices: usize) -> Option<PathBuf> {
    let folder = here.path(&format!("driver{devices}"));
    fs_err::create_dir_all(&folder).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fake_libcuda.c");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-DERROR=0", "-o"]);
    cc.arg(folder.join("libcuda.so.1")).arg(source).arg(format!("-DDEVICES={devices}"));
    match cc.status() {
        Ok(status) => assert!(status.success()),
        Err(_) => {
            eprintln!("skipped: there is no C compiler to make a driver with");
            return None;
        }
    }
    Some(folder)
}

/// ONNX Runtime's build for the processor, and that with CUDA, as `scripts/deps.sh cuda` fetches it.
fn builds() -> [Option<PathBuf>; 2] {
    let deps = Path::new(env!("CARGO_MANIFEST_DIR")).join(".deps");
    let chosen = locate::library().ok().filter(|path| !path.to_string_lossy().contains("gpu"));
    let gpu = Some(deps.join("onnxruntime-gpu")).filter(|path| path.is_dir());
    [Some(deps.join("onnxruntime")).filter(|path| path.is_dir()).or(chosen), gpu]
}

struct Case<'a> {
    here: &'a Playground,
    driver: &'a Path,
    build: &'a Path,
}

impl Case<'_> {
    fn run(&self, args: &[&str]) -> (Output, String) {
        let mut command = match args[0] {
            "devices" => Command::new(INFER),
            _ => self.here.command(INFER, args),
        };
        if args[0] == "devices" {
            command.args(args);
        }
        command.env("LD_LIBRARY_PATH", self.driver).env("IRN_ONNXRUNTIME", self.build);
        let output = command.output().unwrap();
        let said = [&output.stdout[..], &output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(!said.contains("panicked"), "{said}");
        (output, said)
    }

    /// Runs, must end with `code` and say all of `words`.
    fn says(&self, args: &[&str], code: i32, words: &[&str]) {
        let (output, said) = self.run(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}:\n{said}");
        for word in words {
            assert!(said.contains(word), "{args:?} does not say '{word}':\n{said}");
        }
    }

    /// Makes CAMs into `out`; the bytes of their files.
    fn cams(&self, out: &str, device: &str, words: &[&str]) -> Vec<Vec<u8>> {
        let folder = format!("run.out={out}");
        let model = format!("run.cam_model={}", self.here.path("out/cam.onnx").display());
        self.says(&["cam", "--device", device, &folder, &model], 0, words);
        let files = bytes_below(&self.here.path(out).join("cam"), ".npy");
        assert!(!files.is_empty());
        files.into_iter().map(|(_, bytes)| bytes).collect()
    }
}

#[test]
fn what_there_is_not_is_said_and_what_there_is_computes_the_same() {
    let here = Playground::new(12);
    let [Some(none), Some(two)] = [driver(&here, 0), driver(&here, 2)] else { return };
    let [Some(cpu), gpu] = builds() else { return };
    here.ok(TRAIN, &["cam", "cam.train.epochs=1", "run.device=cpu"]);

    let without = Case { here: &here, driver: &none, build: &cpu };
    let plain = without.cams("plain", "cpu", &["cam: device: CPU (2 threads, ONNX Runtime 1."]);
    let words = ["device: CPU", "not CUDA: the NVIDIA driver sees no device"];
    assert!(plain == without.cams("auto", "auto", &words));
    let log = fs_err::read_to_string(here.path("auto/log/timings.jsonl")).unwrap();
    assert!(log.contains("sees no device"), "{log}");
    let refused = ["cam", "run.device=cuda", "run.out=refused"];
    without.says(
        &refused,
        1,
        &["run.device is cuda", "sees no device", "hint:", "CUDA_VISIBLE_DEVICES"],
    );
    without.says(&["devices"], 0, &["sees no device", "for the CPU only", "auto is", "CPU ("]);
    without.says(&["devices", "--device", "gpu"], 2, &["cuda:0,2"]);

    let wrong_build = Case { here: &here, driver: &two, build: &cpu };
    assert!(plain == wrong_build.cams("build", "auto", &["is ONNX Runtime's CPU build"]));
    wrong_build.says(
        &refused,
        1,
        &["is ONNX Runtime's CPU build", "hint:", "scripts/deps.sh cuda"],
    );
    wrong_build.says(&["devices"], 0, &["CUDA 1", "Imaginary 1, 8.0 GiB, compute capability 9.0"]);
    wrong_build.says(
        &["cam", "--device", "cuda:5", "run.out=refused"],
        1,
        &["no CUDA device 5", "0 Imaginary 0, 1 Imaginary 1"],
    );

    let Some(gpu) = gpu else {
        eprintln!("skipped: ONNX Runtime's CUDA build is not there (scripts/deps.sh cuda)");
        return;
    };
    let broken = Case { here: &here, driver: &two, build: &gpu };
    let words = ["not CUDA: CUDA 0 does not compute"];
    assert!(plain == broken.cams("broken", "auto", &words));
    broken.says(
        &["devices", "--device", "cuda"],
        1,
        &["with CUDA", "libcublas.so", "CUDA 0 does not"],
    );
    broken.says(&refused, 1, &["CUDA 0 does not compute", "hint:"]);
}

#[test]
fn precisions_that_a_model_has_not() {
    let here = Playground::new(12);
    here.ok(TRAIN, &["cam", "cam.train.epochs=1"]);
    let half = ["cam", "infer.precision=f16"];
    here.says(INFER, &half, 1, &["infer.precision is f16", "hint:", "--half"]);
    here.says(INFER, &["cam", "infer.precision=f64"], 1, &["f64", "tf32"]);
}
