//! Class activation maps of several scales become one map a class (upstream's `make_cam`).

use anyhow::{Result, anyhow};
use ndarray::{Array3, ArrayViewMut3, Axis};

use super::interpolate::{Size, resize_cut};
use crate::Hint;

/// The maps of the classes that a photo shows, in the order of its keys.
#[derive(Clone, Debug, PartialEq)]
pub struct MergedCam {
    /// `[K, ceil(H/4), ceil(W/4)]`, for the random walk.
    pub cam: Array3<f32>,
    /// `[K, H, W]`, for the CRF and the evaluation.
    pub high_res: Array3<f32>,
}

/// Sums `maps` (one `[classes,h,w]` a scale, mirror halves already added) at both resolutions and
/// divides each class of `keys` by its maximum.
///
/// # Errors
/// A key that a map has no channel for.
pub fn merge(maps: &[Array3<f32>], size: Size, keys: &[usize]) -> Result<MergedCam> {
    let classes = maps.iter().map(|map| map.dim().0).min().unwrap_or(0);
    ensure_keys(keys, classes)?;
    let (h, w) = size;
    let small = (h.div_ceil(4), w.div_ceil(4));
    let large = (h.div_ceil(16) * 16, w.div_ceil(16) * 16);
    let present: Vec<_> = maps.iter().map(|map| map.select(Axis(0), keys)).collect();
    let sum = |full: Size, cut: Size| {
        let mut total = Array3::zeros((keys.len(), cut.0, cut.1));
        for map in &present {
            total += &resize_cut(map.view(), full, cut);
        }
        divide_by_maximum(total.view_mut());
        total
    };
    Ok(MergedCam { cam: sum(small, small), high_res: sum(large, size) })
}

fn ensure_keys(keys: &[usize], classes: usize) -> Result<()> {
    if let Some(key) = keys.iter().find(|&&key| key >= classes) {
        let error = anyhow!("class {key} has no map: the network knows {classes} classes");
        return Err(error)
            .hint("use a network that was trained with the class list of this data set");
    }
    Ok(())
}

/// Divides every channel by its maximum + 1e-5: a channel of zeros stays as it is.
pub fn divide_by_maximum(mut maps: ArrayViewMut3<f32>) {
    for mut map in maps.axis_iter_mut(Axis(0)) {
        let divisor = map.iter().copied().fold(f32::NEG_INFINITY, f32::max) + 1e-5;
        map.mapv_inplace(|value| value / divisor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_range() {
        let maps = [Array3::ones((3, 2, 3)), Array3::ones((3, 1, 2))];
        let merged = merge(&maps, (17, 33), &[0, 2]).unwrap();
        assert_eq!(merged.cam.dim(), (2, 5, 9));
        assert_eq!(merged.high_res.dim(), (2, 17, 33));
        assert!(merged.cam.iter().all(|&v| (v - 1.0).abs() < 1e-5));
    }

    #[test]
    fn an_unknown_class_is_named() {
        let error = merge(&[Array3::ones((3, 2, 3))], (17, 33), &[1, 3]).unwrap_err();
        assert!(format!("{error:#}").contains("class 3"), "{error:#}");
    }

    #[test]
    fn a_photo_without_classes_has_no_maps() {
        let merged = merge(&[Array3::ones((3, 2, 3))], (17, 33), &[]).unwrap();
        assert_eq!(merged.high_res.dim(), (0, 17, 33));
    }
}
