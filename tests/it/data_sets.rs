//! COCO and plain folders through the whole pipeline at tiny settings, made from the drawn scenes.

use std::path::Path;

use irn::data::demo::DEMO_CLASSES;
use irn::data::photo::read_label;
use irn::eval::coco::annotations::{Format, annotation};
use irn::eval::truth::voc_instances;
use ndarray::Axis;
use serde_json::{Value, json};

use crate::programs::{INFER, Playground, TRAIN};
use crate::python;

/// Category ids with holes, in another order than the classes.
const IDS: [u64; 6] = [90, 3, 7, 18, 44, 1];

/// The playground's settings with another data set.
fn settle(here: &Playground, data: &str) {
    let path = here.path("tiny.yaml");
    let text = fs_err::read_to_string(&path).unwrap();
    let (_, rest) = text.split_once("\nrun:").unwrap();
    fs_err::write(path, format!("data:\n{data}run:{rest}")).unwrap();
}

fn json_of(path: &Path) -> Value {
    serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap()
}

fn names(here: &Playground) -> Vec<String> {
    let list = here.path("data/ImageSets/Segmentation/trainval.txt");
    fs_err::read_to_string(list).unwrap().split_whitespace().map(String::from).collect()
}

/// Photos in the names of 2017, annotations with run lengths, polygons and a crowd.
fn write_coco(here: &Playground) -> Vec<u64> {
    let (mut images, mut annotations, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    for (name, id) in names(here).iter().zip((500..).step_by(3)) {
        let below = |folder: &str| here.path(&format!("data/{folder}/{name}"));
        let read = |folder: &str| read_label(&below(folder).with_extension("png")).unwrap();
        let truth =
            voc_instances(read("SegmentationClass").view(), read("SegmentationObject").view());
        let truth = truth.unwrap();
        let (_, height, width) = truth.masks.dim();
        let photo = here.path(&format!("coco/train2017/{id:012}.jpg"));
        fs_err::create_dir_all(photo.parent().unwrap()).unwrap();
        fs_err::copy(below("JPEGImages").with_extension("jpg"), photo).unwrap();
        let file = format!("{id:012}.jpg");
        images.push(json!({"id": id, "file_name": file, "width": width, "height": height}));
        for (mask, &class) in truth.masks.axis_iter(Axis(0)).zip(&truth.classes) {
            let number = annotations.len() as u64 + 1;
            let format = if number.is_multiple_of(2) { Format::Rle } else { Format::Polygons };
            let made = annotation(number, id, IDS[class], mask, 1.0, format).unwrap();
            let mut made = serde_json::to_value(made).unwrap();
            made["iscrowd"] = json!(u8::from(number % 7 == 2));
            made.as_object_mut().unwrap().remove("score");
            annotations.push(made);
        }
        ids.push(id);
    }
    let category =
        |(id, name): (&u64, &&str)| json!({"id": id, "name": name, "supercategory": "thing"});
    let categories: Vec<Value> = IDS.iter().zip(&DEMO_CLASSES).map(category).collect();
    let file = json!({"images": images, "annotations": annotations, "categories": categories});
    let path = here.path("coco/annotations/instances_train2017.json");
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, file.to_string()).unwrap();
    ids
}

