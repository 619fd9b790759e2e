//! Dense conditional random field (Kraehenbuehl and Koltun 2011, "Efficient inference in fully
//! connected CRFs with Gaussian edge potentials"): label maps are drawn to the edges of the photo.
//!
//! Every pixel pair attracts equal labels (Potts) with two kernels: a Gaussian on the distance, and a
//! bilateral one on distance and colour. The numbers are those of upstream's `crf_inference_label`
//! (pydensecrf). What depends only on the photo is built once and serves all label maps.

mod barycentric;
mod blur;
mod build;
mod kernels;
mod mean_field;
mod order;
mod permutohedral;
mod relation;
mod settings;
mod simplex;
mod softmax;
mod vertex_table;

use anyhow::{Result, bail, ensure};
use ndarray::{Array2, Array3, ArrayView2, ArrayView3};

use crate::Hint;
use kernels::Kernel;
use mean_field::{MeanField, Start};
use order::visiting_order;
use permutohedral::Lattice;
use simplex::{BLOCK, Lanes};

pub use relation::relation_label;
pub use settings::CrfSettings;

/// Longest side of a photo; lattice coordinates stay exact up to here.
const MAX_SIDE: usize = 65_535;
/// Most pixels of a photo; six vertices each must be numbered with 31 bits.
const MAX_PIXELS: usize = 350_000_000;

/// The field of one photo: both kernels with their normalisation.
pub struct DenseCrf {
    settings: CrfSettings,
    size: (usize, usize),
    /// The pixels in order of their visit; the lattices' points, by which all else here is ordered.
    order: Vec<u32>,
    /// Features x, y.
    gaussian: Lattice<3>,
    /// Features x, y, red, green, blue.
    bilateral: Lattice<6>,
    /// What each pixel would receive from both kernels if every pixel sent 1; by block.
    reach: Vec<Lanes<f32>>,
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

        let order = visiting_order(photo);
        let (gaussian, bilateral) = rayon::join(
            || Kernel::gaussian((height, width), &order, settings),
            || Kernel::bilateral(photo, &order, settings),
        );
        let (gaussian, bilateral) = (gaussian?, bilateral?);
        let mut reach = bilateral.reach;
        let sums = reach.as_flattened_mut().iter_mut().zip(gaussian.reach.as_flattened());
        sums.for_each(|(sum, near)| *sum += near);
        let (gaussian, bilateral) = (gaussian.lattice, bilateral.lattice);
        let (settings, size) = (settings.clone(), (height, width));
        Ok(Self { settings, size, order, gaussian, bilateral, reach })
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
        let mut labels = vec![[0; BLOCK]; self.reach.len() * runs];
        for (run, map) in label_maps.iter().enumerate() {
            let (size, photo) = (map.dim(), self.size);
            ensure!(size == photo, "a label map of {size:?} for a photo of {photo:?} pixels");
            let unknown = map.iter().find(|value| usize::from(**value) >= n_labels);
            if let Some(label) = unknown {
                bail!("label {label} in a map of {n_labels} labels (0 to n - 1)");
            }
            for (place, &pixel) in self.order.iter().enumerate() {
                let (y, x) = (pixel as usize / size.1, pixel as usize % size.1);
                labels[place / BLOCK * runs + run][place % BLOCK] = map[[y, x]];
            }
        }
        Ok(Start { labels, runs, classes: n_labels - 1 })
    }
}

#[cfg(test)]
mod tests;
