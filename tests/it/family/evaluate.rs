//! `eval --from` on folders as upstream leaves them, with the images of golden group 11: the same numbers.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use irn::config::{self, Config};
use irn::data::npy::{self, Array as NpyArray};
use irn::data::photo::{voc_palette, write_palette_png, write_rgb_png};
use irn::eval::instance::{InstanceEvaluator, Masks};
use irn::eval::precision::Metric;
use irn::eval::truth::voc_instances;
use irn::stage::Context;
use irn::stage::eval::{self, Source, Summary, What};
use ndarray::{Array1, Array2, Array3, Axis};
use serde_json::Value;
use tempfile::TempDir;

use crate::golden::case::{Case, Index, shaped};

/// A data set in VOC's layout with results beside it.
struct Folder {
    dir: TempDir,
    names: Vec<String>,
}

impl Folder {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), names: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Adds a photo; evaluation looks at its name only.
    fn image(&mut self) -> String {
        let name = format!("2007_{:06}", self.names.len() + 1);
        let photo = self.path(&format!("JPEGImages/{name}.png"));
        write_rgb_png(&photo, Array3::zeros((1, 1, 3)).view()).unwrap();
        self.names.push(name.clone());
        name
    }

    fn label(&self, path: &str, label: &Array2<u8>) {
        write_palette_png(&self.path(path), label.view(), &voc_palette()).unwrap();
    }

    fn evaluate(&self, what: What, dir: &str, more: &[String]) -> Result<Summary> {
        let list = self.path("list.txt");
        fs_err::write(&list, self.names.join("\n"))?;
        let quoted = |key: &str, path: &Path| format!("{key}=\"{}\"", path.display());
        let mut overrides = vec![
            quoted("data.root", self.dir.path()),
            quoted("data.eval_list", &list),
            quoted("run.out", &self.path("out")),
            "run.compat=true".to_string(),
            "run.threads=2".to_string(),
        ];
        overrides.extend_from_slice(more);
        let config: Config = config::load(None, &overrides)?;
        let context = Context::open(config, false)?;
        let source = Source::Folder(self.path(dir));
        let (summary, outcome) = eval::run_on(&context, &context.eval_set()?, what, &source)?;
        ensure!(outcome.skipped.is_empty(), "{:?}", outcome.skipped);
        Ok(summary)
    }
}

fn images(case: &Case) -> u64 {
    case.params()["n_images"].as_u64().unwrap()
}

fn truth(case: &Case, i: u64) -> Result<Array2<u8>> {
    let truth: Array2<i64> = shaped(case.i64(&format!("in.gt_{i}"))?)?;
    Ok(truth.mapv(|label| u8::try_from(label).unwrap_or(255)))
}

fn keys(case: &Case, name: &str) -> Result<Vec<usize>> {
    Ok(case.i64(name)?.iter().map(|&key| usize::try_from(key).unwrap()).collect())
}

/// The column of figures `ours` against a list with nulls, which may be shorter.
fn compare(expected: &Value, ours: &[Option<f64>], tolerance: f64) -> Result<()> {
    let expected = expected.as_array().context("a list")?;
    for (at, ours) in ours.iter().enumerate() {
        match (ours, expected.get(at).and_then(Value::as_f64)) {
            (Some(ours), Some(theirs)) => {
                ensure!((ours - theirs).abs() <= tolerance, "{at}: {ours}, not {theirs}")
            }
            (None, None) => {}
            (ours, theirs) => anyhow::bail!("{at}: {ours:?}, not {theirs:?}"),
        }
    }
    Ok(())
}

fn column(summary: &Summary, at: usize) -> Vec<Option<f64>> {
    summary.rows.iter().map(|row| row.values[at]).collect()
}

fn cases(prefix: &str) -> Vec<Case> {
    let index = Index::open().unwrap();
    let cases = index.names_of("11_eval").into_iter().map(|name| index.case(&name).unwrap());
    cases.filter(|case| case.has(prefix)).collect()
}

#[test]
fn a_folder_of_cams() {
    for case in cases("in.cam_0") {
        let mut folder = Folder::new();
        for i in 0..images(&case) {
            let name = folder.image();
            let maps: Array3<f32> = shaped(case.f32(&format!("in.cam_{i}")).unwrap()).unwrap();
            let keys = keys(&case, &format!("in.keys_{i}")).unwrap();
            let path = folder.path(&format!("result/cam/{name}.npy"));
            npy::write_cam(&path, &keys, maps.view(), maps.view()).unwrap();
            folder.label(&format!("SegmentationClass/{name}.png"), &truth(&case, i).unwrap());
        }
        let threshold = format!("cam.eval_threshold={}", case.params()["cam_eval_thres"]);
        let summary = folder.evaluate(What::Cam, "result/cam", &[threshold]).unwrap();
        let tolerance = case.tolerance("iou").unwrap();
        compare(&case.expected()["iou"], &column(&summary, 0), tolerance).unwrap();
        let miou = serde_json::json!([case.expected()["miou"]]);
        compare(&miou, &summary.means, tolerance).unwrap();
        assert!(summary.from.unwrap().ends_with("result/cam"));
    }
}

