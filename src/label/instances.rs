//! Instance masks: every class in every cluster is walked by itself (upstream's
//! `make_ins_seg_labels`).
//!
//! There can be many clusters, and each map is zero outside its own. Maps that are zero everywhere are
//! left out from the start: they could never win a pixel.

use ndarray::{Array3, ArrayView2, ArrayView3, Axis, Zip, s};

use super::centroids::{STEPS, settle};
use super::clusters::{Clusters, WEAK, clusters, weak_components};
use super::components::{Run, pieces};
use super::interpolate::Size;
use super::random_walk::{Walk, random_walk};
use super::winners::winners;

/// The part of the photo below which a piece counts as a fragment.
const FRAGMENT: f64 = 0.01;

/// The instances of one photo, ordered by class, cluster and first pixel.
#[derive(Clone, Debug, PartialEq)]
pub struct Instances {
    /// In `[0, 1]`; 0 for fragments.
    pub score: Vec<f32>,
    /// `[n,H,W]`; no two overlap.
    pub mask: Array3<bool>,
    /// 0-based classes.
    pub class: Vec<usize>,
}

/// Class maps split by cluster: only those with a score somewhere, class-major.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceCams {
    /// `[n,h,w]`.
    pub maps: Array3<f32>,
    /// For every map the position of its class among the keys, and its cluster.
    pub origin: Vec<(usize, usize)>,
}

/// Clusters of the displacement field `dp` `[2,h,w]`, as upstream finds them.
pub fn find_clusters(dp: ArrayView3<f32>) -> Clusters {
    clusters(settle(dp, STEPS).view(), weak_components(dp, WEAK).view())
}

/// Splits the class maps `cams` `[K,h,w]` by `clusters`.
pub fn split(cams: ArrayView3<f32>, clusters: &Clusters) -> InstanceCams {
    let (_, h, w) = cams.dim();
    let mut origin = Vec::new();
    for (class, cam) in cams.outer_iter().enumerate() {
        let mut busy = vec![false; clusters.count];
        Zip::from(cam).and(&clusters.map).for_each(|&score, &of| busy[of] |= score != 0.0);
        origin.extend((0..clusters.count).filter(|&of| busy[of]).map(|of| (class, of)));
    }
    let mut maps = Array3::zeros((origin.len(), h, w));
    for (mut map, &(class, cluster)) in maps.outer_iter_mut().zip(&origin) {
        Zip::from(&mut map).and(cams.index_axis(Axis(0), class)).and(&clusters.map).for_each(
            |out, &score, &of| {
                if of == cluster {
                    *out = score;
                }
            },
        );
    }
    InstanceCams { maps, origin }
}

/// Every connected piece of every map's pixels is an instance (upstream's `detect_instance`).
///
/// `class[i]` is the class of map `i + 1`. Pieces with fewer than `least` pixels stay, with score 0.
pub fn detect(
    score: ArrayView2<f32>,
    map: ArrayView2<u32>,
    class: &[usize],
    least: f64,
) -> Instances {
    let pieces = pieces(map);
    let mut order: Vec<usize> = (0..pieces.values.len()).collect();
    order.sort_by_key(|&piece| pieces.values[piece]);
    let (mut size, mut best) = (vec![0usize; order.len()], vec![0f32; order.len()]);
    let mut place = vec![0; order.len()];
    order.iter().enumerate().for_each(|(to, &piece)| place[piece] = to);
    let (h, w) = map.dim();
    let mut mask = Array3::from_elem((order.len(), h, w), false);
    for Run { row, start, end, component } in pieces.runs {
        let (scores, part) = (score.row(row), s![place[component], row, start..end]);
        size[component] += end - start;
        let scores = scores.slice_move(s![start..end]);
        best[component] = scores.iter().copied().fold(best[component], f32::max);
        mask.slice_mut(part).fill(true);
    }
    let score = |&piece: &usize| if (size[piece] as f64) < least { 0.0 } else { best[piece] };
    let class = |&piece: &usize| class[pieces.values[piece] as usize - 1];
    Instances {
        score: order.iter().map(score).collect(),
        mask,
        class: order.iter().map(class).collect(),
    }
}

