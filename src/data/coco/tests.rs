//! A small COCO data set in both styles of names.

use ndarray::{Array3, array};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::data::photo::write_rgb_png;

/// Two images of 4 x 6 pixels in the names of 2014 and one in another folder, photos in those of 2017.
fn small() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let image = |id: u64, file: &str| json!({"id": id, "file_name": file, "width": 6, "height": 4});
    let square =
        |x: f64, y: f64, side: f64| json!([[x, y, x + side, y, x + side, y + side, x, y + side]]);
    let file = json!({
        "images": [
            image(9, "COCO_train2014_000000000009.jpg"), image(30, "COCO_train2014_000000000030.jpg"),
            image(5, "COCO_train2014_000000000005.jpg"),
        ],
        "categories": [{"id": 90, "name": "toothbrush"}, {"id": 1, "name": "person"}, {"id": 3, "name": "car"}],
        "annotations": [
            {"image_id": 9, "category_id": 90, "area": 1.0, "iscrowd": 0, "segmentation": square(0.0, 0.0, 1.0)},
            {"image_id": 9, "category_id": 1, "area": 4.0, "iscrowd": 0, "segmentation": square(0.0, 0.0, 2.0)},
            {"image_id": 9, "category_id": 1, "area": 12.0, "iscrowd": 1,
             "segmentation": {"size": [4, 6], "counts": [4, 12, 8]}},
            {"image_id": 30, "category_id": 3, "area": 4.0, "iscrowd": 0, "segmentation": square(0.0, 0.0, 2.0)},
        ],
    });
    let path = root.path().join("annotations/instances_train2014.json");
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(&path, file.to_string()).unwrap();
    for name in ["000000000009", "000000000030"] {
        let photo = root.path().join(format!("train2014/{name}.jpg"));
        write_rgb_png(&photo, Array3::zeros((4, 6, 3)).view()).unwrap();
    }
    root
}

fn classes() -> Vec<String> {
    ["person", "toothbrush"].map(String::from).to_vec()
}

fn open<'a>(root: &'a TempDir, annotations: &'a [PathBuf]) -> Coco<'a> {
    Coco { root: root.path(), photos: None, annotations, labels: None }
}

#[test]
fn classes_ids_and_names() {
    let root = small();
    let list = Path::new("instances_train2014.json");
    let coco = open(&root, &[]);
    assert_eq!(coco.classes(list).unwrap(), ["toothbrush", "person", "car"]);
    let (set, problems) = coco.dataset(list, &classes()).unwrap();
    let ids: Vec<u64> = set.categories.iter().map(|category| category.id).collect();
    assert_eq!(ids, [1, 90], "COCO's own ids");
    let names: Vec<&str> = set.items.iter().map(|item| item.name.as_str()).collect();
    assert_eq!(names, ["COCO_train2014_000000000009", "COCO_train2014_000000000030"]);
    assert!(set.items[0].photo.ends_with("train2014/000000000009.jpg"));
    assert_eq!(set.items[0].file_name(), "COCO_train2014_000000000009.jpg");
    assert_eq!(set.items[0].classes, Some(vec![0, 1]));
    assert_eq!(set.items[1].classes, Some(vec![]), "a car is none of the classes");
    let text = problems.summary(9).join("\n");
    for part in ["class car", "000000000005.jpg: no such photo", "names no class"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn small_objects_lie_on_large_ones_and_crowds_are_unknown() {
    let root = small();
    let (set, _) =
        open(&root, &[]).dataset(Path::new("instances_train2014.json"), &classes()).unwrap();
    let item = &set.items[0];
    let expected = array![
        [2, 255, 255, 255, 0, 0],
        [1, 1, 255, 255, 0, 0],
        [0, 255, 255, 255, 0, 0],
        [0, 255, 255, 255, 0, 0]
    ];
    let mut expected = expected;
    expected[[0, 1]] = 1;
    assert_eq!(item.semantic_truth().unwrap(), expected);
    let truth = item.instance_truth().unwrap();
    assert_eq!(truth.classes, [1, 0], "crowds are no instances");
    let objects = item.coco_truth().unwrap();
    assert_eq!(objects.iter().filter(|(_, object)| object.crowd).count(), 1);
}

#[test]
fn lists_of_names_in_both_styles() {
    let root = small();
    let annotations = [PathBuf::from("instances_train2014.json")];
    let list = root.path().join("list.txt");
    fs_err::write(&list, "000000000030\nCOCO_train2014_000000000009\n000000000030\nother\n")
        .unwrap();
    let (set, problems) = open(&root, &annotations).dataset(&list, &classes()).unwrap();
    let ids: Vec<u64> = set.items.iter().filter_map(Item::image_id).collect();
    assert_eq!((ids, problems.skipped()), (vec![30, 9], 2));
    let said = crate::error::report(&open(&root, &[]).dataset(&list, &classes()).unwrap_err());
    assert!(said.contains("hint: data.annotations"), "{said}");
}

#[test]
fn wrong_settings_are_errors_with_a_hint() {
    let root = small();
    let list = Path::new("instances_train2014.json");
    let unicorn = ["unicorn".to_string()];
    let said = crate::error::report(&open(&root, &[]).dataset(list, &unicorn).unwrap_err());
    assert!(said.contains("unicorn") && said.contains("it has toothbrush"), "{said}");
    fs_err::remove_dir_all(root.path().join("train2014")).unwrap();
    let said = crate::error::report(&open(&root, &[]).dataset(list, &classes()).unwrap_err());
    assert!(said.contains("no photo exists") && said.contains("data.photos"), "{said}");
}

#[test]
fn names_that_leave_the_folder_are_refused() {
    assert!(stays_below("train2017/a.jpg"));
    assert!(!stays_below("../a.jpg") && !stays_below("/etc/a.jpg"));
    assert_eq!(coco_number("COCO_val2014_000000000042"), Some(42));
    assert_eq!((coco_number("2007_000032"), coco_number("x_000000000042")), (None, None));
}
