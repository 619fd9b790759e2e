//! Outlines of a mask at half pixels: marching squares at level 0.5 on the mask padded by one pixel, as
//! scikit-image's `find_contours` in pycococreator. Set pixels that touch only by a corner are not joined; a hole
//! becomes an outline of its own.

use ndarray::ArrayView2;

/// A closed outline as COCO has it: x, y, x, y, ..., the first point repeated at the end.
pub type Polygon = Vec<f64>;

/// Sides of a square of four pixel centres.
#[derive(Clone, Copy)]
enum Side {
    Top,
    Right,
    Bottom,
    Left,
}

use Side::{Bottom, Left, Right, Top};

/// The segments through a square, from side to side, set pixels on one hand. The index has bit 0 for the upper
/// left pixel, 1 upper right, 2 lower left, 3 lower right.
const SEGMENTS: [&[(Side, Side)]; 16] = [
    &[],
    &[(Top, Left)],
    &[(Right, Top)],
    &[(Right, Left)],
    &[(Left, Bottom)],
    &[(Top, Bottom)],
    &[(Right, Top), (Left, Bottom)],
    &[(Right, Bottom)],
    &[(Bottom, Right)],
    &[(Top, Left), (Bottom, Right)],
    &[(Bottom, Top)],
    &[(Bottom, Left)],
    &[(Left, Right)],
    &[(Top, Right)],
    &[(Left, Top)],
    &[],
];

/// Every point lies between two pixels; its position in half pixels, counted in the padded mask.
struct Grid {
    width: usize,
    /// For each half-pixel position the next one along its outline, plus 1; 0 for none.
    next: Vec<usize>,
    starts: Vec<usize>,
}

/// All outlines of `mask`, in raster order of the squares they start in; none for an empty mask.
pub fn polygons(mask: ArrayView2<bool>) -> Vec<Polygon> {
    let mut grid = Grid::trace(mask);
    let starts = std::mem::take(&mut grid.starts);
    starts.into_iter().filter_map(|start| grid.follow(start)).collect()
}

impl Grid {
    fn trace(mask: ArrayView2<bool>) -> Self {
        let (height, width) = mask.dim();
        let set = |y: usize, x: usize| {
            (1..=height).contains(&y) && (1..=width).contains(&x) && mask[[y - 1, x - 1]]
        };
        let columns = 2 * width + 3;
        let mut grid =
            Self { width: columns, next: vec![0; columns * (2 * height + 3)], starts: Vec::new() };
        for y in 0..=height {
            for x in 0..=width {
                let corners = [set(y, x), set(y, x + 1), set(y + 1, x), set(y + 1, x + 1)];
                let index: usize =
                    corners.iter().zip(0..).map(|(&on, bit)| usize::from(on) << bit).sum();
                for &(from, to) in SEGMENTS[index] {
                    let (from, to) = (grid.point(y, x, from), grid.point(y, x, to));
                    grid.next[from] = to + 1;
                    grid.starts.push(from);
                }
            }
        }
        grid
    }

    fn point(&self, y: usize, x: usize, side: Side) -> usize {
        let (down, right) = match side {
            Top => (0, 1),
            Right => (1, 2),
            Bottom => (2, 1),
            Left => (1, 0),
        };
        (2 * y + down) * self.width + 2 * x + right
    }

    /// Takes the outline through `start` off the grid; `None` when it was taken already.
    fn follow(&mut self, start: usize) -> Option<Polygon> {
        let mut polygon = Polygon::new();
        let mut at = start;
        while self.next[at] != 0 {
            self.push(&mut polygon, at);
            at = std::mem::take(&mut self.next[at]) - 1;
        }
        let closed = !polygon.is_empty();
        closed.then(|| {
            self.push(&mut polygon, start);
            polygon
        })
    }

    /// Back to pixels of the mask itself; what lies in the padding at the top or left becomes 0.
    fn push(&self, polygon: &mut Polygon, at: usize) {
        let pixel = |half: usize| (half as f64 / 2.0 - 1.0).max(0.0);
        polygon.extend([pixel(at % self.width), pixel(at / self.width)]);
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn one_pixel_is_a_diamond() {
        let found = polygons(array![[false, false], [false, true]].view());
        assert_eq!(found, [[0.5, 1.0, 1.0, 0.5, 1.5, 1.0, 1.0, 1.5, 0.5, 1.0]]);
        let at_the_corner = polygons(array![[true, false]].view());
        assert!(at_the_corner[0].iter().all(|&v| v >= 0.0));
    }

    #[test]
    fn diagonal_pixels_are_apart_and_holes_have_outlines() {
        assert_eq!(polygons(array![[true, false], [false, true]].view()).len(), 2);
        let ring = array![[true; 3], [true, false, true], [true; 3]];
        assert_eq!(polygons(ring.view()).len(), 2);
        assert!(polygons(array![[false; 3]].view()).is_empty());
    }
}
