//! A threshold without ground truth: Li's minimum cross entropy (Li and Tam, *An iterative algorithm for minimum
//! cross entropy thresholding*, 1998) on how high the best scores of the pixels are.
//!
//! The rule asks for the threshold at which the two means, of the scores below and above it, describe the scores
//! best. Score maps have many small values and a long tail; there it stays near the foot of the tail, where Otsu's
//! rule goes to its middle.

use ndarray::ArrayView3;

/// Bins of the histogram between 0 and 1.
const BINS: usize = 1000;

/// How often scores occur; every image counts the same, whatever its size.
#[derive(Clone, Debug)]
pub struct Histogram {
    shares: Vec<f64>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { shares: vec![0.0; BINS] }
    }
}

impl Histogram {
    /// Adds the best score of every pixel of normalised maps `[K, h, w]`; an image without maps adds nothing.
    pub fn add(&mut self, scores: ArrayView3<f32>) {
        let (maps, height, width) = scores.dim();
        if maps == 0 {
            return;
        }
        let share = 1.0 / (height * width).max(1) as f64;
        for pixel in scores.lanes(ndarray::Axis(0)) {
            let best = pixel.iter().copied().fold(0.0, f32::max);
            let bin = (best * BINS as f32) as usize;
            self.shares[bin.min(BINS - 1)] += share;
        }
    }

    /// Adds the images of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.shares.iter_mut().zip(&other.shares).for_each(|(ours, theirs)| *ours += theirs);
    }

    /// The proposed threshold; `None` where all scores are the same.
    pub fn threshold(&self) -> Option<f64> {
        let mut threshold = self.mean(0, BINS)?;
        for _ in 0..1000 {
            let cut = ((threshold * BINS as f64) as usize).clamp(1, BINS - 1);
            let (below, above) = (self.mean(0, cut)?, self.mean(cut, BINS)?);
            let next = (above - below) / (above.ln() - below.ln());
            if (next - threshold).abs() < 0.1 / BINS as f64 {
                return Some(next);
            }
            threshold = next;
        }
        Some(threshold)
    }

    /// The mean score of the bins from `first` to before `last`; `None` where they are empty.
    fn mean(&self, first: usize, last: usize) -> Option<f64> {
        let middle = |bin: usize| (bin as f64 + 0.5) / BINS as f64;
        let weight: f64 = self.shares[first..last].iter().sum();
        let total: f64 = (first..last).map(|bin| middle(bin) * self.shares[bin]).sum();
        (weight > 0.0).then(|| total / weight)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;

    #[test]
    fn between_two_heaps_nearer_to_the_lower() {
        let mut histogram = Histogram::default();
        let scores = |y: usize, x: usize| if y < 3 { 0.8 } else { 0.02 + 0.01 * (x % 3) as f32 };
        histogram.add(Array3::from_shape_fn((1, 10, 30), |(_, y, x)| scores(y, x)).view());
        let threshold = histogram.threshold().unwrap();
        assert!((0.1..0.4).contains(&threshold), "{threshold}");
    }

    #[test]
    fn images_count_the_same_and_the_best_class_of_a_pixel_counts() {
        let (mut whole, mut parts) = (Histogram::default(), Histogram::default());
        let maps = Array3::from_shape_fn((2, 8, 8), |(c, y, x)| (c * y + x) as f32 / 16.0);
        whole.add(maps.view());
        whole.add(maps.view());
        let mut other = Histogram::default();
        other.add(maps.view());
        parts.merge(&other);
        parts.merge(&other);
        assert_eq!(whole.shares, parts.shares);
        assert!((whole.shares.iter().sum::<f64>() - 2.0).abs() < 1e-9);
    }

    #[test]
    fn one_value_has_no_threshold() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.threshold(), None);
        histogram.add(Array3::zeros((0, 4, 4)).view());
        histogram.add(Array3::zeros((1, 4, 4)).view());
        assert_eq!(histogram.threshold(), None);
    }
}
