//! Dense conditional random field (Kraehenbuehl and Koltun 2011, "Efficient inference in fully
//! connected CRFs with Gaussian edge potentials"): label maps are drawn to the edges of the photo.
//!
//! Every pixel pair attracts equal labels (Potts) with two kernels: a Gaussian on the distance, and a
//! bilateral one on distance and colour. The numbers are those of upstream's `crf_inference_label`
//! (pydensecrf). What depends only on the photo is built once and serves all label maps.

mod mean_field;
mod permutohedral;
mod relation;
mod settings;
mod simplex;
mod vertex_table;

use anyhow::{Result, ensure};
use ndarray::{Array2, Array3, ArrayView2, ArrayView3};
use rayon::prelude::*;

use crate::Hint;
use mean_field::{MeanField, Start};
use permutohedral::{Lattice, slice_factor};

pub use relation::relation_label;
pub use settings::CrfSettings;

/// Longest side of a photo; lattice coordinates stay exact up to here.
const MAX_SIDE: usize = 65_535;
/// Most pixels of a photo; six shares each must be numbered with 32 bits.
const MAX_PIXELS: usize = 500_000_000;

/// The field of one photo: both kernels with their normalisation.
pub struct DenseCrf {
    settings: CrfSettings,
    size: (usize, usize),
    /// Features x, y.
    gaussian: Lattice<3>,
    /// Features x, y, red, green, blue.
    bilateral: Lattice<6>,
    /// What each pixel would receive from both kernels if every pixel sent 1.
    reach: Vec<f32>,
}

impl DenseCrf {
    /// Builds both kernels for `photo` (height, width, RGB).
    ///
    /// # Errors
    /// Settings out of range ([`CrfSettings::check`]); a photo that is empty, not RGB or too large.
    pub fn new(photo: ArrayView3<u8>, settings: &CrfSettings) -> Result<Self> {
        settings.check()?;
        let (height, width, channels) = photo.dim();
        ensure!(channels == 3, "the CRF needs an RGB photo, not {channels} channels");
        ensure!(
            height > 0 && width > 0,
            "the CRF can't run on a photo of {width} x {height} pixels"
        );
        let small = height.max(width) <= MAX_SIDE && height * width <= MAX_PIXELS;
        let too_large = || anyhow::anyhow!("{width} x {height} pixels are too many for the CRF");
        small.then_some(()).ok_or_else(too_large).hint("scale the photo down")?;

        let at = |pixel: usize, deviation: f32| {
            [(pixel % width) as f32 / deviation, (pixel / width) as f32 / deviation]
        };
        let photo = photo.as_standard_layout();
        let bytes = photo.as_slice().expect("a standard layout is contiguous");
        let bilateral_features = |pixel: usize| {
            let [x, y] = at(pixel, settings.bilateral_xy);
            let colour = |c: usize| f32::from(bytes[3 * pixel + c]) / settings.bilateral_rgb;
            [x, y, colour(0), colour(1), colour(2)]
        };
        let count = height * width;
        let (gaussian, bilateral) = rayon::join(
            || normalised(count, |pixel| at(pixel, settings.gaussian_xy), settings.gaussian_weight),
            || normalised(count, bilateral_features, settings.bilateral_weight),
        );
        let reach = bilateral.1.iter().zip(&gaussian.1).map(|(b, g)| b + g).collect();
        let (gaussian, bilateral) = (gaussian.0, bilateral.0);
        Ok(Self { settings: settings.clone(), size: (height, width), gaussian, bilateral, reach })
    }

    /// Height and width of the photo.
    pub fn size(&self) -> (usize, usize) {
        self.size
    }

    /// Marginals `Q` (`n_labels`, height, width) after the set number of mean-field steps, started
    /// from `labels` (height, width; values below `n_labels`).
    ///
    /// # Errors
    /// `labels` of another size than the photo, or with a value that is not below `n_labels`.
    pub fn infer(&self, labels: ArrayView2<u8>, n_labels: usize) -> Result<Array3<f32>> {
        Ok(self.infer_all(&[labels], n_labels)?.remove(0))
    }

    /// [`infer`](Self::infer) for several label maps at once, which costs much less than one by one:
    /// each step filters the maps of all of them in one pass.
    ///
    /// # Errors
    /// As for [`infer`](Self::infer).
    pub fn infer_all(
        &self,
        label_maps: &[ArrayView2<u8>],
        n_labels: usize,
    ) -> Result<Vec<Array3<f32>>> {
        let start = self.start(label_maps, n_labels)?;
        Ok(match start.channels() {
            0..=4 => MeanField::<4>::solve(self, start).marginals(),
            5..=8 => MeanField::<8>::solve(self, start).marginals(),
            _ => MeanField::<16>::solve(self, start).marginals(),
        })
    }

    /// The likeliest label of each pixel, for several label maps at once; of equals the first.
    ///
    /// # Errors
    /// As for [`infer`](Self::infer).
    pub fn classify_all(
        &self,
        label_maps: &[ArrayView2<u8>],
        n_labels: usize,
    ) -> Result<Vec<Array2<u8>>> {
        let start = self.start(label_maps, n_labels)?;
        Ok(match start.channels() {
            0..=4 => MeanField::<4>::solve(self, start).labels(),
            5..=8 => MeanField::<8>::solve(self, start).labels(),
            _ => MeanField::<16>::solve(self, start).labels(),
        })
    }

    /// Checks the label maps and lays them side by side.
    fn start(&self, label_maps: &[ArrayView2<u8>], n_labels: usize) -> Result<Start> {
        ensure!((1..=256).contains(&n_labels), "the CRF takes 1 to 256 labels, not {n_labels}");
        let runs = label_maps.len();
        let mut labels = vec![0; self.reach.len() * runs];
        for (run, map) in label_maps.iter().enumerate() {
            let (size, photo) = (map.dim(), self.size);
            ensure!(size == photo, "a label map of {size:?} for a photo of {photo:?} pixels");
            for (label, &value) in labels.iter_mut().skip(run).step_by(runs).zip(map) {
                let known = usize::from(value) < n_labels;
                ensure!(known, "label {value} in a map of {n_labels} labels (0 to n - 1)");
                *label = value;
            }
        }
        Ok(Start { labels, runs, classes: n_labels - 1 })
    }
}

/// A lattice that filters with `weight` times the symmetrically normalised kernel, and what each point
/// then receives if all send 1. Normalisation and weight become part of the lattice's own weights.
fn normalised<const D: usize, const V: usize>(
    count: usize,
    feature_of: impl Fn(usize) -> [f32; D] + Sync,
    weight: f32,
) -> (Lattice<V>, Vec<f32>) {
    let mut lattice = Lattice::new(count, feature_of);
    let factor = slice_factor(D);
    let sums = filter_ones(&lattice);
    let root = |sum: f32| (1.0 / (f64::from(sum * factor) + 1e-20).sqrt()) as f32;
    let norms: Vec<f32> = sums.into_iter().map(root).collect();
    let output: Vec<f32> = norms.iter().map(|norm| norm * factor * weight).collect();
    lattice.scale(&norms, &output);
    let reach = filter_ones(&lattice);
    (lattice, reach)
}

fn filter_ones<const V: usize>(lattice: &Lattice<V>) -> Vec<f32> {
    let mut values = lattice.values(1);
    lattice.filter(&vec![[1.0f32]; lattice.points()], &mut values);
    (0..lattice.points()).into_par_iter().map(|point| lattice.slice(&values, point, 0)[0]).collect()
}

#[cfg(test)]
mod tests;
