//! mIoU of score maps under many background thresholds in one pass: the best class of a pixel does not depend
//! on the threshold, only whether it beats it (`eval_cam.py`, once per threshold there).

use anyhow::{Result, ensure};
use ndarray::{Array2, ArrayView2, ArrayView3, Zip};

use super::semantic::{Confusion, Truth};

/// Confusion matrices for a list of thresholds.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// Ascending.
    thresholds: Vec<f32>,
    /// `bins[k]`: pixels whose best score is above exactly the first `k` thresholds, by their best class.
    bins: Vec<Confusion>,
}

impl Sweep {
    /// An empty sweep; the thresholds are sorted, repeated ones dropped.
    ///
    /// # Errors
    /// When there is no threshold, or one is NaN.
    pub fn new(thresholds: &[f32]) -> Result<Self> {
        ensure!(!thresholds.is_empty(), "a threshold sweep needs at least one threshold");
        ensure!(!thresholds.iter().any(|t| t.is_nan()), "a threshold is NaN");
        let mut thresholds = thresholds.to_vec();
        thresholds.sort_by(f32::total_cmp);
        thresholds.dedup();
        let bins = vec![Confusion::default(); thresholds.len() + 1];
        Ok(Self { thresholds, bins })
    }

    /// Adds one image: normalised score maps `[K, h, w]` of the 0-based classes `keys`, ground truth `[h, w]`.
    ///
    /// # Errors
    /// When shapes or the number of keys disagree, or a label is above 254.
    pub fn add<T: Truth>(
        &mut self,
        scores: ArrayView3<f32>,
        keys: &[usize],
        truth: ArrayView2<T>,
    ) -> Result<()> {
        let (maps, height, width) = scores.dim();
        let shape = truth.dim();
        ensure!((height, width) == shape, "scores are {height} x {width}, ground truth {shape:?}");
        ensure!(maps == keys.len(), "{maps} score maps for {} classes", keys.len());
        let highest = truth.iter().filter_map(|label| label.class()).max().unwrap_or(0);
        let highest = keys.iter().map(|key| key + 1).max().unwrap_or(0).max(highest);
        ensure!(highest < 255, "label {highest} is above 254");
        let (best, label) = best_of(scores, keys);
        Zip::from(&best).and(&label).and(truth).for_each(|&best, &label, &truth| {
            if let Some(truth) = truth.class() {
                let beaten = self.thresholds.partition_point(|&threshold| threshold < best);
                self.bins[beaten].count(truth, label, 1);
            }
        });
        Ok(())
    }

    /// The sum of both.
    ///
    /// # Errors
    /// When the thresholds differ.
    pub fn merge(mut self, other: Self) -> Result<Self> {
        ensure!(self.thresholds == other.thresholds, "sweeps over different thresholds");
        let bins = self.bins.into_iter().zip(other.bins);
        self.bins = bins.map(|(ours, theirs)| ours.merge(theirs)).collect();
        Ok(self)
    }

    /// Every threshold, ascending, with its confusion matrix.
    pub fn finish(&self) -> Vec<(f32, Confusion)> {
        let at = |(index, &threshold)| (threshold, self.matrix_at(index));
        self.thresholds.iter().enumerate().map(at).collect()
    }

    /// Pixels that beat threshold `index` keep their class, the others become background.
    fn matrix_at(&self, index: usize) -> Confusion {
        let mut matrix = Confusion::default();
        for (beaten, bin) in self.bins.iter().enumerate() {
            matrix.widen(bin.counts().nrows());
            for ((truth, label), &pixels) in bin.counts().indexed_iter() {
                matrix.count(truth, if beaten > index { label } else { 0 }, pixels);
            }
        }
        matrix
    }
}

/// Largest score and its label by pixel; the first of equal scores wins, NaN never does.
fn best_of(scores: ArrayView3<f32>, keys: &[usize]) -> (Array2<f32>, Array2<usize>) {
    let (_, height, width) = scores.dim();
    let mut best = Array2::from_elem((height, width), f32::NEG_INFINITY);
    let mut labels = Array2::zeros((height, width));
    for (map, key) in scores.outer_iter().zip(keys) {
        Zip::from(&mut best).and(&mut labels).and(map).for_each(|best, label, &score| {
            if score > *best {
                (*best, *label) = (score, key + 1);
            }
        });
    }
    (best, labels)
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::label::semantic::label_of;

    /// Scores on a coarse grid, so that ties and scores equal to a threshold occur.
    fn scene(seed: usize) -> (Array3<f32>, Vec<usize>, Array2<u8>) {
        let level =
            |c: usize, y: usize, x: usize| ((c * 7 + y * 5 + x * 3 + seed) % 11) as f32 / 10.0;
        let scores = Array3::from_shape_fn((2, 6, 7), |(c, y, x)| level(c, y, x));
        let truth = Array2::from_shape_fn((6, 7), |(y, x)| [0, 2, 5, 255][(y * x + seed) % 4]);
        (scores, vec![1, 4], truth)
    }

    #[test]
    fn agrees_with_one_threshold_at_a_time() {
        let thresholds = [0.3, 0.0, 0.5, 0.95, 0.3];
        let mut parts = [Sweep::new(&thresholds).unwrap(), Sweep::new(&thresholds).unwrap()];
        for seed in 0..6 {
            let (scores, keys, truth) = scene(seed);
            parts[seed % 2].add(scores.view(), &keys, truth.view()).unwrap();
        }
        let [first, second] = parts;
        let swept = first.merge(second).unwrap().finish();
        assert_eq!(swept.len(), 4);
        for (threshold, matrix) in swept {
            let mut expected = Confusion::new(6);
            for seed in 0..6 {
                let (scores, keys, truth) = scene(seed);
                let labels = label_of(scores.view(), &keys, threshold);
                expected.add(labels.view(), truth.view()).unwrap();
            }
            assert_eq!(matrix, expected, "threshold {threshold}");
        }
    }

    #[test]
    fn unusable_thresholds_are_refused() {
        assert!(Sweep::new(&[]).is_err());
        assert!(Sweep::new(&[f32::NAN]).is_err());
    }
}
