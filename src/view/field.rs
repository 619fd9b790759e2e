//! Displacement fields (paper section 4.1): hue says where a pixel points, colour how far.

use ndarray::{ArrayRef3, s};

use super::{Picture, canvas, palette};

/// The field as colours, white = no displacement, scaled to `size` = (rows, columns).
///
/// `field` is 2 x h x w, channel 0 = y (down), 1 = x (right), in any unit: full colour stands for
/// the length that 98 % of the pixels stay below. A field of another shape shows as white.
pub fn displacement(field: &ArrayRef3<f32>, size: (usize, usize)) -> Picture {
    if field.dim().0 != 2 {
        return canvas::filled(size, palette::direction(0.0, 0.0, 0.0));
    }
    let full = usual_length(field);
    let down = canvas::bilinear(&field.slice(s![0, .., ..]), size);
    let right = canvas::bilinear(&field.slice(s![1, .., ..]), size);
    canvas::from_fn(size, |row, column| {
        let (dy, dx) = (down[[row, column]], right[[row, column]]);
        palette::direction(dy, dx, dy.hypot(dx) / full)
    })
}

/// [`displacement`] with the colour wheel in its lower right corner.
pub fn displacement_with_wheel(field: &ArrayRef3<f32>, size: (usize, usize)) -> Picture {
    let mut picture = displacement(field, size);
    let side = size.0.min(size.1) / 5;
    let margin = side / 6;
    stamp_wheel(&mut picture, (size.0 - side - margin, size.1 - side - margin), side);
    picture
}

/// The legend: a disc of `side` pixels whose every point has the colour of pointing that way.
pub fn wheel(side: usize) -> Picture {
    let mut picture = canvas::filled((side, side), [255; 3]);
    stamp_wheel(&mut picture, (0, 0), side);
    picture
}

/// Draws the disc with its top left corner at (`top`, `left`), leaving the square's corners.
fn stamp_wheel(picture: &mut ArrayRef3<u8>, (top, left): (usize, usize), side: usize) {
    let radius = side as f32 / 2.0;
    for row in 0..side {
        for column in 0..side {
            let (dy, dx) = (row as f32 + 0.5 - radius, column as f32 + 0.5 - radius);
            let length = dy.hypot(dx);
            let rim = length > radius - (radius / 18.0).max(1.0);
            let inside = palette::direction(dy, dx, length / radius);
            let colour = if rim { [60, 60, 66] } else { inside };
            let cover = (radius - length + 0.5).clamp(0.0, 1.0);
            canvas::blend(picture, top + row, left + column, colour, cover);
        }
    }
}

/// The length that 98 % of the vectors stay below; at least a thousandth, so that noise stays pale.
fn usual_length(field: &ArrayRef3<f32>) -> f32 {
    let (down, right) = (field.slice(s![0, .., ..]), field.slice(s![1, .., ..]));
    let lengths = down.iter().zip(right).map(|(dy, dx)| dy.hypot(*dx));
    let mut lengths: Vec<f32> = lengths.filter(|length| length.is_finite()).collect();
    if lengths.is_empty() {
        return 1.0;
    }
    let place = (lengths.len() - 1) * 98 / 100;
    lengths.select_nth_unstable_by(place, f32::total_cmp).1.max(1e-3)
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;

    #[test]
    fn directions_have_the_colours_of_the_wheel() {
        let mut field = Array3::zeros((2, 4, 4));
        field.slice_mut(s![1, .., ..2]).fill(-3.0);
        field.slice_mut(s![1, .., 2..]).fill(3.0);
        let picture = displacement(&field, (8, 8));
        assert_eq!(canvas::get(&picture, 4, 0), palette::direction(0.0, -1.0, 1.0));
        assert_eq!(canvas::get(&picture, 4, 7), palette::direction(0.0, 1.0, 1.0));
        let wheel = wheel(41);
        let gap = |a: [u8; 3], b: [u8; 3]| (0..3).map(|c| a[c].abs_diff(b[c])).max();
        assert!(gap(canvas::get(&wheel, 20, 37), canvas::get(&picture, 4, 7)) < Some(40));
        assert_eq!(canvas::get(&wheel, 0, 0), [255; 3]);
    }

    #[test]
    fn odd_fields_are_white() {
        let white = palette::direction(0.0, 0.0, 0.0);
        for field in [Array3::zeros((2, 3, 3)), Array3::zeros((1, 3, 3)), Array3::zeros((2, 0, 3))]
        {
            let picture = displacement_with_wheel(&field, (30, 30));
            assert_eq!(canvas::get(&picture, 0, 0), white);
        }
        let broken = displacement(&Array3::from_elem((2, 3, 3), f32::NAN), (3, 3));
        assert_eq!(canvas::get(&broken, 1, 1), white);
    }
}
