//! Small data sets with every fault.

use std::path::Path;

use ndarray::Array3;
use tempfile::TempDir;

use super::*;

use crate::data::photo::write_rgb_png;
use irn_models::voc::VOC_CLASSES;

/// A data set with photos of these files names.
fn folder_with(photos: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for photo in photos {
        let path = folder.path().join(PHOTO_FOLDER).join(photo);
        write_rgb_png(&path, Array3::zeros((2, 2, 3)).view()).unwrap();
    }
    folder
}

fn load(folder: &Path, list: &str, labels: Option<&str>) -> Result<(Dataset, Problems)> {
    let path = folder.join("list.txt");
    fs_err::write(&path, list)?;
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/npy");
    let labels = labels.map(|name| fixtures.join(name));
    let n_classes =
        if labels.as_ref().is_some_and(|l| l.ends_with("labels_array.npy")) { 3 } else { 4 };
    let classes: Vec<String> =
        VOC_CLASSES[..n_classes].iter().map(|name| name.to_string()).collect();
    Dataset::voc(folder, &path, labels.as_deref(), &classes)
}

fn names(dataset: &Dataset) -> Vec<&str> {
    dataset.items.iter().map(|item| item.name.as_str()).collect()
}

#[test]
fn every_style_of_list() {
    let folder = folder_with(&["2007_000032.jpg", "2007_000039.png", "a cat.v2.JPG", "päge.jpg"]);
    let list = "\u{feff}2007_000032\r\n\n2007000039\n  a cat.v2  \n\
                /JPEGImages/päge.jpg /SegmentationClassAug/päge.png\n";
    let (dataset, problems) = load(folder.path(), list, None).unwrap();
    assert_eq!(names(&dataset), ["2007_000032", "2007_000039", "a cat.v2", "päge"]);
    assert_eq!(problems.skipped(), 0);
    let masks: Vec<_> = dataset.items.iter().map(Item::semantic_mask_path).collect();
    assert_eq!(masks[0], folder.path().join("SegmentationClass/2007_000032.png"));
    assert_eq!(masks[3], folder.path().join("SegmentationClassAug/päge.png"));
    assert!(dataset.items[2].instance_mask_path().ends_with("SegmentationObject/a cat.v2.png"));
}

#[test]
fn both_styles_of_coco_names() {
    let folder = folder_with(&["000000000009.jpg", "COCO_val2014_000000000042.jpg"]);
    let list = "COCO_train2014_000000000009\n000000000042\n";
    let (dataset, _) = load(folder.path(), list, None).unwrap();
    assert_eq!(names(&dataset), ["000000000009", "COCO_val2014_000000000042"]);
}

#[test]
fn masks_of_the_augmented_set() {
    let folder = folder_with(&["a.jpg", "b.jpg"]);
    for mask in
        ["SegmentationClass/a.png", "SegmentationClassAug/a.png", "SegmentationClassAug/b.png"]
    {
        write_rgb_png(&folder.path().join(mask), Array3::zeros((2, 2, 3)).view()).unwrap();
    }
    let (dataset, _) = load(folder.path(), "a\nb\n", None).unwrap();
    let masks: Vec<_> = dataset.items.iter().map(Item::semantic_mask_path).collect();
    assert_eq!(masks[0], folder.path().join("SegmentationClass/a.png"));
    assert_eq!(masks[1], folder.path().join("SegmentationClassAug/b.png"));
}

#[test]
fn labels_from_a_dict() {
    let folder = folder_with(&["2007_000032.jpg", "2007_000039.jpg", "a cat.jpg", "other.jpg"]);
    let list = "2007_000032\n2007_000039\na cat\nother\nmissing\na cat.jpg\n";
    for protocol in 2..=5 {
        let labels = format!("labels_protocol{protocol}.npy");
        let (dataset, problems) = load(folder.path(), list, Some(&labels)).unwrap();
        let classes: Vec<_> = dataset.items.iter().map(|item| item.classes.clone()).collect();
        assert_eq!(classes, [Some(vec![1]), Some(vec![2, 3]), Some(vec![]), None]);
        assert_eq!(dataset.labelled().count(), 2);
        let expected = [
            Problem::MissingPhoto { entry: "missing".into() },
            Problem::Duplicate { name: "a cat".into() },
            Problem::NoClass { name: "a cat".into() },
            Problem::NoLabel { name: "other".into() },
            Problem::ClassWithoutImage { class: "aeroplane".into() },
        ];
        assert_eq!(problems.0, expected);
        assert_eq!(problems.skipped(), 2);
        assert_eq!(problems.summary(2).last().unwrap(), "... and 3 more");
    }
}

#[test]
fn labels_in_list_order() {
    let folder = folder_with(&["b.jpg", "a.jpg"]);
    let (dataset, _) = load(folder.path(), "b\na\n", Some("labels_array.npy")).unwrap();
    assert_eq!(dataset.items[0].classes, Some(vec![1]));
    assert_eq!(dataset.items[1].classes, Some(vec![0, 2]));
    let error = load(folder.path(), "a\n", Some("labels_array.npy")).unwrap_err();
    assert!(crate::error::report(&error).contains("2 rows"), "{error:#}");
}

#[test]
fn labels_from_annotations() {
    let folder = folder_with(&["a.jpg", "b.jpg", "c.jpg"]);
    let annotations = folder.path().join("Annotations");
    fs_err::create_dir_all(&annotations).unwrap();
    let objects = ["bird", "aeroplane", "bird", "unicorn"]
        .map(|name| format!("<object><name>{name}</name><part><name>head</name></part></object>"));
    let text = format!("<annotation>{}</annotation>", objects.concat());
    fs_err::write(annotations.join("a.xml"), text).unwrap();
    fs_err::write(annotations.join("b.xml"), "<annotation>").unwrap();
    let (dataset, problems) = load(folder.path(), "a\nb\nc\n", None).unwrap();
    let classes: Vec<_> = dataset.items.iter().map(|item| item.classes.clone()).collect();
    assert_eq!(classes, [Some(vec![0, 2]), None, None]);
    let text = problems.summary(10).join("\n");
    for part in ["unicorn", "b.xml", "b: no image-level", "c: no image-level", "class bicycle"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn hopeless_settings_are_errors() {
    let folder = folder_with(&["a.jpg"]);
    for (list, part) in [("", "empty"), ("x\ny\n", "none of the 2 photos")] {
        let report = crate::error::report(&load(folder.path(), list, None).unwrap_err());
        assert!(report.contains(part) && report.contains("hint:"), "{report}");
    }
    let report = crate::error::report(&load(folder.path(), "a", Some("nothing.npy")).unwrap_err());
    assert!(report.contains("nothing.npy"), "{report}");
    let report =
        crate::error::report(&load(folder.path(), "a", Some("cam_protocol4.npy")).unwrap_err());
    assert!(report.contains("cam_protocol4.npy"), "{report}");
    let empty = tempfile::tempdir().unwrap();
    let report = crate::error::report(&load(empty.path(), "a", None).unwrap_err());
    assert!(report.contains("JPEGImages"), "{report}");
}
