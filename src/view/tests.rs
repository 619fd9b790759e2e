//! All pictures of a few photos and their page, to be looked at: `IRN_VIEW_OUT` names the folder
//! (else a temporary one), `IRN_VIEW_VOC` a VOC folder with masks (else scenes are drawn).

use std::f64::consts::TAU;
use std::path::{Path, PathBuf};

use irn_models::voc::VOC_CLASSES;
use ndarray::{Array2, Array3, Axis, s, stack};

use super::report::{Chart, Panel, Report, ReportImage, Scores, Series, Timing};
use super::*;

/// A photo with its two ground-truth maps.
struct Scene {
    name: String,
    photo: Picture,
    label: Array2<u8>,
    objects: Array2<u8>,
}

/// Coloured discs on a gradient, of the size of a small photo.
fn drawn(number: usize) -> Scene {
    let size = (90 + 10 * (number % 3), 130);
    let mut label = Array2::zeros(size);
    let mut objects = Array2::zeros(size);
    for index in 0..2 + number % 4 {
        let (y, x) = (30.0 + 12.0 * index as f32, 25.0 + 27.0 * index as f32);
        for row in 0..size.0 {
            for column in 0..size.1 {
                let length = (row as f32 - y).hypot(column as f32 - x);
                if length < 19.0 {
                    label[[row, column]] = [8, 12, 15][(number + index) % 3];
                    objects[[row, column]] = index as u8 + 1;
                } else if length < 21.0 {
                    label[[row, column]] = 255;
                    objects[[row, column]] = 255;
                }
            }
        }
    }
    let photo = canvas::from_fn(size, |row, column| {
        let base = [60 + row as u8, 110 + column as u8 / 2, 170 - row as u8 / 2];
        let object = usize::from(objects[[row, column]] % 255);
        if object == 0 { base } else { palette::mix(base, palette::voc(object as u8 * 7), 0.8) }
    });
    Scene { name: format!("scene_{number:02}"), photo, label, objects }
}

