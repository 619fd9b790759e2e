//! The lattice's field against a brute-force one, odd sizes, many classes, threads.

use ndarray::{Array2, Array3};
use proptest::prelude::*;

use super::*;

/// Soft blobs of colour and noise, reproducible.
fn photo(height: usize, width: usize, seed: u32) -> Array3<u8> {
    Array3::from_shape_fn((height, width, 3), |(y, x, c)| {
        let region = (2 * y / height.max(1) + 2 * x / width.max(1) + c) % 3;
        let mixed = (y * 7919 + x * 104_729 + c * 31 + seed as usize * 65_537) as u32;
        (60 * region as u32 + 40 + mixed.wrapping_mul(2_654_435_761) % 13) as u8
    })
}

fn labels(height: usize, width: usize, n_labels: usize) -> Array2<u8> {
    Array2::from_shape_fn((height, width), |(y, x)| ((y / 3 + x / 4) % n_labels) as u8)
}

/// Exact mean field: full kernels, f64, the plain formulas.
fn brute_force(
    photo: &Array3<u8>,
    labels: &Array2<u8>,
    n: usize,
    set: &CrfSettings,
) -> Array3<f64> {
    let (height, width, _) = photo.dim();
    let at = |i: usize| (i / width, i % width);
    let square = |a: f64, b: f64, deviation: f32| ((a - b) / f64::from(deviation)).powi(2);
    let distance = |i: usize, j: usize, deviation: f32| {
        let ((y, x), (v, u)) = (at(i), at(j));
        square(y as f64, v as f64, deviation) + square(x as f64, u as f64, deviation)
    };
    let colour = |i: usize, j: usize| {
        let ((y, x), (v, u)) = (at(i), at(j));
        let level = |y, x, c| f64::from(photo[[y, x, c]]);
        (0..3).map(|c| square(level(y, x, c), level(v, u, c), set.bilateral_rgb)).sum::<f64>()
    };
    let count = height * width;
    let normalised = |kernel: Array2<f64>, weight: f32| {
        let norms: Vec<f64> = kernel.rows().into_iter().map(|row| row.sum().sqrt()).collect();
        Array2::from_shape_fn((count, count), |(i, j)| {
            f64::from(weight) * kernel[[i, j]] / (norms[i] * norms[j])
        })
    };
    let near = Array2::from_shape_fn((count, count), |(i, j)| {
        (-0.5 * distance(i, j, set.gaussian_xy)).exp()
    });
    let alike = Array2::from_shape_fn((count, count), |(i, j)| {
        (-0.5 * (distance(i, j, set.bilateral_xy) + colour(i, j))).exp()
    });
    let kernel = normalised(near, set.gaussian_weight) + normalised(alike, set.bilateral_weight);
    let sure = f64::from(set.confidence);
    let unary = Array2::from_shape_fn((count, n), |(i, label)| {
        let given = usize::from(labels[at(i)]) == label;
        if given { sure.ln() } else { ((1.0 - sure) / (n - 1) as f64).ln() }
    });
    let softmax = |mut logits: Array2<f64>| {
        for mut row in logits.rows_mut() {
            row.mapv_inplace(f64::exp);
            let total = row.sum();
            row /= total;
        }
        logits
    };
    let mut q = softmax(unary.clone());
    for _ in 0..set.steps {
        q = softmax(&unary + &kernel.dot(&q));
    }
    Array3::from_shape_fn((n, height, width), |(label, y, x)| q[[y * width + x, label]])
}

