//! 4-connected components, numbered in raster order of their first pixels.

use ndarray::{Array2, ArrayView2};

/// Components of a map of values, where 0 belongs to none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Components {
    /// `[h,w]`: number of the component from 1, or 0.
    pub map: Array2<u32>,
    /// The value of component `i + 1`.
    pub values: Vec<u32>,
}

/// Neighbouring pixels of one value other than 0 belong together.
pub fn components(values: ArrayView2<u32>) -> Components {
    let mut map = Array2::zeros(values.dim());
    let mut found = Vec::new();
    let mut pending = Vec::new();
    for (first, &value) in values.indexed_iter() {
        if value == 0 || map[first] != 0 {
            continue;
        }
        found.push(value);
        let number = found.len() as u32;
        map[first] = number;
        pending.push(first);
        while let Some(pixel) = pending.pop() {
            for next in neighbours(pixel, values.dim()) {
                if values[next] == value && map[next] == 0 {
                    map[next] = number;
                    pending.push(next);
                }
            }
        }
    }
    Components { map, values: found }
}

/// The up to four pixels beside `(y, x)`.
fn neighbours(
    (y, x): (usize, usize),
    (h, w): (usize, usize),
) -> impl Iterator<Item = (usize, usize)> {
    let above = (y > 0).then(|| (y - 1, x));
    let left = (x > 0).then(|| (y, x - 1));
    let right = (x + 1 < w).then_some((y, x + 1));
    let below = (y + 1 < h).then_some((y + 1, x));
    [above, left, right, below].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn numbered_by_first_pixel_and_not_joined_diagonally() {
        let found = components(array![[0, 1, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]].view());
        assert_eq!(found.map, array![[0, 1, 0, 2], [2, 0, 0, 2], [2, 2, 2, 2]]);
        assert_eq!(found.values, [1, 1]);
    }

    #[test]
    fn different_values_do_not_join() {
        let found = components(array![[3, 3, 5], [5, 5, 5]].view());
        assert_eq!(found.map, array![[1, 1, 2], [2, 2, 2]]);
        assert_eq!(found.values, [3, 5]);
    }

    #[test]
    fn a_large_area_needs_no_deep_stack() {
        let found = components(Array2::from_elem((1000, 1000), 1).view());
        assert_eq!(found.values.len(), 1);
    }
}
