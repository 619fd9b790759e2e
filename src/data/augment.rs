//! Training samples: random resize, mirror and crop (upstream's `VOC12ClassificationDataset` and
//! `VOC12AffinityDataset`).
//!
//! Every sample has a generator of its own, so the samples of an epoch are the same for any number
//! of loader threads and after any interruption.

use ndarray::{Array2, Array3, ArrayView2, ArrayView3, ArrayViewMut3, s};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::crop::Crop;
use super::normalise::{Normalisation, mirrored};
use super::resize;

/// Label value of pixels outside the picture.
const UNKNOWN: u8 = 255;

/// The generator of sample `index` of `epoch`.
pub fn sample_rng(seed: u64, epoch: u64, index: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(mixed(mixed(mixed(seed).wrapping_add(epoch)).wrapping_add(index)))
}

/// One step of splitmix64: neighbouring inputs give unrelated outputs.
fn mixed(state: u64) -> u64 {
    let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A sample for the classifier, `[3, crop, crop]`: the long side becomes a uniform integer of
/// `long_side` (both ends included), then mirror with probability 1/2, then a random crop; 0 (the
/// mean colour) outside the picture.
pub fn cam_sample(
    photo: ArrayView3<u8>,
    norm: &Normalisation,
    rng: &mut impl Rng,
    crop: usize,
    long_side: [usize; 2],
) -> Array3<f32> {
    let [shortest, longest] = long_side;
    let long = rng.random_range(shortest..=longest.max(shortest));
    let (h, w, _) = photo.dim();
    let resized = resize::bicubic(photo, resize::size_with_long_side((h, w), long));
    let view = if rng.random::<bool>() { mirrored(resized.view()) } else { resized.view() };
    let crop = Crop::random((view.dim().0, view.dim().1), crop, rng);
    framed(view, norm, &crop)
}

/// A sample for IRNet: image `[3, crop, crop]` and its relation label at a quarter of the size.
///
/// One scale drawn uniformly from `scale` (lower end included) resizes both (bicubic, nearest);
/// mirror with probability 1/2; one random crop; outside the picture 0 and 255 (unknown). The label
/// is reduced to the pixels 4i + 2.
pub fn irn_sample(
    photo: ArrayView3<u8>,
    label: ArrayView2<u8>,
    norm: &Normalisation,
    rng: &mut impl Rng,
    crop: usize,
    scale: [f64; 2],
) -> (Array3<f32>, Array2<u8>) {
    let scale = scale[0] + rng.random::<f64>() * (scale[1] - scale[0]);
    let photo = resize::rescale(photo, scale);
    let (h, w, _) = photo.dim();
    let label = resize::nearest(label, (h, w));
    let mirror = rng.random::<bool>();
    let (view, label) = match mirror {
        true => (mirrored(photo.view()), label.slice(s![.., ..;-1])),
        false => (photo.view(), label.view()),
    };
    let place = Crop::random((h, w), crop, rng);
    (framed(view, norm, &place), quarter(place.cut(label, UNKNOWN).view()))
}

/// The top left `crop` x `crop` pixels, normalised, 0 outside the picture: validation and the pass
/// that measures the mean displacement.
pub fn top_left_sample(photo: ArrayView3<u8>, norm: &Normalisation, crop: usize) -> Array3<f32> {
    let (h, w, _) = photo.dim();
    framed(photo, norm, &Crop::top_left((h, w), crop))
}

/// The label at a quarter of its size, as the loss sees it.
pub fn quarter(label: ArrayView2<u8>) -> Array2<u8> {
    resize::nearest(label, resize::scaled_size(label.dim(), 0.25))
}

fn framed(photo: ArrayView3<u8>, norm: &Normalisation, crop: &Crop) -> Array3<f32> {
    let mut out = Array3::zeros((3, crop.side, crop.side));
    let [rows, columns] = crop.frame.clone();
    let place: ArrayViewMut3<f32> = out.slice_mut(s![.., rows, columns]);
    norm.normalise_into(crop.shown(photo), place);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn photo() -> Array3<u8> {
        Array3::from_shape_fn((30, 40, 3), |(y, x, c)| (5 * y + 3 * x + 40 * c) as u8)
    }

    #[test]
    fn a_sample_depends_on_nothing_but_seed_epoch_and_index() {
        let norm = Normalisation::default();
        let make = |seed, epoch, index| {
            let mut rng = sample_rng(seed, epoch, index);
            cam_sample(photo().view(), &norm, &mut rng, 32, [20, 50])
        };
        assert_eq!(make(1, 2, 3), make(1, 2, 3));
        for other in [(2, 2, 3), (1, 3, 3), (1, 2, 4), (2, 1, 3), (1, 3, 2)] {
            assert_ne!(make(other.0, other.1, other.2), make(1, 2, 3), "{other:?}");
        }
    }

    #[test]
    fn image_and_label_of_a_sample_fit_each_other() {
        // A photo whose brightness says the label: wherever the label is known, both must agree.
        let label = Array2::from_shape_fn((64, 64), |(y, _)| u8::from(y < 32));
        let photo = Array3::from_shape_fn((64, 64, 3), |(y, _, _)| if y < 32 { 255 } else { 0 });
        let norm = Normalisation { mean: [0.5; 3], std: [1.0; 3] };
        for index in 0..20 {
            let mut rng = sample_rng(0, 0, index);
            let (image, label) =
                irn_sample(photo.view(), label.view(), &norm, &mut rng, 48, [0.5, 1.5]);
            assert_eq!((image.dim(), label.dim()), ((3, 48, 48), (12, 12)));
            for ((y, x), &value) in label.indexed_iter() {
                let bright = image[[0, 4 * y + 2, 4 * x + 2]];
                let outside = value == UNKNOWN;
                assert!(outside == (bright == 0.0), "({y}, {x}): {value}, {bright}");
                // Between the two halves the bicubic filter blends.
                let clear = bright.abs() > 0.4;
                assert!(outside || !clear || (value == 1) == (bright > 0.0), "({y}, {x}): {value}");
            }
        }
    }

    #[test]
    fn long_side_includes_both_ends() {
        // With a one-pixel-high photo of white, the covered width is the drawn long side.
        let white = Array3::from_elem((1, 9, 3), 255);
        let norm = Normalisation::default();
        let mut seen = std::collections::BTreeSet::new();
        for index in 0..100 {
            let mut rng = sample_rng(7, 0, index);
            let sample = cam_sample(white.view(), &norm, &mut rng, 16, [10, 13]);
            seen.insert(sample.iter().filter(|&&v| v != 0.0).count() / 3);
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [10, 11, 12, 13]);
    }
}