#[test]
fn coco_goes_through_the_pipeline() {
    let here = Playground::new(12);
    let ids = write_coco(&here);
    let root = here.path("coco");
    let data = format!(
        "  layout: coco\n  root: {}\n  classes: []\n  train_list: instances_train2017.json\n  eval_list: null\n",
        root.display()
    );
    settle(&here, &data);
    here.ok(TRAIN, &["check-data"]);
    here.ok(TRAIN, &["run"]);
    let out = here.path("out");
    let coco = json_of(&out.join("coco.json"));
    let of = |list: &str, key: &str| -> Vec<u64> {
        coco[list].as_array().unwrap().iter().map(|entry| entry[key].as_u64().unwrap()).collect()
    };
    assert_eq!(of("images", "id"), ids, "COCO's own image ids");
    assert_eq!(of("categories", "id"), IDS, "COCO's own category ids");
    assert!(of("annotations", "category_id").iter().all(|id| IDS.contains(id)));
    assert!(!of("annotations", "id").is_empty());
    assert_eq!(coco["images"][0]["file_name"], "000000000500.jpg");
    assert_eq!(json_of(&out.join("classes.json"))[5]["category_id"], 1);
    for what in ["cam", "sem-seg", "ins-seg", "coco"] {
        assert_eq!(json_of(&out.join(format!("eval/{what}.json")))["images"], 12, "{what}");
    }
    let gt = root.join("annotations/instances_train2017.json");
    let (gt, dt) = (gt.to_str().unwrap(), out.join("coco.json"));
    let dt = dt.to_str().unwrap();
    here.ok(INFER, &["eval", "coco", "--gt", gt, "--dt", dt, "--json", "figures.json"]);
    let (ours, by_file) =
        (json_of(&out.join("eval/coco.json")), json_of(&here.path("figures.json")));
    close(&ours["scores"]["ap"], &by_file["ap"]);
    close(&ours["scores"]["ap50"], &by_file["ap50"]);
    python::coco_figures_agree(&here, gt, dt, &by_file);
    python::torchvision_loads(&root.join("train2017"), dt);
}

fn close(ours: &Value, theirs: &Value) {
    let (ours, theirs) = (ours.as_f64().unwrap(), theirs.as_f64().unwrap());
    assert!((ours - theirs).abs() < 1e-9, "{ours} and {theirs}");
}

/// Photos below three folders; a table labels all but two of them.
fn write_folder(here: &Playground) -> usize {
    let names = names(here);
    let mut table = String::from("file,label\n");
    for (at, name) in names.iter().enumerate() {
        let folder = ["morning", "noon/early", "night"][at % 3];
        for (from, to, suffix) in [
            ("JPEGImages".to_string(), folder.to_string(), "jpg"),
            ("SegmentationClass".to_string(), format!("SegmentationClass/{folder}"), "png"),
        ] {
            let to = here.path(&format!("photos/{to}/{name}.{suffix}"));
            fs_err::create_dir_all(to.parent().unwrap()).unwrap();
            fs_err::copy(here.path(&format!("data/{from}/{name}.{suffix}")), to).unwrap();
        }
        let mask = read_label(&here.path(&format!("data/SegmentationClass/{name}.png"))).unwrap();
        let mut shown: Vec<u8> = mask.iter().copied().filter(|v| (1..255).contains(v)).collect();
        shown.sort_unstable();
        shown.dedup();
        let shown: Vec<&str> =
            shown.iter().map(|&value| DEMO_CLASSES[usize::from(value) - 1]).collect();
        if at > 1 {
            table += &format!("{name}.jpg,{}\n", shown.join(";"));
        }
    }
    fs_err::write(here.path("photos/labels.csv"), table).unwrap();
    names.len()
}

