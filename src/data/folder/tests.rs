//! Folder data sets with every fault.

use ndarray::Array3;
use tempfile::TempDir;

use super::*;
use crate::data::photo::write_rgb_png;

fn folder_with(photos: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for photo in photos {
        write_rgb_png(&folder.path().join(photo), Array3::zeros((2, 2, 3)).view()).unwrap();
    }
    folder
}

fn opened<'a>(root: &'a TempDir, labels: Option<&'a str>) -> Folder<'a> {
    Folder { root: root.path(), labels: labels.map(Path::new), val_share: 0.5, seed: 0 }
}

fn names(set: &Dataset) -> Vec<&str> {
    set.items.iter().map(|item| item.name.as_str()).collect()
}

#[test]
fn labels_from_sub_folders() {
    let root =
        folder_with(&["cat/a.jpg", "dog/b.png", "unlabelled/c.jpg", "d.jpg", "dog/cat/e.jpg"]);
    let folder = opened(&root, None);
    let classes = folder.classes().unwrap();
    assert_eq!(classes, ["cat", "dog"]);
    let (set, problems) = folder.dataset(Path::new("all"), &classes).unwrap();
    assert_eq!(names(&set), ["cat/a", "d", "dog/b", "dog/cat/e", "unlabelled/c"]);
    let found: Vec<_> = set.items.iter().map(|item| item.classes.clone()).collect();
    assert_eq!(found, [Some(vec![0]), None, Some(vec![1]), Some(vec![0, 1]), None]);
    assert_eq!(set.items[0].file_name(), "cat/a.jpg");
    assert_eq!(problems.0.len(), 2, "two photos without a label");
}

#[test]
fn labels_from_a_table() {
    let root = folder_with(&["x/a.jpg", "b.jpg", "c.jpg"]);
    let rows = "a.jpg,rust;dent\nb,scratch\nnot there.jpg,rust\nx/a,new\n";
    fs_err::write(root.path().join("labels.csv"), rows).unwrap();
    let folder = opened(&root, Some("labels.csv"));
    assert_eq!(folder.classes().unwrap(), ["dent", "new", "rust", "scratch"]);
    let classes = ["rust", "dent", "scratch"].map(String::from);
    let (set, problems) = folder.dataset(Path::new("all"), &classes).unwrap();
    let found: Vec<_> = set.items.iter().map(|item| item.classes.clone()).collect();
    assert_eq!(found, [Some(vec![2]), None, Some(vec![0, 1])]);
    let text = problems.summary(9).join("\n");
    for part in ["not there.jpg: no such photo", "class new is not", "c: no image-level"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn parts_do_not_overlap_and_leave_out_what_has_no_label() {
    let photos: Vec<String> = (0..10).map(|at| format!("cat/{at}.jpg")).collect();
    let mut photos: Vec<&str> = photos.iter().map(String::as_str).collect();
    photos.push("loose.jpg");
    let root = folder_with(&photos);
    let classes = ["cat".to_string()];
    let part = |list: &str| opened(&root, None).dataset(Path::new(list), &classes).unwrap().0;
    let (train, val, all) = (part("train"), part("val"), part("all"));
    assert_eq!((train.items.len(), val.items.len(), all.items.len()), (5, 5, 11));
    assert!(names(&train).iter().all(|name| !names(&val).contains(name)));
    fs_err::write(root.path().join("few.txt"), "cat/3.jpg\n7\nloose\nnothing\n").unwrap();
    let (few, problems) = opened(&root, None).dataset(Path::new("few.txt"), &classes).unwrap();
    assert_eq!(names(&few), ["cat/3", "cat/7", "loose"]);
    assert_eq!(problems.skipped(), 1);
}

#[test]
fn hopeless_folders_are_errors_with_a_hint() {
    let empty = tempfile::tempdir().unwrap();
    let loose = folder_with(&["a.jpg"]);
    for (folder, list) in [(&empty, "all"), (&loose, "train"), (&loose, "nothing.txt")] {
        assert!(opened(folder, None).dataset(Path::new(list), &["cat".to_string()]).is_err());
    }
    let said = crate::error::report(&opened(&loose, None).classes().unwrap_err());
    assert!(said.contains("hint:") && said.contains("CSV"), "{said}");
}