#[test]
fn folders_of_semantic_masks() {
    let cases = cases("in.pred_0");
    assert!(cases.len() >= 3);
    for case in cases {
        let mut folder = Folder::new();
        for i in 0..images(&case) {
            let name = folder.image();
            let mask: Array2<u8> = shaped(case.u8(&format!("in.pred_{i}")).unwrap()).unwrap();
            folder.label(&format!("result/sem_seg/{name}.png"), &mask);
            folder.label(&format!("SegmentationClass/{name}.png"), &truth(&case, i).unwrap());
        }
        let summary = folder.evaluate(What::SemSeg, "result/sem_seg", &[]).unwrap();
        let tolerance = case.tolerance("iou").unwrap();
        compare(&case.expected()["iou"], &column(&summary, 0), tolerance).unwrap();
        let miou = serde_json::json!([case.expected()["miou"]]);
        compare(&miou, &summary.means, tolerance).unwrap();
    }
}

/// Two label images of these masks; where masks overlap the later one is seen, empty ones are lost.
fn pictures(masks: &Array3<u8>, classes: &[usize]) -> (Array2<u8>, Array2<u8>) {
    let (_, h, w) = masks.dim();
    let (mut class, mut object) = (Array2::zeros((h, w)), Array2::zeros((h, w)));
    for (at, mask) in masks.axis_iter(Axis(0)).enumerate() {
        for (place, _) in mask.indexed_iter().filter(|(_, pixel)| **pixel != 0) {
            class[place] = u8::try_from(classes[at] + 1).unwrap();
            object[place] = u8::try_from(at + 1).unwrap();
        }
    }
    (class, object)
}

/// Writes pictures and predictions of a case, and adds them to `direct`; whether the pictures hold the
/// very masks of the case.
fn write_instances(
    folder: &mut Folder,
    case: &Case,
    direct: &mut InstanceEvaluator,
) -> Result<bool> {
    let mut exact = true;
    for i in 0..images(case) {
        let name = folder.image();
        let masks: Array3<u8> = shaped(case.u8(&format!("in.gt_mask_{i}"))?)?;
        let classes = keys(case, &format!("in.gt_label_{i}"))?;
        let (class, object) = pictures(&masks, &classes);
        folder.label(&format!("SegmentationClass/{name}.png"), &class);
        folder.label(&format!("SegmentationObject/{name}.png"), &object);
        let truth = voc_instances(class.view(), object.view())?;
        exact &= truth.masks.mapv(u8::from) == masks && truth.classes == classes;

        let masks: Array3<u8> = shaped(case.u8(&format!("in.pred_mask_{i}"))?)?;
        let mask = masks.mapv(|pixel| pixel != 0);
        let score: Array1<f32> = shaped(case.f32(&format!("in.pred_score_{i}"))?)?;
        let classes = keys(case, &format!("in.pred_label_{i}"))?;
        let found = Masks { masks: mask.view(), classes: &classes };
        direct.add(found, &score.to_vec(), truth.view())?;
        let class = NpyArray::I64(case.i64(&format!("in.pred_label_{i}"))?);
        // As upstream leaves scores where some are Python's zeros: f64.
        let score = NpyArray::F64(score.mapv(f64::from).into_dyn());
        let mask = NpyArray::Bool(mask.into_dyn());
        let entries = [("score", &score), ("mask", &mask), ("class", &class)];
        npy::write_dict(&folder.path(&format!("result/ins_seg/{name}.npy")), &entries)?;
    }
    Ok(exact)
}

/// The golden numbers where pictures can hold the case's masks; otherwise those of the evaluator, which
/// golden group 11 pins, on the masks that they do hold.
#[test]
fn folders_of_instance_masks() {
    let (mut golden, mut compared) = (0, 0);
    for case in cases("in.pred_mask_0") {
        let tolerance = case.tolerance("ap").unwrap();
        let expected = case.expected().as_object().unwrap().clone();
        for (key, value) in expected.iter().filter(|(key, _)| key.starts_with("iou")) {
            let (threshold, metric) = key["iou".len()..].split_once('_').unwrap();
            let iou: f32 = threshold.parse().unwrap();
            let mut folder = Folder::new();
            let mut direct = InstanceEvaluator::new(&[iou]);
            let exact = write_instances(&mut folder, &case, &mut direct).unwrap();
            let voc2007 = metric == "voc2007";
            let settings =
                [format!("eval.ap_iou=[{threshold}]"), format!("eval.voc2007={voc2007}")];
            let summary = folder.evaluate(What::InsSeg, "result/ins_seg", &settings).unwrap();
            let (ap, map) = if exact {
                golden += 1;
                (value["ap"].clone(), value["map"].clone())
            } else {
                let metric = if voc2007 { Metric::Voc2007 } else { Metric::Voc2012 };
                let scores = direct.finish(metric);
                (serde_json::json!(scores[0].ap), serde_json::json!(scores[0].map))
            };
            compare(&ap, &column(&summary, 0), tolerance)
                .unwrap_or_else(|error| panic!("{} {key}: {error:#}", case.name));
            compare(&serde_json::json!([map]), &summary.means, tolerance).unwrap();
            compared += 1;
        }
    }
    assert!(golden >= 3 && compared >= 10, "{golden} of {compared} with golden numbers");
}
