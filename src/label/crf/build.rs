//! How a lattice is built: the simplices of the points, the numbers of their corners, and which vertices
//! are neighbours.

use rayon::prelude::*;

use super::blur::Chains;
use super::simplex::{BLOCK, Grid, Lanes, Simplices};
use super::vertex_table::{Key, NONE, VertexTable};
use crate::vectors::widest;

/// Blocks of points that one task looks at.
pub const BLOCKS_PER_TASK: usize = 32;

/// The corners of the simplices around the points of a block, and the weights of their shares.
pub struct Block<const V: usize> {
    /// By corner: vertex numbers.
    pub vertices: [Lanes<u32>; V],
    /// By corner: weights, 0 beyond the last point.
    pub weights: [Lanes<f32>; V],
}

/// What a lattice consists of.
pub struct Parts<const V: usize> {
    /// The points.
    pub blocks: Vec<Block<V>>,
    /// Number of vertices of each kind.
    pub kinds: [usize; V],
    /// Neighbours along each axis.
    pub axes: Vec<Chains>,
}

impl<const V: usize> Parts<V> {
    /// Of the lattice around `count` points, with keys that are wide enough for `grid`.
    pub fn of<const D: usize, K: Key>(
        count: usize,
        grid: &Grid<D>,
        simplices: &[Simplices<V>],
    ) -> Self {
        let number = |kind| {
            widest!([const V: usize, K: Key] number(
                simplices: &[Simplices<V>],
                kind: usize,
            ) -> (VertexTable<K>, Vec<u32>))
        };
        let (tables, numbers): (Vec<VertexTable<K>>, Vec<_>) =
            (0..V).into_par_iter().map(number).unzip();
        let kinds: [usize; V] = std::array::from_fn(|kind| tables[kind].keys().len());
        let blocks = blocks(simplices, &numbers, &firsts(&kinds), count);
        drop(numbers);
        let tables = &tables[..];
        let chains = |axis| {
            Chains::new(&widest!([const D: usize, K: Key] neighbours(
                tables: &[VertexTable<K>],
                grid: &Grid<D>,
                axis: usize,
            ) -> Vec<u32>))
        };
        let axes = (0..V).into_par_iter().map(chains).collect();
        Self { blocks, kinds, axes }
    }
}

/// Number of the first vertex of each kind.
pub fn firsts<const V: usize>(kinds: &[usize; V]) -> [u32; V] {
    std::array::from_fn(|kind| kinds[..kind].iter().sum::<usize>() as u32)
}

/// The simplices of all points, block by block; see [`Lattice::new`](super::permutohedral::Lattice::new).
pub fn enclose<const D: usize, const V: usize>(
    count: usize,
    grid: &Grid<D>,
    fill: &(impl Fn(usize, &mut [Lanes<f32>; D]) + Sync),
) -> Vec<Simplices<V>> {
    let mut simplices = vec![Simplices::empty(); count.div_ceil(BLOCK)];
    let tasks = simplices.par_chunks_mut(BLOCKS_PER_TASK).enumerate();
    tasks.for_each(|(task, simplices)| {
        let first = task * BLOCKS_PER_TASK * BLOCK;
        widest!([const D: usize, const V: usize, F: Fn(usize, &mut [Lanes<f32>; D])] enclose_some(
            grid: &Grid<D>,
            first: usize,
            fill: &F,
            simplices: &mut [Simplices<V>],
        ));
    });
    simplices
}

/// The simplices of the points from `first` on.
#[inline(always)]
fn enclose_some<const D: usize, const V: usize>(
    grid: &Grid<D>,
    first: usize,
    fill: &impl Fn(usize, &mut [Lanes<f32>; D]),
    simplices: &mut [Simplices<V>],
) {
    let mut features = [[0.0; BLOCK]; D];
    for (block, simplices) in simplices.iter_mut().enumerate() {
        fill(first + block * BLOCK, &mut features);
        grid.enclose(&features, simplices);
    }
}

/// Numbers the vertices that are corner `kind`, and gives every point's.
#[inline(always)]
fn number<const V: usize, K: Key>(
    simplices: &[Simplices<V>],
    kind: usize,
) -> (VertexTable<K>, Vec<u32>) {
    let points = simplices.len() * BLOCK;
    let mut table = VertexTable::with_capacity(points / 4);
    let mut numbers = Vec::with_capacity(points);
    for simplices in simplices {
        for &key in &simplices.keys[kind] {
            numbers.push(table.find_or_add(K::of(key)));
        }
    }
    (table, numbers)
}

fn blocks<const V: usize>(
    simplices: &[Simplices<V>],
    numbers: &[Vec<u32>],
    firsts: &[u32; V],
    count: usize,
) -> Vec<Block<V>> {
    let block = |(index, simplices): (usize, &Simplices<V>)| {
        let numbers = |kind: usize| &numbers[kind][index * BLOCK..][..BLOCK];
        let vertices = std::array::from_fn(|kind| {
            std::array::from_fn(|lane| firsts[kind] + numbers(kind)[lane])
        });
        let mut weights = simplices.weights;
        let used = (count - index * BLOCK).min(BLOCK);
        weights.iter_mut().for_each(|weights| weights[used..].fill(0.0));
        Block { vertices, weights }
    };
    simplices.par_iter().enumerate().with_min_len(BLOCKS_PER_TASK).map(block).collect()
}

/// The next neighbour of every vertex along `axis`, or [`NONE`].
#[inline(always)]
fn neighbours<const D: usize, K: Key>(
    tables: &[VertexTable<K>],
    grid: &Grid<D>,
    axis: usize,
) -> Vec<u32> {
    let counts: Vec<usize> = tables.iter().map(|table| table.keys().len()).collect();
    let mut next = vec![NONE; counts.iter().sum()];
    let mut rest = &mut next[..];
    for (kind, &count) in counts.iter().enumerate() {
        let other = if kind == 0 { D } else { kind - 1 };
        let first = counts[..other].iter().sum::<usize>() as u32;
        let (step, table) = (grid.blur_step(axis, kind), &tables[other]);
        let (part, others) = rest.split_at_mut(count);
        for (next, keys) in part.chunks_mut(BLOCK).zip(tables[kind].keys().chunks(BLOCK)) {
            for key in keys {
                table.fetch(key.plus(step));
            }
            for (next, key) in next.iter_mut().zip(keys) {
                let found = table.find(key.plus(step));
                *next = if found == NONE { NONE } else { first + found };
            }
        }
        rest = others;
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(first: usize, features: &mut [Lanes<f32>; 5]) {
        for (axis, lanes) in features.iter_mut().enumerate() {
            for (lane, value) in lanes.iter_mut().enumerate() {
                *value = (((first + lane) * (37 + 11 * axis)) % 101) as f32 * 0.03;
            }
        }
    }

    #[test]
    fn plain_loops_enclose_in_the_same_simplices() {
        let grid = Grid::new(&[3.1; 5]).unwrap();
        let wide = enclose::<5, 6>(5 * BLOCK, &grid, &fill);
        let mut plain = vec![Simplices::<6>::empty(); 5];
        enclose_some(&grid, 0, &fill, &mut plain);
        for (wide, plain) in wide.iter().zip(&plain) {
            assert!(wide.keys == plain.keys && wide.weights == plain.weights);
        }
    }
}
