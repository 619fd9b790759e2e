//! Display scaling, blending, outlines and rectangles on RGB arrays.
//!
//! For the eye only: the scaling that results depend on lives with the data and the label engine.

use ndarray::{Array2, Array3, ArrayRef2, ArrayRef3, s};

use super::{Picture, Rgb, palette};

/// Rows and columns of a picture.
pub fn size(picture: &ArrayRef3<u8>) -> (usize, usize) {
    (picture.dim().0, picture.dim().1)
}

/// A picture of one colour, `size` = (rows, columns).
pub fn filled(size: (usize, usize), colour: Rgb) -> Picture {
    Array3::from_shape_fn((size.0, size.1, 3), |(_, _, channel)| colour[channel])
}

/// A picture from a function of (row, column).
pub fn from_fn(size: (usize, usize), mut colour: impl FnMut(usize, usize) -> Rgb) -> Picture {
    let mut picture = Array3::zeros((size.0, size.1, 3));
    for row in 0..size.0 {
        for column in 0..size.1 {
            set(&mut picture, row, column, colour(row, column));
        }
    }
    picture
}

/// Colour of a pixel.
pub fn get(picture: &ArrayRef3<u8>, row: usize, column: usize) -> Rgb {
    std::array::from_fn(|channel| picture[[row, column, channel]])
}

/// Paints a pixel; outside the picture nothing happens.
pub fn set(picture: &mut ArrayRef3<u8>, row: usize, column: usize, colour: Rgb) {
    let (height, width) = size(picture);
    if row < height && column < width {
        for (channel, value) in colour.into_iter().enumerate() {
            picture[[row, column, channel]] = value;
        }
    }
}

/// Mixes `amount` (0..=1) of a colour into a pixel; outside the picture nothing happens.
pub fn blend(picture: &mut ArrayRef3<u8>, row: usize, column: usize, colour: Rgb, amount: f32) {
    let (height, width) = size(picture);
    if row < height && column < width {
        let mixed = palette::mix(get(picture, row, column), colour, amount);
        set(picture, row, column, mixed);
    }
}

/// Fills a rectangle given by its top left corner and size, cut at the picture's edge.
pub fn rectangle(
    picture: &mut ArrayRef3<u8>,
    (top, left): (usize, usize),
    (height, width): (usize, usize),
    colour: Rgb,
) {
    for row in top..(top + height).min(picture.dim().0) {
        for column in left..(left + width).min(picture.dim().1) {
            set(picture, row, column, colour);
        }
    }
}

/// Copies `source` into `target` with its top left corner at (`top`, `left`), cut at the edge.
pub fn paste(target: &mut ArrayRef3<u8>, source: &ArrayRef3<u8>, top: usize, left: usize) {
    let height = size(source).0.min(target.dim().0.saturating_sub(top));
    let width = size(source).1.min(target.dim().1.saturating_sub(left));
    if height == 0 || width == 0 {
        return;
    }
    let part = source.slice(s![..height, ..width, ..]);
    target.slice_mut(s![top..top + height, left..left + width, ..]).assign(&part);
}

/// Nearest-neighbour scaling of a map of anything; an empty map becomes a map of defaults.
pub fn nearest<T: Copy + Default>(map: &ArrayRef2<T>, size: (usize, usize)) -> Array2<T> {
    let (height, width) = map.dim();
    if height == 0 || width == 0 {
        return Array2::default(size);
    }
    Array2::from_shape_fn(size, |(row, column)| {
        map[[row * height / size.0, column * width / size.1]]
    })
}

/// Bilinear scaling between pixel centres; an empty map becomes zeros.
pub fn bilinear(map: &ArrayRef2<f32>, size: (usize, usize)) -> Array2<f32> {
    let (height, width) = map.dim();
    if height == 0 || width == 0 {
        return Array2::zeros(size);
    }
    let rows: Vec<_> = (0..size.0).map(|row| neighbours(row, height, size.0)).collect();
    let columns: Vec<_> = (0..size.1).map(|column| neighbours(column, width, size.1)).collect();
    Array2::from_shape_fn(size, |(row, column)| {
        let ((top, bottom, down), (left, right, across)) = (rows[row], columns[column]);
        let upper = map[[top, left]] * (1.0 - across) + map[[top, right]] * across;
        let lower = map[[bottom, left]] * (1.0 - across) + map[[bottom, right]] * across;
        upper * (1.0 - down) + lower * down
    })
}

