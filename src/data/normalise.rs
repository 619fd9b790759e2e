//! Photos as network input: `(v / 255 - mean) / std` in f64, rounded once (upstream's
//! `TorchvisionNormalize`), by a table of the 256 values of each channel.

use ndarray::{Array3, Array4, ArrayView3, ArrayViewMut3, Axis, Zip, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Mean and standard deviation of each of R, G, B on a scale of 0..1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Normalisation {
    /// Subtracted first.
    pub mean: [f64; 3],
    /// Divided by.
    pub std: [f64; 3],
}

impl Default for Normalisation {
    /// ImageNet's, as in torchvision.
    fn default() -> Self {
        Self { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
    }
}

impl Normalisation {
    /// What each u8 value becomes, per channel.
    pub fn table(&self) -> [[f32; 256]; 3] {
        std::array::from_fn(|channel| {
            let (mean, std) = (self.mean[channel], self.std[channel]);
            std::array::from_fn(|value| ((value as f64 / 255.0 - mean) / std) as f32)
        })
    }

    /// `[H, W, 3]` u8 to `[3, H, W]` f32.
    pub fn normalise(&self, photo: ArrayView3<u8>) -> Array3<f32> {
        let (h, w, _) = photo.dim();
        let mut out = Array3::zeros((3, h, w));
        self.normalise_into(photo, out.view_mut());
        out
    }

    /// The photo and its mirror image, `[2, 3, H, W]`, in one pass over the photo's rows.
    pub fn pair(&self, photo: ArrayView3<u8>) -> Array4<f32> {
        let (h, w, _) = photo.dim();
        let mut pair = Array4::zeros((2, 3, h, w));
        if photo.is_empty() {
            return pair;
        }
        let photo = photo.as_standard_layout();
        let pixels = photo.as_slice().expect("standard layout");
        let tables = self.table();
        let values = pair.as_slice_mut().expect("a fresh array");
        let (plain, mirror) = values.split_at_mut(3 * h * w);
        let rows = plain.par_chunks_exact_mut(w).zip(mirror.par_chunks_exact_mut(w));
        rows.with_min_len(32).enumerate().for_each(|(at, (plain, mirror))| {
            let (channel, y) = (at / h, at % h);
            let table = &tables[channel];
            let (row, _) = pixels[3 * w * y..][..3 * w].as_chunks::<3>();
            for ((pixel, plain), mirror) in row.iter().zip(plain).zip(mirror.iter_mut().rev()) {
                let value = table[usize::from(pixel[channel])];
                (*plain, *mirror) = (value, value);
            }
        });
        pair
    }

    /// As [`Self::normalise`], into the top left of `out` `[3, h, w]` (a slice of a batch, say);
    /// what the photo does not cover stays as it is.
    ///
    /// # Panics
    /// When the photo is larger than `out`.
    pub fn normalise_into(&self, photo: ArrayView3<u8>, mut out: ArrayViewMut3<f32>) {
        let (h, w, _) = photo.dim();
        for (channel, table) in self.table().iter().enumerate() {
            Zip::from(out.slice_mut(s![channel, ..h, ..w]))
                .and(photo.index_axis(Axis(2), channel))
                .for_each(|out, &value| *out = table[usize::from(value)]);
        }
    }
}

/// The picture `[H, W, C]` seen in a mirror, as a view.
pub fn mirrored<T>(mut picture: ArrayView3<T>) -> ArrayView3<T> {
    picture.invert_axis(Axis(1));
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirroring_before_or_after_is_the_same() {
        let photo = Array3::from_shape_fn((4, 5, 3), |(y, x, c)| (50 * y + 7 * x + c) as u8);
        let norm = Normalisation::default();
        let plain = norm.normalise(photo.view());
        let mirror = norm.normalise(mirrored(photo.view()));
        assert_eq!(mirror, plain.slice(s![.., .., ..;-1]));
        let pair = norm.pair(photo.view());
        assert_eq!(pair, ndarray::stack![Axis(0), plain, mirror]);
        assert_eq!(
            norm.pair(photo.slice(s![1..3, 2.., ..])).slice(s![0, .., .., ..]),
            plain.slice(s![.., 1..3, 2..])
        );
        assert!(norm.pair(photo.slice(s![..0, .., ..])).is_empty());
    }

    #[test]
    fn a_batch_slice_keeps_its_border() {
        let photo = Array3::from_elem((2, 3, 3), 255);
        let mut out = Array3::from_elem((3, 4, 4), 9.0);
        Normalisation::default().normalise_into(photo.view(), out.view_mut());
        assert_eq!(out[[0, 2, 0]], 9.0);
        assert_eq!(out[[0, 1, 2]], ((1.0 - 0.485) / 0.229) as f32);
    }
}