/// Up to 24 photos of a VOC folder that have masks.
fn from_voc(root: &Path) -> Vec<Scene> {
    let mut masks: Vec<PathBuf> = fs_err::read_dir(root.join("SegmentationObject"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    masks.sort();
    let indexed = |path: &Path| {
        let mut reader =
            png::Decoder::new(std::io::BufReader::new(fs_err::File::open(path).unwrap()));
        reader.set_transformations(png::Transformations::IDENTITY);
        let mut reader = reader.read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        Array2::from_shape_vec((info.height as usize, info.width as usize), bytes).unwrap()
    };
    let every = (masks.len() / 24).max(1);
    let scene = |path: &PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let photo = image::open(root.join(format!("JPEGImages/{name}.jpg"))).unwrap().to_rgb8();
        let shape = (photo.height() as usize, photo.width() as usize, 3);
        let photo = Array3::from_shape_vec(shape, photo.into_raw()).unwrap();
        let label = indexed(&root.join(format!("SegmentationClass/{name}.png")));
        Scene { label, objects: indexed(path), photo, name }
    };
    masks.iter().step_by(every).take(24).map(scene).collect()
}

/// A mask blurred at a quarter of its size: what a CAM looks like.
fn blurred(mask: &Array2<bool>, reach: usize) -> Array2<f32> {
    let size = (mask.dim().0.div_ceil(4), mask.dim().1.div_ceil(4));
    let mut map = canvas::nearest(mask, size).mapv(|inside| f32::from(u8::from(inside)));
    for _ in 0..3 {
        for axis in [Axis(0), Axis(1)] {
            for mut lane in map.lanes_mut(axis) {
                let line = lane.to_vec();
                for index in 0..line.len() {
                    let (from, to) =
                        (index.saturating_sub(reach), (index + reach + 1).min(line.len()));
                    lane[index] = line[from..to].iter().sum::<f32>() / (to - from) as f32;
                }
            }
        }
    }
    let most = map.iter().copied().fold(1e-3, f32::max);
    map / most
}

/// All pictures of a scene, as if a network had made them.
fn pictures(scene: &Scene) -> (Vec<(&'static str, Picture)>, Vec<usize>, Vec<f32>) {
    let (masks, classes) = instances::split_objects(&scene.objects, &scene.label);
    let classes: Vec<usize> = classes.into_iter().map(|class| class.unwrap_or(0)).collect();
    let mut keys = classes.clone();
    keys.sort_unstable();
    keys.dedup();
    let maps: Vec<_> = keys
        .iter()
        .map(|key| blurred(&scene.label.mapv(|v| usize::from(v) == key + 1), 5))
        .collect();
    let views: Vec<_> = maps.iter().map(|map| map.view()).collect();
    let maps = stack(Axis(0), &views).unwrap();
    let size = canvas::size(&scene.photo);
    let large: Vec<_> = maps.axis_iter(Axis(0)).map(|map| canvas::bilinear(&map, size)).collect();
    let decide = |high: f32, low: f32| {
        Array2::from_shape_fn(size, |place| {
            let best = (0..keys.len()).max_by(|a, b| large[*a][place].total_cmp(&large[*b][place]));
            match best.map(|best| (large[best][place], keys[best] as u8 + 1)) {
                Some((value, label)) if value > high => label,
                Some((value, _)) if value > low => 255,
                _ => 0,
            }
        })
    };
    let scores: Vec<f32> = (0..classes.len()).map(|i| 0.97 - 0.13 * i as f32).collect();
    let pictures = vec![
        ("photo", scene.photo.clone()),
        ("CAM", heat::cam(&scene.photo, &maps)),
        ("relation label", labels::relation_label(&decide(0.55, 0.2))),
        ("boundary", heat::boundary(&blurred(&canvas::edges(&scene.objects), 1), size)),
        ("displacement", field::displacement_with_wheel(&to_centres(&masks), size)),
        ("semantic", labels::semantic(&scene.photo, &decide(0.4, 0.4))),
        ("instances", instances::instances(&scene.photo, &masks, &classes, &scores, &VOC_CLASSES)),
        ("true classes", labels::semantic(&scene.photo, &scene.label)),
        (
            "true instances",
            instances::ground_truth_instances(
                &scene.photo,
                &scene.objects,
                &scene.label,
                &VOC_CLASSES,
            ),
        ),
    ];
    (pictures, keys, scores)
}

/// Vectors from each mask pixel to its mask's centre, at a quarter of the size.
fn to_centres(masks: &Array3<bool>) -> Array3<f32> {
    let (_, height, width) = masks.dim();
    let mut field = Array3::zeros((2, height.div_ceil(4), width.div_ceil(4)));
    for mask in masks.axis_iter(Axis(0)) {
        let places: Vec<_> =
            mask.indexed_iter().filter(|(_, v)| **v).map(|(place, _)| place).collect();
        let mean = |axis: fn(&(usize, usize)) -> usize| {
            places.iter().map(axis).sum::<usize>() as f32 / places.len().max(1) as f32
        };
        let (y, x) = (mean(|place| place.0), mean(|place| place.1));
        for (row, column) in places.iter().filter(|(row, column)| row % 4 == 0 && column % 4 == 0) {
            let vector = [y - *row as f32, x - *column as f32];
            field.slice_mut(s![.., row / 4, column / 4]).assign(&ndarray::arr1(&vector));
        }
    }
    field
}

/// Numbers of the shape a real run has.
fn numbers(names: &[&str]) -> Report {
    let column = |name: &str, seed: f64, background: Option<f64>| {
        let value =
            |key: usize| (key % 5 != 3).then(|| 0.5 + 0.4 * (key as f64 * 1.7 + seed).sin());
        let classes = (0..names.len()).map(value).collect();
        Scores { name: name.into(), background, classes, mean: Some(0.45 + seed / 20.0) }
    };
    let line = |name: &str, count: usize, value: &dyn Fn(f64) -> f64| {
        let point = |i: usize| (i as f64, value(i as f64 / count as f64));
        Series { name: name.into(), points: (0..count).map(point).collect() }
    };
    let noise = |x: f64| (x * 977.0).sin() * (x * 3571.0).cos();
    let loss = |name: &str, from: f64| {
        line(name, 1500, &|x| from * (-3.0 * x).exp() + 0.08 + 0.05 * from * noise(x * TAU + from))
    };
    let chart = |title: &str, x: &str, y: &str, series: Vec<Series>, mark_best: bool| Chart {
        title: title.into(),
        x_label: x.into(),
        y_label: y.into(),
        series,
        mark_best,
    };
    let sweep = |name: &str, peak: f64| {
        let points = (1..60).map(|i| f64::from(i) / 100.0);
        let points = points.map(|x| (x, 0.56 - 2.1 * (x - peak).powi(2))).collect();
        Series { name: name.into(), points }
    };
    Report {
        title: "IRNet on VOC animals".into(),
        note: "VOC 2012, six animal classes and person; 24 of 233 validation photos; CPU".into(),
        class_names: names.iter().map(ToString::to_string).collect(),
        scores: vec![
            column("CAM IoU", 1.0, Some(0.78)),
            column("relation label IoU", 2.0, Some(0.81)),
            column("semantic IoU", 3.4, Some(0.88)),
            column("AP50", 0.2, None),
            column("AP75", -2.0, None),
        ],
        evaluation: vec![chart(
            "CAM threshold sweep",
            "background threshold",
            "mIoU",
            vec![sweep("CAM", 0.16), sweep("semantic", 0.25)],
            true,
        )],
        training: vec![
            chart("CAM loss", "step", "loss", vec![loss("classification", 0.7)], false),
            chart(
                "IRNet losses",
                "step",
                "loss",
                vec![
                    loss("affinity +", 0.9),
                    loss("affinity −", 0.6),
                    loss("displacement fg", 1.4),
                ],
                false,
            ),
            chart(
                "Learning rate",
                "step",
                "rate",
                vec![line("head", 90, &|x| 0.1 * (1.0 - x).powf(0.9))],
                false,
            ),
        ],
        timings: [("cam", 61.0), ("ir_label", 95.2), ("irn", 412.0), ("ins_seg", 48.7)]
            .map(|(stage, seconds)| Timing { stage: stage.into(), seconds, images: Some(233) })
            .into(),
        images: Vec::new(),
        settings: "data:\n  root: VOC2012\ncam:\n  scales: [1.0, 0.5, 1.5, 2.0]\n".into(),
    }
}

#[test]
fn a_set_of_photos_becomes_strips_and_a_page() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = std::env::var_os("IRN_VIEW_OUT").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| temporary.path().to_owned());
    let scenes: Vec<Scene> = match std::env::var_os("IRN_VIEW_VOC") {
        Some(root) => from_voc(Path::new(&root)),
        None => (0..5).map(drawn).collect(),
    };
    let mut report = numbers(&VOC_CLASSES);
    for (index, scene) in scenes.iter().enumerate() {
        let (pictures, classes, scores) = pictures(scene);
        assert!(pictures.iter().all(|(_, picture)| picture.dim() == scene.photo.dim()));
        let png = encode::png(&strip::grid(&pictures, 3)).unwrap();
        fs_err::write(folder.join(format!("{}.png", scene.name)), png).unwrap();
        let panels =
            pictures.iter().map(|(kind, picture)| Panel::new(*kind, picture, 500).unwrap());
        report.images.push(ReportImage {
            name: scene.name.clone(),
            classes,
            iou: (index % 4 != 3).then_some(0.9 - 0.07 * index as f64 % 0.6),
            scores,
            panels: panels.collect(),
        });
    }
    let path = folder.join("report.html");
    report.write(&path).unwrap();
    let text = fs_err::read_to_string(&path).unwrap();
    assert_eq!(text.matches("<article").count(), scenes.len());
    assert_eq!(text.matches("<img loading").count(), 9 * scenes.len());
    assert_eq!(text.matches("<svg").count(), 4);
}
