//! Label maps: relation labels (paper section 4.3), semantic masks and their ground truth.

use ndarray::ArrayRef2;
use ndarray::ArrayRef3;

use super::palette::VOID;
use super::{Picture, Rgb, canvas, palette};

/// How much of the photo a class colour covers.
const COVER: f32 = 0.5;

/// A relation label map (h x w: 0 background, class + 1, 255 unknown) at its own size.
///
/// Background is dark, classes have their colour, unknown is a light hatch.
pub fn relation_label(label: &ArrayRef2<u8>) -> Picture {
    let period = (label.dim().0.max(label.dim().1) / 60).max(4);
    canvas::from_fn(label.dim(), |row, column| match label[[row, column]] {
        VOID => hatch(row, column, period),
        value => palette::label(value),
    })
}

/// Diagonal stripes in two light greys, `period` pixels apart.
fn hatch(row: usize, column: usize, period: usize) -> Rgb {
    if (row + column) % period < (period / 3).max(1) { [176; 3] } else { palette::label(VOID) }
}

/// A semantic mask (h x w label values, scaled to the photo) as tinted regions with outlines.
///
/// Background shows the photo, void (255, as in ground truth) is white.
pub fn semantic(photo: &ArrayRef3<u8>, label: &ArrayRef2<u8>) -> Picture {
    let size = canvas::size(photo);
    let label = canvas::nearest(label, size);
    let outline = canvas::dilate(&canvas::edges(&label), canvas::stroke(size) - 1);
    let mut picture = photo.to_owned();
    for ((row, column), value) in label.indexed_iter() {
        let (colour, cover) = match *value {
            0 => continue,
            VOID => ([255; 3], 0.9),
            value if outline[[row, column]] => (palette::label(value), 1.0),
            value => (palette::label(value), COVER),
        };
        canvas::blend(&mut picture, row, column, colour, cover);
    }
    picture
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array, s};

    use super::*;

    #[test]
    fn relation_labels_tell_the_three_kinds_apart() {
        let picture = relation_label(&array![[0, 1, 255, 255]]);
        assert_eq!(canvas::get(&picture, 0, 0), palette::label(0));
        assert_eq!(canvas::get(&picture, 0, 1), palette::class(0));
        assert!(canvas::get(&picture, 0, 2).iter().all(|value| *value > 160));
    }

    #[test]
    fn background_keeps_the_photo_and_edges_are_crisp() {
        let photo = canvas::filled((12, 12), [100; 3]);
        let mut label = Array2::zeros((6, 6));
        label.slice_mut(s![1..5, 1..5]).fill(3);
        label[[0, 0]] = VOID;
        let picture = semantic(&photo, &label);
        assert_eq!(canvas::get(&picture, 11, 11), [100; 3]);
        assert_eq!(canvas::get(&picture, 2, 2), palette::class(2));
        assert_eq!(canvas::get(&picture, 5, 5), palette::mix([100; 3], palette::class(2), COVER));
        assert!(canvas::get(&picture, 0, 0)[0] > 230);
        assert_eq!(semantic(&photo, &Array2::zeros((0, 0))), photo);
    }
}
