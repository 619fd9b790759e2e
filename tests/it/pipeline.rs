//! The whole pipeline on a tiny drawn data set: what comes out, going on, the same bytes.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::programs::{INFER, Playground, TRAIN, bytes_below};

#[test]
fn everything_comes_out_and_stays() {
    let here = Playground::new(20);
    here.ok(TRAIN, &["run"]);
    let out = here.path("out");
    for file in ["cam.safetensors", "cam.onnx", "irn.safetensors", "irn.onnx", "settings.yaml"] {
        assert!(out.join(file).is_file(), "{file}");
    }
    for what in ["cam", "sem-seg", "ins-seg"] {
        let text = fs_err::read_to_string(out.join(format!("eval/{what}.json"))).unwrap();
        let summary: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(summary["images"], 4, "{what}");
    }
    let names =
        fs_err::read_to_string(here.path("data/ImageSets/Segmentation/trainval.txt")).unwrap();
    for name in names.split_whitespace() {
        let photo = image::open(here.path(&format!("data/JPEGImages/{name}.jpg"))).unwrap();
        let mask = image::open(out.join(format!("sem_seg/{name}.png"))).unwrap();
        assert_eq!((photo.width(), photo.height()), (mask.width(), mask.height()));
        assert!(out.join(format!("ins_seg/{name}.npy")).is_file());
        assert!(out.join(format!("cam/{name}.npy")).is_file());
    }
    coco_is_sound(&out.join("coco.json"), names.split_whitespace().count());
    let page = fs_err::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("</html>") && !page.contains("http://") && !page.contains("src=\"/"));

    let store = bytes_below(&out.join("store"), ".h5");
    let again = here.ok(TRAIN, &["run"]);
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(said.contains("finished before"), "{said}");
    assert_eq!(store, bytes_below(&out.join("store"), ".h5"), "a second run changes nothing");

    let name = names.split_whitespace().next().unwrap();
    let photo = here.path(&format!("data/JPEGImages/{name}.jpg"));
    here.ok(INFER, &["one", photo.to_str().unwrap(), "--out", "masks"]);
    assert!(here.path(&format!("masks/{name}_overlay.png")).is_file());
    here.ok(INFER, &["draw", "data.infer_list=val.txt"]);
    assert_eq!(fs_err::read_dir(out.join("draw")).unwrap().count(), 4);
    here.ok(INFER, &["eval", "ir-label", "data.eval_list=train.txt"]);
}

fn coco_is_sound(path: &std::path::Path, images: usize) {
    let coco: Value = serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap();
    assert_eq!(coco["images"].as_array().unwrap().len(), images);
    let annotations = coco["annotations"].as_array().unwrap();
    let ids: BTreeSet<u64> = annotations.iter().map(|a| a["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), annotations.len(), "annotation ids are unique");
    for annotation in annotations {
        assert!(annotation["category_id"].as_u64().unwrap() >= 1);
        assert!(annotation["score"].as_f64().unwrap() > 0.0);
        assert!(annotation["segmentation"]["counts"].is_string());
    }
}

#[test]
fn an_interrupted_training_ends_with_the_same_bytes() {
    let here = Playground::new(20);
    let epochs = "cam.train.epochs=12";
    here.ok(TRAIN, &["cam", epochs, "run.out=whole", "run.threads=2"]);
    here.ok(TRAIN, &["cam", epochs, "run.out=single", "run.threads=1"]);
    let whole = fs_err::read(here.path("whole/cam.safetensors")).unwrap();
    let single = fs_err::read(here.path("single/cam.safetensors")).unwrap();
    assert!(whole == single, "the number of threads changes the weights");

    let steps = || {
        let log = fs_err::read_to_string(here.path("parts/log/cam.jsonl")).unwrap_or_default();
        log.lines().count()
    };
    let mut interruptions = 0;
    for _ in 0..3 {
        let before = steps();
        let mut child = here.command(TRAIN, &["cam", epochs, "run.out=parts"]).spawn().unwrap();
        // In the middle of an epoch, a few steps on.
        while steps() < before + 3 && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        let pid = child.id().to_string();
        // A training that is over already can't be interrupted; the count below tells.
        std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
        interruptions += usize::from(child.wait().unwrap().code() == Some(130));
    }
    here.ok(TRAIN, &["cam", epochs, "run.out=parts"]);
    assert!(interruptions > 0, "no interruption hit the training; the test proves nothing");
    let parts = fs_err::read(here.path("parts/cam.safetensors")).unwrap();
    assert!(whole == parts, "going on changes the weights");
}