/// Pixels whose label differs although `exact` is decided by more than `margin`, and the mean
/// distance of the marginals.
fn compare(ours: &Array3<f32>, exact: &Array3<f64>, margin: f64) -> (usize, f64) {
    let (n, height, width) = exact.dim();
    let (mut wrong, mut distance) = (0, 0.0);
    for (y, x) in ndarray::indices((height, width)) {
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&a, &b| exact[[b, y, x]].total_cmp(&exact[[a, y, x]]));
        let decided = exact[[order[0], y, x]] - exact[[order[1], y, x]] > margin;
        let same = (0..n).all(|label| ours[[label, y, x]] <= ours[[order[0], y, x]]);
        wrong += usize::from(decided && !same);
        let apart = |label| (f64::from(ours[[label, y, x]]) - exact[[label, y, x]]).abs();
        distance += (0..n).map(apart).sum::<f64>() / n as f64;
    }
    (wrong, distance / (height * width) as f64)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The lattice approximates the Gaussians, so only labels that are clearly decided must agree.
    #[test]
    fn labels_agree_with_brute_force(
        height in 1usize..14, width in 1usize..14, n_labels in 2usize..5, seed in 0u32..1000,
    ) {
        let (photo, labels) = (photo(height, width, seed), labels(height, width, n_labels));
        // Few steps and weak kernels: differences of the approximation are not driven to 0 and 1.
        let settings = CrfSettings {
            gaussian_weight: 1.0, bilateral_weight: 2.0, bilateral_xy: 8.0, bilateral_rgb: 20.0,
            steps: 3, ..CrfSettings::default()
        };
        let crf = DenseCrf::new(photo.view(), &settings).unwrap();
        let ours = crf.infer(labels.view(), n_labels).unwrap();
        let exact = brute_force(&photo, &labels, n_labels, &settings);
        let (wrong, distance) = compare(&ours, &exact, 0.3);
        prop_assert_eq!(wrong, 0);
        prop_assert!(distance < 0.08, "mean distance of Q {}", distance);
    }
}

#[test]
fn tiny_photos_give_probabilities() {
    for (height, width) in [(1, 1), (1, 17), (17, 1), (2, 2)] {
        let photo = photo(height, width, 5);
        let crf = DenseCrf::new(photo.view(), &CrfSettings::default()).unwrap();
        let q = crf.infer(labels(height, width, 3).view(), 3).unwrap();
        assert_eq!(q.dim(), (3, height, width));
        for (y, x) in ndarray::indices((height, width)) {
            let total: f32 = (0..3).map(|label| q[[label, y, x]]).sum();
            assert!((total - 1.0).abs() < 1e-6, "{height} x {width}: {total}");
        }
    }
}

#[test]
fn runs_together_equal_runs_alone_for_few_and_for_many_classes() {
    let photo = photo(31, 26, 3);
    let crf = DenseCrf::new(photo.view(), &CrfSettings::default()).unwrap();
    for n_labels in [1, 2, 3, 4, 5, 6, 10, 21] {
        let first = labels(31, 26, n_labels);
        let second = first.mapv(|label| if label == 1 { 0 } else { label });
        let both = crf.infer_all(&[first.view(), second.view()], n_labels).unwrap();
        let winners = crf.classify_all(&[first.view(), second.view()], n_labels).unwrap();
        for ((q, winner), map) in both.iter().zip(&winners).zip([first, second]) {
            assert_eq!(q, crf.infer(map.view(), n_labels).unwrap(), "{n_labels} labels");
            for ((y, x), &label) in winner.indexed_iter() {
                let best = q[[usize::from(label), y, x]];
                assert!((0..n_labels).all(|other| q[[other, y, x]] <= best));
            }
        }
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    // More than one strip of points, and vertices of several tasks.
    let photo = photo(230, 301, 9);
    let labels = labels(230, 301, 3);
    let infer = || {
        let crf = DenseCrf::new(photo.view(), &CrfSettings::default()).unwrap();
        crf.infer(labels.view(), 3).unwrap()
    };
    let pool = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
    let (one, two, three) =
        (pool(1).install(infer), pool(2).install(infer), pool(3).install(infer));
    assert!(one == two && one == three);
}

#[test]
fn bad_input_is_refused_with_a_reason() {
    let grey = Array3::zeros((4, 4, 1));
    assert!(DenseCrf::new(grey.view(), &CrfSettings::default()).is_err());
    let empty = Array3::zeros((0, 4, 3));
    assert!(DenseCrf::new(empty.view(), &CrfSettings::default()).is_err());
    let bad = CrfSettings { bilateral_rgb: 0.0, ..CrfSettings::default() };
    let photo = photo(4, 4, 1);
    let error = DenseCrf::new(photo.view(), &bad).err().unwrap().to_string();
    assert!(error.contains("bilateral_rgb is 0"), "{error}");
    let crf = DenseCrf::new(photo.view(), &CrfSettings::default()).unwrap();
    assert!(crf.infer(Array2::zeros((4, 5)).view(), 2).is_err());
    assert!(crf.infer(Array2::from_elem((4, 4), 2).view(), 2).is_err());
    assert!(crf.infer(Array2::zeros((4, 4)).view(), 0).is_err());
    assert!(crf.infer_all(&[], 2).unwrap().is_empty());
}
