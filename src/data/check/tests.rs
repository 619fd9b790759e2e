//! A data set with one of every fault.

use std::path::Path;

use ndarray::{Array2, Array3};

use super::*;
use crate::data::photo::{voc_palette, write_palette_png, write_rgb_png};

#[test]
fn faults_notices_and_counts() {
    let root = tempfile::tempdir().unwrap();
    let photo = |name: &str, height, width| {
        let path = root.path().join(format!("JPEGImages/{name}.png"));
        write_rgb_png(&path, Array3::zeros((height, width, 3)).view()).unwrap();
    };
    photo("good", 80, 90);
    photo("small", 9, 12);
    photo("other_size", 80, 80);
    fs_err::write(root.path().join("JPEGImages/broken.png"), b"no photo").unwrap();
    let mask = root.path().join("SegmentationClass/other_size.png");
    write_palette_png(&mask, Array2::zeros((70, 80)).view(), &voc_palette()).unwrap();
    fs_err::create_dir_all(root.path().join("Annotations")).unwrap();
    let object = "<annotation><object><name>cat</name></object></annotation>";
    fs_err::write(root.path().join("Annotations/good.xml"), object).unwrap();
    let list = root.path().join("list.txt");
    fs_err::write(&list, "good\nsmall\nother_size\nbroken\nmissing\n").unwrap();
    let classes = ["cat", "dog"].map(String::from);
    let (set, problems) = Dataset::voc(root.path(), &list, None, &classes).unwrap();
    let pool = crate::overlap::pool(2).unwrap();
    let mut report = Report::default();
    let mut look = Look { exif: ExifRule::Apply, quick: false };
    report.add("train", &set, &problems, look, &pool).unwrap();
    report.add("eval", &set, &problems, look, &pool).unwrap();
    let names: Vec<&str> = report.faults.keys().map(String::as_str).collect();
    assert_eq!(names, ["broken", "missing", "other_size"]);
    assert!(report.faults["other_size"].contains("80 x 70"));
    assert_eq!(report.trainable(), 1);
    let table = report.table();
    for part in
        ["cat", "notice: small: small: 12 x 9", "class dog: no photo shows it", "width 12 / "]
    {
        assert!(table.contains(part), "{part} in {table}");
    }
    assert_eq!(table.matches("class dog").count(), 1, "said once for all lists");
    look.quick = true;
    let mut quick = Report::default();
    quick.add("train", &set, &problems, look, &pool).unwrap();
    assert_eq!(quick.faults.len(), 2, "a quick look leaves the masks closed");
    assert!(Path::new(&set.items[0].photo).exists());
}