/// The two source indices beside a target pixel's centre, and the second one's share.
fn neighbours(index: usize, source: usize, target: usize) -> (usize, usize, f32) {
    let centre = (index as f32 + 0.5) * source as f32 / target as f32 - 0.5;
    let place = centre.clamp(0.0, (source - 1) as f32);
    let first = place as usize;
    (first, (first + 1).min(source - 1), place - first as f32)
}

/// Nearest-neighbour scaling of a picture.
pub fn resize(picture: &ArrayRef3<u8>, target: (usize, usize)) -> Picture {
    let (height, width) = size(picture);
    if height == 0 || width == 0 {
        return filled(target, [0; 3]);
    }
    from_fn(target, |row, column| get(picture, row * height / target.0, column * width / target.1))
}

/// Pixels with a neighbour (left, right, up, down) of another value: the inner edge of regions.
pub fn edges<T: PartialEq>(map: &ArrayRef2<T>) -> Array2<bool> {
    let (height, width) = map.dim();
    Array2::from_shape_fn((height, width), |(row, column)| {
        let here = &map[[row, column]];
        (row > 0 && map[[row - 1, column]] != *here)
            || (row + 1 < height && map[[row + 1, column]] != *here)
            || (column > 0 && map[[row, column - 1]] != *here)
            || (column + 1 < width && map[[row, column + 1]] != *here)
    })
}

/// Thickness of outlines on a picture of this size, in pixels.
pub fn stroke((height, width): (usize, usize)) -> usize {
    (height.max(width) / 250).clamp(1, 4)
}

/// Grows `true` regions by `by` pixels (square neighbourhood).
pub fn dilate(mask: &ArrayRef2<bool>, by: usize) -> Array2<bool> {
    let (height, width) = mask.dim();
    let mut grown = Array2::from_elem((height, width), false);
    for ((row, column), _) in mask.indexed_iter().filter(|(_, set)| **set) {
        let rows = row.saturating_sub(by)..(row + by + 1).min(height);
        let columns = column.saturating_sub(by)..(column + by + 1).min(width);
        grown.slice_mut(s![rows, columns]).fill(true);
    }
    grown
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn scaling_keeps_constants_corners_and_sizes() {
        let map = array![[0.0, 1.0], [2.0, 3.0]];
        let large = bilinear(&map, (8, 6));
        assert_eq!((large[[0, 0]], large[[7, 5]]), (0.0, 3.0));
        assert!(large.row(3).windows(2).into_iter().all(|pair| pair[0] <= pair[1]));
        assert_eq!(bilinear(&map, (2, 2)), map);
        assert_eq!(nearest(&map, (4, 4))[[1, 2]], 1.0);
        assert_eq!(bilinear(&Array2::zeros((0, 3)), (2, 2)), Array2::<f32>::zeros((2, 2)));
        assert_eq!(nearest(&map, (0, 5)).dim(), (0, 5));
    }

    #[test]
    fn edges_lie_on_both_sides_of_a_border() {
        let map = array![[0, 0, 1, 1], [0, 0, 1, 1]];
        let expected = array![[false, true, true, false], [false, true, true, false]];
        assert_eq!(edges(&map), expected);
    }

    #[test]
    fn painting_is_cut_at_the_rim() {
        let mut picture = filled((2, 2), [0; 3]);
        rectangle(&mut picture, (1, 1), (9, 9), [7; 3]);
        paste(&mut picture, &filled((3, 3), [9; 3]), 5, 0);
        set(&mut picture, 9, 9, [1; 3]);
        blend(&mut picture, 0, 5, [1; 3], 1.0);
        assert_eq!(picture.iter().filter(|v| **v == 7).count(), 3);
        assert!(!picture.iter().any(|v| *v == 9));
    }
}
