//! Running the programs as a user does, on a tiny drawn data set.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

pub const TRAIN: &str = env!("CARGO_BIN_EXE_irn-train");
pub const INFER: &str = env!("CARGO_BIN_EXE_irn-infer");

/// Settings of a pipeline that takes seconds.
const TINY: &str = "
network: { backbone: resnet18, width: 0.125, freeze_at: 0, irn_from_cam: true, calibration_images: 4 }
cam:
  train: { batch: 4, epochs: 2, rate: 0.02, momentum: 0.9, crop: 64 }
  long_side: [48, 72]
  scales: [1.0, 0.5]
  write_npy: true
irn:
  train: { batch: 4, epochs: 1, rate: 0.02, crop: 64 }
  radius: 4
  pad: 64
";

/// A data set of `images` drawn scenes and a settings file for it, in a directory that goes away.
pub struct Playground {
    pub dir: TempDir,
}

impl Playground {
    pub fn new(images: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let here = Self { dir };
        let out = here.path("data");
        let images = images.to_string();
        here.ok(TRAIN, &["demo-data", "--out", out.to_str().unwrap(), "--images", &images]);
        here.write_settings(TINY);
        here
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write_settings(&self, network: &str) {
        let classes = irn::data::demo::DEMO_CLASSES.join(", ");
        let data = self.path("data");
        let text = format!(
            "data:\n  root: {}\n  classes: [{classes}]\n  train_list: train.txt\n  \
             infer_list: trainval.txt\n  eval_list: val.txt\nrun: {{ out: {}, threads: 2 }}\n{network}",
            data.display(),
            self.path("out").display(),
        );
        fs_err::write(self.path("tiny.yaml"), text).unwrap();
    }

    /// Runs `program` with the settings file appended; whatever comes out.
    pub fn run(&self, program: &str, args: &[&str]) -> Output {
        self.command(program, args).output().unwrap()
    }

    pub fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.dir.path()).args(args);
        if !args.contains(&"demo-data") {
            command.arg("--config").arg(self.path("tiny.yaml"));
        }
        command
    }

    /// Runs `program`, which must succeed.
    pub fn ok(&self, program: &str, args: &[&str]) -> Output {
        let output = self.run(program, args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?} failed ({}):\n{said}", output.status);
        output
    }

    /// Runs `program`, which must end with `code` and say all of `words` on standard error.
    pub fn says(&self, program: &str, args: &[&str], code: i32, words: &[&str]) {
        let output = self.run(program, args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}:\n{said}");
        assert!(!said.contains("panicked"), "{said}");
        for word in words {
            assert!(said.contains(word), "{args:?} does not say '{word}':\n{said}");
        }
    }
}

/// Bytes of every file below `dir` whose name ends with `ending`, by path.
pub fn bytes_below(dir: &Path, ending: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut todo = vec![dir.to_path_buf()];
    while let Some(dir) = todo.pop() {
        for entry in fs_err::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push((path.clone(), fs_err::read(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}
