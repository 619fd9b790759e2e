//! COCO's evaluation against figures of pycocotools: committed ones (`tests/fixtures/coco`), and fresh ones where
//! Python has it.

use std::path::Path;

use irn::eval::coco::files::evaluate;
use irn::eval::coco::instances;
use serde_json::Value;

use crate::python;

pub fn agrees(folder: &Path) {
    let text = fs_err::read_to_string(folder.join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    let found = evaluate(&folder.join("truth.json"), &folder.join("results.json")).unwrap();
    let ours = found.scores.figures().map(|(_, value)| value);
    let classes: Vec<_> = found.scores.classes.iter().map(|class| class.ap).collect();
    for (key, ours) in [("stats", ours.to_vec()), ("classes", classes)] {
        let theirs = expected[key].as_array().unwrap();
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(theirs) {
            let theirs = theirs.as_f64().unwrap();
            assert!((ours.unwrap_or(-1.0) - theirs).abs() < 1e-9, "{key}: {ours:?}, not {theirs}");
        }
    }
    masks_agree(folder, &expected["masks"]);
}

/// Run lengths of every annotation, character for character.
fn masks_agree(folder: &Path, expected: &Value) {
    let truth = instances::read(&folder.join("truth.json")).unwrap();
    let texts = truth.images.iter().flat_map(|image| {
        let of_image = truth.regions[&image.id].iter();
        of_image.map(move |region| region.encode(image).unwrap().text())
    });
    let texts: Vec<String> = texts.collect();
    let expected: Vec<&str> =
        expected.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    assert_eq!(texts, expected);
}

#[test]
fn the_committed_case() {
    agrees(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/coco"));
}

#[test]
fn fresh_cases() {
    let folder = tempfile::tempdir().unwrap();
    for seed in ["1", "2", "3"] {
        if python::coco_case(folder.path(), seed) {
            agrees(folder.path());
        }
    }
}

#[test]
fn files_that_do_not_fit() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/coco");
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results.json");
    for (text, part) in [
        (
            r#"[{"image_id": 3, "category_id": 1, "score": 0.5, "segmentation": [[0,0,1,0,1,1]]}]"#,
            "image 3",
        ),
        (r#"[{"image_id": 100, "category_id": 1, "score": 0.5}]"#, "without mask and box"),
        (
            r#"[{"image_id": 100, "category_id": 1, "score": 1, "segmentation": {"size": [9, 9], "counts": "0"}}]"#,
            "run lengths for [9, 9]",
        ),
        ("{}", "results.json"),
    ] {
        fs_err::write(&results, text).unwrap();
        let said =
            irn::error::report(&evaluate(&fixtures.join("truth.json"), &results).unwrap_err());
        assert!(said.contains(part), "{part} in {said}");
    }
}
