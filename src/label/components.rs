//! 4-connected components, numbered in raster order of their first pixels.
//!
//! Found by runs: neighbouring pixels of one value in a row are one thing, which is joined with the runs
//! above that it touches. The first run of a component in raster order holds its first pixel.

use ndarray::{Array2, ArrayView2, s};

/// Components of a map of values, where 0 belongs to none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Components {
    /// `[h,w]`: number of the component from 1, or 0.
    pub map: Array2<u32>,
    /// The value of component `i + 1`.
    pub values: Vec<u32>,
}

/// Pixels of one value beside each other in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Row of the map.
    pub row: usize,
    /// First column.
    pub start: usize,
    /// Column behind the last.
    pub end: usize,
    /// Index of the component, from 0.
    pub component: usize,
}

/// Components as runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pieces {
    /// In raster order.
    pub runs: Vec<Run>,
    /// The value of each component.
    pub values: Vec<u32>,
}

/// Neighbouring pixels of one value other than 0 belong together.
pub fn components(values: ArrayView2<u32>) -> Components {
    let pieces = pieces(values);
    let mut map = Array2::zeros(values.dim());
    for run in &pieces.runs {
        map.slice_mut(s![run.row, run.start..run.end]).fill(run.component as u32 + 1);
    }
    Components { map, values: pieces.values }
}

/// The same as runs.
pub fn pieces(values: ArrayView2<u32>) -> Pieces {
    let values = values.as_standard_layout();
    let value = |run: &Run| values[[run.row, run.start]];
    let mut runs: Vec<Run> = Vec::new();
    let mut parents: Vec<usize> = Vec::new();
    let mut above = 0..0;
    for (row, line) in values.outer_iter().enumerate() {
        let first = runs.len();
        push_runs(&mut runs, row, line.as_slice().expect("rows in standard layout"));
        parents.extend(first..runs.len());
        for at in first..runs.len() {
            // What ends before this run starts is before all that follow, too.
            while !above.is_empty() && runs[above.start].end <= runs[at].start {
                above.start += 1;
            }
            let touching = above.clone().take_while(|&other| runs[other].start < runs[at].end);
            for other in touching {
                if value(&runs[other]) == value(&runs[at]) {
                    join(&mut parents, other, at);
                }
            }
        }
        above = first..runs.len();
    }
    let mut found = Vec::new();
    for at in 0..runs.len() {
        runs[at].component = match root(&mut parents, at) {
            own if own == at => {
                found.push(value(&runs[at]));
                found.len() - 1
            }
            // A root is the first run of its component and has its number already.
            earlier => runs[earlier].component,
        };
    }
    Pieces { runs, values: found }
}

fn push_runs(runs: &mut Vec<Run>, row: usize, line: &[u32]) {
    let mut start = 0;
    while let Some(&value) = line.get(start) {
        let end = line[start..].iter().position(|&other| other != value);
        let end = end.map_or(line.len(), |length| start + length);
        if value != 0 {
            runs.push(Run { row, start, end, component: 0 });
        }
        start = end;
    }
}

/// The first run of the component that `at` is known to belong to.
fn root(parents: &mut [usize], mut at: usize) -> usize {
    while parents[at] != at {
        parents[at] = parents[parents[at]];
        at = parents[at];
    }
    at
}

fn join(parents: &mut [usize], a: usize, b: usize) {
    let (a, b) = (root(parents, a), root(parents, b));
    parents[a.max(b)] = a.min(b);
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
    fn a_spiral_and_a_comb_are_one_each() {
        let comb = Array2::from_shape_fn((9, 11), |(y, x)| u32::from(y == 8 || x % 2 == 0));
        assert_eq!(components(comb.view()).values, [1]);
        let spiral = array![[1, 1, 1, 1], [0, 0, 0, 1], [1, 1, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]];
        assert_eq!(components(spiral.view()).map, spiral);
    }

    #[test]
    fn agrees_with_spreading_from_pixel_to_pixel() {
        for seed in 0..20usize {
            let value = |(y, x): (usize, usize)| ((y * 31 + x * 17 + seed * 7) % 13 / 5) as u32;
            let values = Array2::from_shape_fn((17, 23), value);
            let mut map = Array2::<u32>::zeros(values.dim());
            let mut count = 0;
            for (first, &value) in values.indexed_iter().filter(|(_, value)| **value != 0) {
                if map[first] != 0 {
                    continue;
                }
                count += 1;
                let mut pending = vec![first];
                while let Some((y, x)) = pending.pop() {
                    if values.get((y, x)) == Some(&value) && map[(y, x)] == 0 {
                        map[(y, x)] = count;
                        let around = [(y.wrapping_sub(1), x), (y + 1, x), (y, x.wrapping_sub(1))];
                        pending.extend(around.into_iter().chain([(y, x + 1)]));
                    }
                }
            }
            assert_eq!(components(values.view()).map, map, "{seed}");
        }
    }

    #[test]
    fn nothing_has_no_components() {
        assert!(components(Array2::zeros((0, 5)).view()).values.is_empty());
        assert!(components(Array2::zeros((5, 0)).view()).values.is_empty());
    }
}
