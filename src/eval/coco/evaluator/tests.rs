//! Cases whose figures follow by hand; those of pycocotools are in `tests/it/coco.rs`.

use ndarray::Array2;

use super::super::rle::Rle;
use super::*;

/// A mask of `width` columns from `left` on, in an image of 40 x 100 pixels.
fn strip(left: usize, width: usize) -> Shape {
    let within = left..left + width;
    Shape::new(Rle::new(Array2::from_shape_fn((40, 100), |(_, x)| within.contains(&x)).view()))
}

fn object(left: usize, width: usize, crowd: bool) -> (usize, Object) {
    (0, Object { shape: strip(left, width), area: 40.0 * width as f64, crowd })
}

fn found(left: usize, width: usize, score: f64) -> (usize, Detection) {
    (0, Detection { shape: strip(left, width), area: 40.0 * width as f64, score })
}

fn scores(objects: Vec<(usize, Object)>, detections: Vec<(usize, Detection)>) -> CocoScores {
    CocoEvaluator::of_image(&Judged { objects, detections }).unwrap().finish(2)
}

/// Equal up to what pycocotools adds to its denominators.
fn is(found: Option<f64>, expected: f64) -> bool {
    found.is_some_and(|found| (found - expected).abs() < 1e-12)
}

#[test]
fn a_perfect_detection_among_classes_without_objects() {
    let scores = scores(vec![object(0, 50, false)], vec![found(0, 50, 0.5)]);
    assert!(is(scores.ap, 1.0) && is(scores.ap50, 1.0));
    let [small, medium, large] = scores.ap_by_area;
    assert!(is(medium, 1.0) && small.is_none() && large.is_none());
    assert_eq!(scores.classes[1].ap, None);
    assert_eq!(scores.ar_by_count, [Some(1.0); 3]);
}

#[test]
fn iou_decides_at_which_thresholds_it_counts() {
    let scores = scores(vec![object(0, 50, false)], vec![found(0, 40, 0.5)]);
    assert!(is(scores.ap50, 1.0) && is(scores.ap75, 1.0));
    assert!(is(scores.ap, 0.7), "0.8 reaches seven of ten thresholds");
}

#[test]
fn detections_in_a_crowd_are_neither_right_nor_wrong() {
    let objects = || vec![object(0, 20, false), object(40, 60, true)];
    let right = found(0, 20, 0.1);
    let in_crowd = [found(50, 10, 0.9), found(70, 20, 0.8)];
    let with = scores(objects(), [vec![right.clone()], in_crowd.to_vec()].concat());
    assert!(is(with.ap, 1.0));
    assert_eq!(with.classes[0].objects, 1);
    let wrong = scores(objects(), vec![right, found(20, 15, 0.9)]);
    assert!(is(wrong.ap, 0.5));
}

#[test]
fn masks_of_other_sizes_are_refused() {
    let small = Shape::new(Rle::new(Array2::from_elem((3, 3), true).view()));
    let detections = vec![(0, Detection { shape: small, area: 9.0, score: 1.0 })];
    let judged = Judged { objects: vec![object(0, 5, false)], detections };
    assert!(CocoEvaluator::of_image(&judged).is_err());
}

#[test]
fn nothing_at_all_has_no_figures() {
    let scores = CocoEvaluator::default().finish(1);
    assert!(scores.figures().iter().all(|(_, value)| value.is_none()));
    assert!(scores.table(&["cat".to_string()]).contains("AP75"));
}
