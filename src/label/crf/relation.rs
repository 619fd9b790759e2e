//! Relation labels, on which IRNet learns (upstream step `cam_to_ir_label`): where the CAMs are
//! confidently foreground, confidently background, or neither, after a CRF on each.

use anyhow::{Result, ensure};
use ndarray::{Array2, ArrayView2, ArrayView3};

use super::mean_field::first_largest;
use super::{CrfSettings, DenseCrf};

/// Label of a pixel that is neither confidently foreground nor background.
const UNKNOWN: u8 = 255;

/// The relation label (height, width) of `photo` (height, width, RGB): class number + 1, 0 for
/// background, 255 where unknown.
///
/// `high_res` holds one CAM (height, width) for each class of `keys`. A pixel is foreground where the
/// CRF says so with `conf_fg` as background score, else background where the CRF with the lower score
/// `conf_bg` says so too. Without classes everything is background.
///
/// # Errors
/// Sizes that don't fit together, class numbers above 253, and what [`DenseCrf::new`] refuses.
pub fn relation_label(
    photo: ArrayView3<u8>,
    high_res: ArrayView3<f32>,
    keys: &[usize],
    conf_fg: f32,
    conf_bg: f32,
    settings: &CrfSettings,
) -> Result<Array2<u8>> {
    let (height, width, _) = photo.dim();
    let (size, expected) = (high_res.dim(), (keys.len(), height, width));
    if keys.is_empty() {
        return Ok(Array2::zeros((height, width)));
    }
    ensure!(size == expected, "CAMs of shape {size:?}, not (classes, height, width) {expected:?}");
    ensure!(keys.iter().all(|&key| key < 254), "class numbers {keys:?} don't fit beside 255");
    let start = |confidence| strongest(high_res, confidence);
    let (crf, starts) = rayon::join(
        || DenseCrf::new(photo, settings),
        || rayon::join(|| start(conf_fg), || start(conf_bg)),
    );
    let (crf, maps) = (crf?, [starts.0.view(), starts.1.view()]);
    let sure = crf.classify_all(&maps, keys.len() + 1)?;
    Ok(combine(sure[0].view(), sure[1].view(), keys))
}

/// Per pixel 1 + the index of the strongest CAM, or 0 where none exceeds `background`.
fn strongest(high_res: ArrayView3<f32>, background: f32) -> Array2<u8> {
    let (count, height, width) = high_res.dim();
    let mut scores = vec![0.0; count];
    Array2::from_shape_fn((height, width), |(y, x)| {
        for (class, score) in scores.iter_mut().enumerate() {
            *score = high_res[[class, y, x]];
        }
        first_largest(background, &scores) as u8
    })
}

/// Foreground where `foreground` is; background where both are; else unknown.
fn combine(foreground: ArrayView2<u8>, background: ArrayView2<u8>, keys: &[usize]) -> Array2<u8> {
    let combined = foreground.iter().zip(background).map(|pair| match pair {
        (0, 0) => 0,
        (0, _) => UNKNOWN,
        (&label, _) => (keys[usize::from(label) - 1] + 1) as u8,
    });
    let values = combined.collect();
    Array2::from_shape_vec(foreground.dim(), values).expect("one value a pixel")
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, array};

    use super::*;

    #[test]
    fn foreground_of_either_run_wins_and_disagreement_is_unknown() {
        let (fg, bg) = (array![[0, 0, 1, 2]], array![[0, 1, 1, 0]]);
        assert_eq!(combine(fg.view(), bg.view(), &[3, 14]), array![[0, 255, 4, 15]]);
    }

    #[test]
    fn ties_go_to_the_background_then_to_the_first_class() {
        let cams = Array3::from_shape_vec((2, 1, 3), vec![0.3, 0.5, 0.1, 0.2, 0.5, 0.4]).unwrap();
        assert_eq!(strongest(cams.view(), 0.3), array![[0, 1, 2]]);
    }

    #[test]
    fn a_photo_without_classes_is_background() {
        let photo = Array3::zeros((4, 5, 3));
        let cams = Array3::zeros((0, 4, 5));
        let settings = CrfSettings::default();
        let label = relation_label(photo.view(), cams.view(), &[], 0.3, 0.05, &settings).unwrap();
        assert_eq!(label, Array2::<u8>::zeros((4, 5)));
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        let (photo, cams) = (Array3::zeros((4, 5, 3)), Array3::zeros((1, 5, 4)));
        let settings = CrfSettings::default();
        let label = relation_label(photo.view(), cams.view(), &[7], 0.3, 0.05, &settings);
        assert!(label.unwrap_err().to_string().contains("(1, 5, 4)"));
    }
}
