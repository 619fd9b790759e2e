//! The semantic label of every pixel from the walked class maps (upstream's `make_sem_seg_labels`).

use ndarray::{Array2, Array3, ArrayView3};

use super::interpolate::{Size, upscale4};

/// Maps `[K,h,w]` at full size `[K,H,W]`, divided by ONE maximum over all of them, so that a single
/// threshold fits. All-zero maps stay zero.
pub fn scores(walked: ArrayView3<f32>, size: Size) -> Array3<f32> {
    let mut scores = upscale4(walked, size);
    let maximum = scores.iter().copied().fold(0.0, f32::max);
    if maximum > 0.0 {
        scores.mapv_inplace(|score| score / maximum);
    }
    scores
}

/// The label map of `scores` `[K,H,W]`: class + 1 of the first highest score, or 0 where none is above
/// `threshold`. Class `keys[k]` belongs to map `k`.
pub fn label_of(scores: ArrayView3<f32>, keys: &[usize], threshold: f32) -> Array2<u8> {
    let (_, h, w) = scores.dim();
    let mut best = Array2::from_elem((h, w), threshold);
    let mut labels = Array2::zeros((h, w));
    for (map, &key) in scores.outer_iter().zip(keys) {
        let label = label_value(key);
        ndarray::Zip::from(&mut best).and(&mut labels).and(map).for_each(|best, of, &score| {
            if score > *best {
                (*best, *of) = (score, label);
            }
        });
    }
    labels
}

/// From walked maps `[K,h,w]` to labels `[H,W]`.
///
/// Maps that are zero everywhere give background; with `compat` they give the first class everywhere,
/// as upstream's division 0/0 does.
pub fn semantic(
    walked: ArrayView3<f32>,
    keys: &[usize],
    size: Size,
    threshold: f32,
    compat: bool,
) -> Array2<u8> {
    match keys.first() {
        Some(&key) if compat && walked.iter().all(|&score| score == 0.0) => {
            Array2::from_elem(size, label_value(key))
        }
        _ => label_of(scores(walked, size).view(), keys, threshold),
    }
}

/// Label values are one byte; 255 means unknown, so classes end at 253.
fn label_value(key: usize) -> u8 {
    u8::try_from(key + 1).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn background_wins_ties_then_the_first_class() {
        let scores = array![[[0.25, 0.5, 0.1]], [[0.2, 0.5, 0.3]]];
        assert_eq!(label_of(scores.view(), &[4, 7], 0.25), array![[0, 5, 8]]);
    }

    #[test]
    fn one_maximum_for_all_maps() {
        let maps = array![[[2.0]], [[8.0]]];
        assert_eq!(scores(maps.view(), (1, 2)), array![[[0.25, 0.25]], [[1.0, 1.0]]]);
    }

    #[test]
    fn without_any_score_all_is_background_unless_compatible() {
        let zero = Array3::zeros((2, 2, 2));
        assert_eq!(
            semantic(zero.view(), &[3, 5], (7, 6), 0.25, false),
            Array2::<u8>::zeros((7, 6))
        );
        assert_eq!(
            semantic(zero.view(), &[3, 5], (7, 6), 0.25, true),
            Array2::from_elem((7, 6), 4)
        );
    }

    #[test]
    fn no_class_is_background() {
        for compat in [false, true] {
            let labels = semantic(Array3::zeros((0, 2, 2)).view(), &[], (5, 5), 0.25, compat);
            assert_eq!(labels, Array2::<u8>::zeros((5, 5)));
        }
    }
}
