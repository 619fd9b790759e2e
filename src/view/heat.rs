//! Class activation maps over the photo (paper section 3.1) and class boundary maps (section 4.2).

use ndarray::{Array2, ArrayRef2, ArrayRef3, Axis};

use super::{Picture, canvas, palette};

/// Heat of all classes at once over the photo.
///
/// `photo` is H x W x 3; `maps` is K x h x w with activations in 0..=1, scaled to the photo. Each
/// pixel shows its strongest class; no class at all (K = 0) shows as cold everywhere.
pub fn cam(photo: &ArrayRef3<u8>, maps: &ArrayRef3<f32>) -> Picture {
    let (_, height, width) = maps.dim();
    let mut strongest = Array2::zeros((height, width));
    for map in maps.axis_iter(Axis(0)) {
        strongest.zip_mut_with(&map, |most: &mut f32, value| *most = most.max(*value));
    }
    cam_of_class(photo, &strongest)
}

/// Heat of one class (h x w, 0..=1) over the photo.
pub fn cam_of_class(photo: &ArrayRef3<u8>, map: &ArrayRef2<f32>) -> Picture {
    let size = canvas::size(photo);
    let map = canvas::bilinear(map, size);
    canvas::from_fn(size, |row, column| {
        let value = map[[row, column]].clamp(0.0, 1.0).max(0.0);
        let grey = palette::mix([0; 3], grey(canvas::get(photo, row, column)), 0.75);
        palette::mix(grey, palette::heat(value), 0.2 + 0.6 * value.sqrt())
    })
}

/// Boundary probabilities (h x w, 0..=1) as ink on paper, scaled to `size` = (rows, columns).
pub fn boundary(edge: &ArrayRef2<f32>, size: (usize, usize)) -> Picture {
    let edge = canvas::bilinear(edge, size);
    canvas::from_fn(size, |row, column| {
        palette::mix([252, 250, 244], [16, 20, 48], edge[[row, column]])
    })
}

/// Luminance as a grey colour.
fn grey(colour: super::Rgb) -> super::Rgb {
    let [r, g, b] = colour.map(f32::from);
    [(0.299 * r + 0.587 * g + 0.114 * b).round() as u8; 3]
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, array};

    use super::*;

    #[test]
    fn hot_pixels_glow_and_cold_ones_stay_grey() {
        let photo = canvas::filled((8, 8), [90, 120, 60]);
        let mut maps = Array3::zeros((2, 2, 2));
        maps[[1, 0, 0]] = 1.0;
        let picture = cam(&photo, &maps);
        let (hot, cold) = (canvas::get(&picture, 0, 0), canvas::get(&picture, 7, 7));
        assert!(hot[0] > 180 && cold[0] < 100);
        assert_eq!(cam(&photo, &Array3::zeros((0, 0, 0))).dim(), photo.dim());
        assert!(cam(&photo, &Array3::from_elem((1, 2, 2), f32::NAN)).iter().all(|v| *v < 120));
    }

    #[test]
    fn a_sure_boundary_is_dark() {
        let picture = boundary(&array![[0.0, 1.0]], (4, 8));
        assert_eq!(picture.dim(), (4, 8, 3));
        assert_eq!(canvas::get(&picture, 0, 0), [252, 250, 244]);
        assert_eq!(canvas::get(&picture, 3, 7), [16, 20, 48]);
    }
}
