//! The original's command line, presets and foreign folders, as a user gives them.

use irn::data::npy;
use irn::data::photo::read_label;
use ndarray::Array3;

use crate::programs::{INFER, Playground, TRAIN, bytes_below};

/// The original's flags for the drawn data set, at a size that takes seconds.
const FLAGS: &str = "python run_sample.py --voc12_root data --train_list voc12/train.txt \
    --infer_list voc12/train.txt --chainer_eval_set train --cam_batch_size 4 --cam_num_epoches 1 \
    --cam_learning_rate 0.02 --irn_batch_size 4 --irn_num_epoches 1 --exp_times 4";

#[test]
fn the_originals_command_line_runs_unchanged() {
    let here = Playground::new(16);
    here.ok(TRAIN, &["run", "--irn-args", FLAGS]);
    for folder in ["cam", "ir_label", "sem_seg", "ins_seg"] {
        let files = bytes_below(&here.path(&format!("result/{folder}")), "");
        assert!(files.len() >= 8, "{folder}: {} files", files.len());
    }
    assert!(here.path("result/eval/sem-seg.json").is_file());
    let [cam, irn] = ["sess/res50_cam.pth.pth", "sess/res50_irn.pth"].map(|name| here.path(name));
    assert!(cam.is_file() && irn.is_file());

    // Somewhere else, from the weights alone.
    fs_err::rename(here.path("result"), here.path("before")).unwrap();
    let steps = ["train_cam", "eval_cam", "train_irn", "make_ins_seg", "eval_ins_seg"];
    let off: Vec<String> = steps.iter().map(|step| format!("--{step}_pass False")).collect();
    let flags = format!("{FLAGS} --sem_seg_out_dir elsewhere {}", off.join(" "));
    let output = here.ok(TRAIN, &["run", "--irn-args", &flags]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("not trained, taken from sess/res50_cam.pth.pth"), "{said}");
    let [before, now] = ["before/sem_seg", "elsewhere"].map(|folder| {
        let files = bytes_below(&here.path(folder), ".png");
        files.into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>()
    });
    assert!(!now.is_empty() && before == now, "the masks come from the same weights");
}

#[test]
fn flags_that_the_original_does_not_have_are_refused() {
    let here = Playground::new(4);
    let words = ["--cam_num_epochs", "hint: the nearest one is --cam_num_epoches"];
    here.says(TRAIN, &["run", "--irn-args", "--cam_num_epochs 3"], 1, &words);
    here.says(INFER, &["cam", "--method", "advcan"], 2, &["advcan", "advcam"]);
}

#[test]
fn presets_and_folders_of_others() {
    let here = Playground::new(6);
    let masks = bytes_below(&here.path("data/SegmentationClass"), ".png");
    for (path, _) in &masks {
        // A CAM that knows the truth: 1 where the class is.
        let label = read_label(path).unwrap();
        let mut keys: Vec<usize> =
            label.iter().filter(|&&l| l != 0 && l != 255).map(|&l| usize::from(l) - 1).collect();
        keys.sort_unstable();
        keys.dedup();
        let (h, w) = label.dim();
        let map =
            |(k, y, x): (usize, usize, usize)| f32::from(usize::from(label[[y, x]]) == keys[k] + 1);
        let high = Array3::from_shape_fn((keys.len(), h, w), map);
        let quarter = (keys.len(), h.div_ceil(4), w.div_ceil(4));
        let cam = Array3::from_shape_fn(quarter, |(k, y, x)| map((k, 4 * y, 4 * x)));
        let name = path.file_stem().unwrap().to_str().unwrap();
        let out = here.path(&format!("theirs/{name}.npy"));
        npy::write_cam(&out, &keys, cam.view(), high.view()).unwrap();
    }
    let output = here.ok(INFER, &["eval", "cam", "--from", "theirs"]);
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(table.contains("from: theirs") && table.contains("100.0"), "{table}");

    let output = here.ok(INFER, &["import-cam", "theirs", "--method", "advcam"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("6 files of dialect irn"), "{said}");
    let preset = ["--method", "advcam", "ir_label.conf_fg=0.4"];
    here.ok(INFER, &[&["ir-label"][..], &preset[..]].concat());
    let output = here.ok(
        INFER,
        &[&["eval", "ir-label"][..], &preset[..], &["data.eval_list=train.txt"][..]].concat(),
    );
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    let note = "method: advcam, but ir_label.conf_fg=0.4 (preset 0.35)";
    assert!(table.contains(note), "{table}");
    let json = fs_err::read_to_string(here.path("out/eval/ir-label.json")).unwrap();
    assert!(json.contains(&note["method: ".len()..]), "{json}");
    here.ok(INFER, &["export-npy", "--out", "again"]);
    assert_eq!(bytes_below(&here.path("again"), ".npy").len(), 6);
    here.says(INFER, &["cam"], 1, &["cam.onnx"]);
}
