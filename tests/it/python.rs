//! What Python's tools say of our files; every check is skipped where Python lacks the tool (`IRN_PYTHON`, or
//! `python3`).

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::programs::Playground;

fn python(modules: &str) -> Option<Command> {
    let python = std::env::var("IRN_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let importable = Command::new(&python).args(["-c", &format!("import {modules}")]).output();
    if importable.is_ok_and(|output| output.status.success()) {
        return Some(Command::new(python));
    }
    println!("skipped: {python} has no {modules} (set IRN_PYTHON)");
    None
}

fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

fn said(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Makes a case of the evaluation with pycocotools; whether that can be done.
pub fn coco_case(folder: &Path, seed: &str) -> bool {
    let Some(mut command) = python("pycocotools, numpy") else { return false };
    command.arg(script("fixtures/coco/make.py")).arg(folder).args([seed, "20"]);
    said(command);
    true
}

/// Our figures of two files are pycocotools'.
pub fn coco_figures_agree(here: &Playground, gt: &str, dt: &str, ours: &Value) {
    let Some(mut command) = python("pycocotools, numpy") else { return };
    // A list with boxes would be measured by their areas.
    let file: Value = serde_json::from_str(&fs_err::read_to_string(dt).unwrap()).unwrap();
    let mut list = file["annotations"].clone();
    for entry in list.as_array_mut().unwrap() {
        entry.as_object_mut().unwrap().remove("bbox");
    }
    let results = here.path("results.json");
    fs_err::write(&results, list.to_string()).unwrap();
    command.arg(script("python/coco_eval.py")).arg(gt).arg(results);
    let theirs: Value = serde_json::from_str(&said(command)).unwrap();
    let figures = [&ours["ap"], &ours["ap50"], &ours["ap75"]];
    let by_area = ours["ap_by_area"].as_array().unwrap().iter();
    let figures = figures.into_iter().chain(by_area);
    for (ours, theirs) in figures.zip(theirs["stats"].as_array().unwrap()) {
        let (ours, theirs) = (ours.as_f64().unwrap_or(-1.0), theirs.as_f64().unwrap());
        assert!((ours - theirs).abs() < 1e-9, "{ours}, not {theirs}");
    }
}

/// torchvision's `CocoDetection` opens every photo of the file, and every mask fits its photo.
pub fn torchvision_loads(photos: &Path, file: &str) {
    let Some(mut command) = python("torchvision, pycocotools") else { return };
    command.arg(script("python/load_coco.py")).arg(photos).arg(file);
    // pycocotools has its say first.
    let text = said(command);
    assert!(text.contains("loaded ") && text.contains(" images"), "{text}");
}

/// numpy reads the arrays of a score file.
pub fn numpy_reads_scores(path: &Path, (height, width): (usize, usize)) {
    let Some(mut command) = python("numpy") else { return };
    let code = "import sys, numpy as np; f = np.load(sys.argv[1]); s = f['scores'];\
                assert s.shape[0] == len(f['keys']) and 0 <= s.min() and s.max() <= 1;\
                print(s.shape[1:], s.dtype, f['keys'].dtype, float(f['background']))";
    command.arg("-c").arg(code).arg(path);
    assert_eq!(said(command).trim(), format!("({height}, {width}) float32 int64 0.25"));
}
