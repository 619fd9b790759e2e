//! Pixel pairs within a radius and the paths between them (Ahn, Cho, Kwak 2019, section 3.2;
//! upstream's `misc/indexing.py::PathIndex`).
//!
//! Only the upper half disc is listed: the relation of a pair is symmetric.

/// A displacement from source to destination, and the cells a straight line between them touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Direction {
    /// Rows from source to destination, `0..radius`.
    pub dy: isize,
    /// Columns from source to destination.
    pub dx: isize,
    /// Cells `(y, x)` relative to the source: destination first, source last.
    pub path: Vec<(isize, isize)>,
}

impl Direction {
    fn new(dy: isize, dx: isize) -> Self {
        let length = dy * dy + dx * dx;
        let near = |&(y, x): &(isize, isize)| (dy * x - dx * y).pow(2) < length;
        let cells = (0..=dy).flat_map(|y| (dx.min(0)..=dx.max(0)).map(move |x| (y, x)));
        let mut path: Vec<_> = cells.filter(near).collect();
        path.sort_by_key(|(y, x)| -(y.abs() + x.abs()));
        Self { dy, dx, path }
    }
}

/// All directions nearer than `radius`, by length of path (upstream's `search_dst`).
///
/// A radius below 2 has none.
pub fn directions(radius: usize) -> Vec<Direction> {
    let radius = radius as isize;
    let level = (1..radius).map(|dx| (0, dx));
    let below = (1..radius).flat_map(|dy| (1 - radius..radius).map(move |dx| (dy, dx)));
    let within = |&(dy, dx): &(isize, isize)| dy * dy + dx * dx < radius * radius;
    let disc = level.chain(below.filter(within));
    let mut directions: Vec<_> = disc.map(|(dy, dx)| Direction::new(dy, dx)).collect();
    directions.sort_by_key(|direction| direction.path.len());
    directions
}

/// The sources of a map: all cells whose every destination lies inside it, as upstream takes them,
/// which leaves out `radius - 1` cells at the left, right and lower rim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources {
    /// First column; the first row is 0.
    pub left: usize,
    /// Number of rows, 0 for a map too small.
    pub rows: usize,
    /// Number of columns, 0 for a map too small.
    pub columns: usize,
    width: usize,
}

impl Sources {
    /// The sources of a map of `height` x `width`.
    pub fn new(radius: usize, height: usize, width: usize) -> Self {
        let rim = radius.saturating_sub(1);
        let rows = height.saturating_sub(rim);
        let columns = width.saturating_sub(2 * rim);
        Self { left: rim, rows, columns, width }
    }

    /// Flat index of the first cell of row `y` of the sources, moved by `(dy, dx)`.
    ///
    /// `dy` is at least 0 and `dx` at least `-left`, as in every path.
    pub fn row(&self, y: usize, (dy, dx): (isize, isize)) -> usize {
        (y + dy as usize) * self.width + (self.left as isize + dx) as usize
    }

    /// Flat indices of all sources moved by `offset`.
    pub fn moved(&self, offset: (isize, isize)) -> Vec<usize> {
        let row = |y| (0..self.columns).map(move |x| self.row(y, offset) + x);
        (0..self.rows).flat_map(row).collect()
    }
}

/// `1 - max(edge on the path)` of every pair, `(directions, sources)` flattened.
///
/// `edge` is a map of `height` x `width`. The slow, plain form: a reference for the others.
pub fn affinity(edge: &[f32], (height, width): (usize, usize), radius: usize) -> Vec<f32> {
    let sources = Sources::new(radius, height, width);
    let of_direction = |direction: &Direction| {
        let cells: Vec<_> = direction.path.iter().map(|&cell| sources.moved(cell)).collect();
        let largest = |i: usize| cells.iter().map(|at| edge[at[i]]).fold(f32::MIN, f32::max);
        (0..sources.rows * sources.columns).map(|i| 1.0 - largest(i)).collect::<Vec<_>>()
    };
    directions(radius).iter().flat_map(of_direction).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_the_half_disc() {
        let counts = [0, 1, 2, 3, 5, 10].map(|radius| directions(radius).len());
        assert_eq!(counts, [0, 0, 4, 12, 34, 152]);
    }

    #[test]
    fn paths_begin_at_the_destination() {
        let all = directions(5);
        let path = &all.iter().find(|d| (d.dy, d.dx) == (1, 2)).unwrap().path;
        assert_eq!(path[..], [(1, 2), (0, 2), (1, 1), (0, 1), (1, 0), (0, 0)]);
        let first: Vec<_> = all.iter().take(6).map(|d| (d.dy, d.dx)).collect();
        assert_eq!(first, [(0, 1), (1, 0), (0, 2), (2, 0), (0, 3), (1, -1)]);
        for direction in &all {
            assert_eq!(direction.path.first(), Some(&(direction.dy, direction.dx)));
            assert_eq!(direction.path.last(), Some(&(0, 0)));
        }
    }

    #[test]
    fn small_maps_have_no_pairs() {
        for (height, width) in [(0, 0), (1, 1), (4, 20), (20, 8)] {
            assert!(affinity(&vec![0.0; height * width], (height, width), 5).is_empty());
        }
        assert!(affinity(&[0.0; 9], (3, 3), 0).is_empty());
        assert!(affinity(&[0.0; 9], (3, 3), 1).is_empty());
    }

    #[test]
    fn one_edge_cuts_what_passes_it() {
        let mut edge = [0.0; 15];
        edge[5 + 2] = 1.0;
        let affinity = affinity(&edge, (3, 5), 2);
        // Directions (0,1), (1,0), (1,-1), (1,1); sources: rows 0 and 1, columns 1 to 3.
        let sources = Sources::new(2, 3, 5);
        assert_eq!((sources.rows, sources.columns, sources.left), (2, 3, 1));
        assert_eq!(affinity[..6], [1., 1., 1., 0., 0., 1.]);
        assert_eq!(affinity[6..12], [1., 0., 1., 1., 0., 1.]);
    }
}