#[test]
fn a_folder_goes_through_the_pipeline() {
    let here = Playground::new(14);
    let count = write_folder(&here);
    let data = format!(
        "  layout: folder\n  root: {}\n  classes: []\n  labels: labels.csv\n  train_list: train\n  \
         infer_list: all\n  eval_list: val\n  val_share: 0.3\n",
        here.path("photos").display()
    );
    settle(&here, &data);
    here.ok(TRAIN, &["check-data"]);
    let run = here.ok(TRAIN, &["run"]);
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(said.contains("2 images have no label") && said.contains("precision"), "{said}");
    let out = here.path("out");
    let predicted = fs_err::read_to_string(out.join("predicted.csv")).unwrap();
    assert_eq!(predicted.lines().count(), 3, "{predicted}");
    let coco = json_of(&out.join("coco.json"));
    let images = coco["images"].as_array().unwrap();
    assert_eq!(images.len(), count);
    let guessed = images.iter().filter(|image| image["classes_are"] == "predicted").count();
    assert_eq!(guessed, 2);
    let file = images[0]["file_name"].as_str().unwrap();
    assert!(here.path("photos").join(file).is_file(), "{file}");
    assert!(out.join("sem_seg").join(file).with_extension("png").is_file());
    here.ok(INFER, &["eval", "classes"]);
    assert!(json_of(&out.join("eval/classes.json"))["means"][1].is_number());

    let swept = here.ok(INFER, &["sweep"]);
    let text = String::from_utf8_lossy(&swept.stdout).into_owned();
    for key in ["cam.eval_threshold=", "ir_label.conf_fg=", "sem_seg.background=", "best mIoU"] {
        assert!(text.contains(key), "{key} in {text}");
    }
    fs_err::remove_dir_all(here.path("photos/SegmentationClass")).unwrap();
    let swept = here.ok(INFER, &["sweep"]);
    assert!(String::from_utf8_lossy(&swept.stdout).contains("no ground truth"));
    here.ok(INFER, &["scores"]);
    let sure = read_label(&out.join("sem_seg_sure").join(file).with_extension("png")).unwrap();
    let confident = image::open(out.join("confidence").join(file).with_extension("png")).unwrap();
    let unsure = sure.iter().filter(|value| **value == 255).count();
    assert!(unsure < sure.len() && confident.width() as usize == sure.ncols());
    photos_nobody_labelled(&here);
    python::numpy_reads_scores(&out.join("scores").join(file).with_extension("npz"), sure.dim());
}

/// The trained networks on a folder without any label.
fn photos_nobody_labelled(here: &Playground) {
    let photo = here.path("photos/morning/000001.jpg");
    let new = here.path("new/deep/below/x.jpg");
    fs_err::create_dir_all(new.parent().unwrap()).unwrap();
    fs_err::copy(photo, new).unwrap();
    let out = here.path("out");
    let rows = json_of(&out.join("eval/classes.json"))["rows"].clone();
    let classes = rows.as_array().unwrap().iter().map(|row| row["class"].as_str().unwrap());
    let settings = [
        "data.root=new".to_string(),
        "data.labels=null".to_string(),
        format!("data.classes=[{}]", classes.collect::<Vec<_>>().join(", ")),
        "run.out=new-out".to_string(),
        format!("run.cam_model={}", out.join("cam.onnx").display()),
        format!("run.irn_model={}", out.join("irn.onnx").display()),
    ];
    for verb in ["cam", "sem-seg", "ins-seg", "coco"] {
        let args: Vec<&str> =
            [verb].into_iter().chain(settings.iter().map(String::as_str)).collect();
        here.ok(INFER, &args);
    }
    assert!(here.path("new-out/sem_seg/deep/below/x.png").is_file());
    assert_eq!(json_of(&here.path("new-out/coco.json"))["images"][0]["classes_are"], "predicted");
}

#[test]
fn a_check_names_what_is_wrong() {
    let here = Playground::new(14);
    write_folder(&here);
    let data = format!(
        "  layout: folder\n  root: {}\n  classes: [ball, cube]\n  labels: labels.csv\n  train_list: train\n  \
         infer_list: all\n  eval_list: val\n",
        here.path("photos").display()
    );
    settle(&here, &data);
    fs_err::write(here.path("photos/night/broken.jpg"), b"no photo").unwrap();
    let table = here.path("photos/labels.csv");
    let rows = fs_err::read_to_string(&table).unwrap() + "absent.jpg,ball\nbroken.jpg,ball\n";
    fs_err::write(&table, rows).unwrap();
    let few = "cam.train.batch=1";
    here.says(TRAIN, &["check-data", few], 3, &["absent.jpg: no such photo", "night/broken: "]);
    here.says(
        TRAIN,
        &["check-data", "cam.train.batch=99"],
        1,
        &["fewer than a batch of 99", "hint:"],
    );
    here.says(TRAIN, &["check-data", few, "data.root=nowhere"], 1, &["nowhere", "hint:"]);
    fs_err::write(&table, "file,ball\nabsent.jpg,perhaps\n").unwrap();
    here.says(TRAIN, &["check-data"], 1, &["labels.csv", "perhaps", "hint:"]);
}
