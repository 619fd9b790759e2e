//! The two kernels of the field: their features and their normalisation.

use anyhow::Result;
use ndarray::ArrayView3;
use rayon::prelude::*;

use super::CrfSettings;
use super::permutohedral::{Lattice, slice_factor};
use super::simplex::{BLOCK, Grid, Lanes};

/// A lattice that filters with the symmetrically normalised kernel times its weight.
pub struct Kernel<const V: usize> {
    /// Its points are the pixels in the order given.
    pub lattice: Lattice<V>,
    /// What each point receives if all send 1, by block.
    pub reach: Vec<Lanes<f32>>,
}

impl Kernel<3> {
    /// Near pixels attract each other: features x, y.
    pub fn gaussian(
        (height, width): (usize, usize),
        order: &[u32],
        settings: &CrfSettings,
    ) -> Result<Self> {
        let scale = 1.0 / settings.gaussian_xy;
        let grid = Grid::new(&[width as f32 * scale, height as f32 * scale])?;
        let fill = |first: usize, features: &mut [Lanes<f32>; 2]| {
            for (lane, pixel) in pixels(order, first, width) {
                features[0][lane] = pixel.0 as f32 / settings.gaussian_xy;
                features[1][lane] = pixel.1 as f32 / settings.gaussian_xy;
            }
        };
        let lattice = Lattice::new(order.len(), &grid, fill);
        Ok(Self::normalised(lattice, settings.gaussian_weight))
    }
}

impl Kernel<6> {
    /// Near pixels of similar colour attract each other: features x, y, red, green, blue.
    pub fn bilateral(photo: ArrayView3<u8>, order: &[u32], settings: &CrfSettings) -> Result<Self> {
        let (height, width, _) = photo.dim();
        let (place, colour) = (settings.bilateral_xy, settings.bilateral_rgb);
        let darkest_to_brightest = 255.0 / colour;
        let grid = Grid::new(&[
            width as f32 / place,
            height as f32 / place,
            darkest_to_brightest,
            darkest_to_brightest,
            darkest_to_brightest,
        ])?;
        let fill = |first: usize, features: &mut [Lanes<f32>; 5]| {
            for (lane, (x, y)) in pixels(order, first, width) {
                features[0][lane] = x as f32 / place;
                features[1][lane] = y as f32 / place;
                for channel in 0..3 {
                    let level = f32::from(photo[[y, x, channel]]);
                    features[2 + channel][lane] = level / colour;
                }
            }
        };
        let lattice = Lattice::new(order.len(), &grid, fill);
        Ok(Self::normalised(lattice, settings.bilateral_weight))
    }
}

impl<const V: usize> Kernel<V> {
    fn normalised(mut lattice: Lattice<V>, weight: f32) -> Self {
        let factor = slice_factor(V - 1);
        let root = |sum: f32| (1.0 / (f64::from(sum * factor) + 1e-20).sqrt()) as f32;
        let norms: Vec<f32> =
            filter_ones(&lattice).as_flattened().iter().copied().map(root).collect();
        lattice.scale(&norms, factor * weight);
        let reach = filter_ones(&lattice);
        Self { lattice, reach }
    }
}

/// Lanes of the block that starts with point `first`, and their pixels (x, y); lanes beyond the last
/// point repeat it.
fn pixels(
    order: &[u32],
    first: usize,
    width: usize,
) -> impl Iterator<Item = (usize, (usize, usize))> {
    (0..BLOCK).map(move |lane| {
        let pixel = order[(first + lane).min(order.len() - 1)] as usize;
        (lane, (pixel % width, pixel / width))
    })
}

fn filter_ones<const V: usize>(lattice: &Lattice<V>) -> Vec<Lanes<f32>> {
    let mut values = lattice.values(1);
    lattice.filter(&vec![[1.0f32]; lattice.blocks() * BLOCK], &mut values);
    let read = |block| {
        let mut sums = [[0.0f32]; BLOCK];
        lattice.slice(&values, block, 0, &mut sums);
        sums.map(|[sum]| sum)
    };
    (0..lattice.blocks()).into_par_iter().with_min_len(32).map(read).collect()
}