/// From class maps `cams` `[K,h,w]`, boundaries `edge` `[h,w]` and displacements `dp` `[2,h,w]` to the
/// instances of a photo of `size` (H, W). A photo without any has empty arrays.
///
/// # Panics
/// When the maps have different sizes or there are fewer `keys` than maps.
pub fn instances(
    cams: ArrayView3<f32>,
    edge: ArrayView2<f32>,
    dp: ArrayView3<f32>,
    keys: &[usize],
    size: Size,
    walk: &Walk,
    threshold: f32,
) -> Instances {
    let cams = split(cams, &find_clusters(dp));
    let walked = random_walk(cams.maps.view(), edge, walk);
    let class: Vec<usize> = cams.origin.iter().map(|&(class, _)| keys[class]).collect();
    let winners = winners(walked.view(), size, threshold);
    let least = FRAGMENT * (size.0 * size.1) as f64;
    detect(winners.score.view(), winners.map.view(), &class, least)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn split_is_class_major_and_leaves_out_empty_maps() {
        let cams = array![[[1.0, 0.0, 2.0]], [[0.0, 3.0, 4.0]]];
        let clusters = Clusters { map: array![[0, 1, 2]], count: 3 };
        let split = split(cams.view(), &clusters);
        assert_eq!(split.origin, [(0, 0), (0, 2), (1, 1), (1, 2)]);
        assert_eq!(split.maps.index_axis(Axis(0), 1), array![[0.0, 0.0, 2.0]]);
    }

    #[test]
    fn pieces_are_ordered_by_map_then_by_first_pixel() {
        let map = array![[2, 0, 1, 2], [2, 0, 1, 0]];
        let score = array![[0.3, 0.0, 0.9, 0.8], [0.6, 0.0, 0.5, 0.0]];
        let found = detect(score.view(), map.view(), &[11, 14], 2.0);
        assert_eq!(found.class, [11, 14, 14]);
        assert_eq!(found.score, [0.9, 0.6, 0.0]);
        assert!(found.mask[[1, 1, 0]] && found.mask[[2, 0, 3]] && !found.mask[[0, 0, 0]]);
    }

    #[test]
    fn a_photo_without_instances_has_empty_arrays() {
        for channels in [0, 2] {
            let zero = Array3::zeros((channels, 5, 6));
            let dp = Array3::zeros((2, 5, 6));
            let edge = Array2::zeros((5, 6));
            let keys = [1, 2];
            let walk = Walk::default();
            let found =
                instances(zero.view(), edge.view(), dp.view(), &keys, (18, 22), &walk, 0.25);
            assert_eq!(found.mask.dim(), (0, 18, 22));
            assert!(found.score.is_empty() && found.class.is_empty());
        }
    }

    #[test]
    fn two_objects_of_one_class_are_two_instances() {
        let aim = |x: usize| if x < 12 { 5.0 } else { 18.0 };
        let dp = Array3::from_shape_fn((2, 10, 24), |(c, y, x)| {
            if c == 0 { 5.0 - y as f32 } else { aim(x) - x as f32 }
        });
        let edge = Array2::from_shape_fn((10, 24), |(_, x)| f32::from(x == 11 || x == 12));
        let cams = Array3::ones((1, 10, 24));
        let found =
            instances(cams.view(), edge.view(), dp.view(), &[6], (40, 96), &Walk::default(), 0.25);
        assert_eq!(found.class, [6, 6]);
        assert!(found.score.iter().all(|&score| score > 0.99));
        assert!(found.mask[[0, 20, 10]] && found.mask[[1, 20, 80]]);
    }
}
