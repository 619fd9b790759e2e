//! The permutohedral lattice (Adams, Baek, Davis 2010) as Kraehenbuehl and Koltun use it: points splat
//! their values onto the corners of their simplex, the corners are blurred along each axis, and the
//! points read the result back. Approximates a Gaussian filter of standard deviation 1 among `N` points
//! in time linear in `N`.
//!
//! Corner `r` of a simplex is never a vertex that is another corner of any simplex (`r` is what is left
//! of its coordinates modulo `V`). So the vertices fall into `V` kinds, which are numbered, looked up
//! and splatted onto one by one: in parallel, within the cache, and in the same order of summation on
//! any number of threads.

use rayon::prelude::*;

use super::blur::Chains;
use super::build::{BLOCKS_PER_TASK, Block, Parts, enclose, firsts};
use super::simplex::{BLOCK, Grid, Lanes};

/// Kinds of vertices that one task splats onto: sums of several at a time overlap.
const KINDS_PER_TASK: usize = 3;

/// A lattice of simplices with `V` corners around a fixed set of points.
pub struct Lattice<const V: usize> {
    blocks: Vec<Block<V>>,
    /// Number of vertices of each kind; they are numbered kind by kind.
    kinds: [usize; V],
    /// Neighbours along each axis.
    axes: Vec<Chains>,
    /// Factor of all that leaves the lattice.
    gain: f32,
}

/// Values of vertices, by vertex, by group of channels.
pub struct LatticeValues<const L: usize> {
    values: Vec<[f32; L]>,
    groups: usize,
}

impl<const V: usize> Lattice<V> {
    /// The lattice of `count` points. `fill` gets the number of a block's first point and writes the `D`
    /// = `V` - 1 features of its points; the last block's lanes beyond `count` too, with those of any
    /// point.
    ///
    /// `count * V` must be below 2^31.
    pub fn new<const D: usize>(
        count: usize,
        grid: &Grid<D>,
        fill: impl Fn(usize, &mut [Lanes<f32>; D]) + Sync,
    ) -> Self {
        let simplices = enclose(count, grid, &fill);
        let parts = if grid.narrow {
            Parts::of::<D, u32>(count, grid, &simplices)
        } else {
            Parts::of::<D, u64>(count, grid, &simplices)
        };
        let Parts { blocks, kinds, axes } = parts;
        Self { blocks, kinds, axes, gain: 1.0 }
    }

    /// Number of blocks of points.
    pub fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Buffer for values of `groups * L` channels.
    pub fn values<const L: usize>(&self, groups: usize) -> LatticeValues<L> {
        let vertices = self.kinds.iter().sum::<usize>();
        LatticeValues { values: vec![[0.0; L]; vertices * groups], groups }
    }

    /// Multiplies point `i`'s part by `factors[i]` where it enters and where it leaves, and all that
    /// leaves by `gain`.
    pub fn scale(&mut self, factors: &[f32], gain: f32) {
        self.gain *= gain;
        let blocks = self.blocks.par_iter_mut().zip(factors.par_chunks(BLOCK));
        blocks.with_min_len(BLOCKS_PER_TASK).for_each(|(block, factors)| {
            for weights in &mut block.weights {
                weights.iter_mut().zip(factors).for_each(|(weight, factor)| *weight *= factor);
            }
        });
    }

    /// Splats `input` (by point, by group) and blurs it along all axes.
    pub fn filter<const L: usize>(&self, input: &[[f32; L]], values: &mut LatticeValues<L>) {
        self.splat(input, values);
        self.axes.iter().for_each(|axis| axis.blur(&mut values.values, values.groups));
    }

    fn splat<const L: usize>(&self, input: &[[f32; L]], values: &mut LatticeValues<L>) {
        let (mut rest, groups) = (&mut values.values[..], values.groups);
        let mut parts = Vec::with_capacity(V);
        for vertices in self.kinds {
            let (part, others) = rest.split_at_mut(vertices * groups);
            parts.push(part);
            rest = others;
        }
        let (tasks, []) = parts.as_chunks_mut::<KINDS_PER_TASK>() else {
            unreachable!("simplices have 3 or 6 corners");
        };
        tasks.par_iter_mut().enumerate().for_each(|(task, parts)| {
            parts.iter_mut().for_each(|sums| sums.fill([0.0; L]));
            for group in 0..groups {
                self.splat_group(task * KINDS_PER_TASK, (group, groups), input, parts);
            }
        });
    }

    /// Splats one group of channels onto the vertices of some kinds, from `first` on.
    fn splat_group<const L: usize>(
        &self,
        first: usize,
        (group, groups): (usize, usize),
        input: &[[f32; L]],
        parts: &mut [&mut [[f32; L]]; KINDS_PER_TASK],
    ) {
        let firsts = firsts(&self.kinds);
        for (block, input) in self.blocks.iter().zip(input.chunks_exact(BLOCK * groups)) {
            for point in 0..BLOCK {
                let value = input[point * groups + group];
                for (part, sums) in parts.iter_mut().enumerate() {
                    let kind = first + part;
                    let vertex = block.vertices[kind][point] - firsts[kind];
                    let sum = &mut sums[vertex as usize * groups + group];
                    for lane in 0..L {
                        sum[lane] += block.weights[kind][point] * value[lane];
                    }
                }
            }
        }
    }

    /// Adds to `sums` what the points of block number `block` read back of `group`.
    #[inline(always)]
    pub fn slice<const L: usize>(
        &self,
        values: &LatticeValues<L>,
        block: usize,
        group: usize,
        sums: &mut [[f32; L]; BLOCK],
    ) {
        let Block { vertices, weights } = &self.blocks[block];
        for (point, sum) in sums.iter_mut().enumerate() {
            let mut read = [0.0; L];
            for kind in 0..V {
                let vertex = vertices[kind][point] as usize;
                let value = &values.values[vertex * values.groups + group];
                for lane in 0..L {
                    read[lane] += weights[kind][point] * value[lane];
                }
            }
            for lane in 0..L {
                sum[lane] += self.gain * read[lane];
            }
        }
    }
}

/// Makes up for the blur, which adds half of both neighbours without dividing by two.
pub fn slice_factor(dimensions: usize) -> f32 {
    1.0 / (1.0 + 0.5f32.powi(dimensions as i32))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: usize = 300;

    fn feature(point: usize, axis: usize) -> f32 {
        ((point.min(COUNT - 1) * (37 + 11 * axis)) % 101) as f32 * 0.03
    }

    fn fill(first: usize, features: &mut [Lanes<f32>; 5]) {
        for (axis, lanes) in features.iter_mut().enumerate() {
            for (lane, value) in lanes.iter_mut().enumerate() {
                *value = feature(first + lane, axis);
            }
        }
    }

    /// What the points read back of `groups` groups of 4 channels.
    fn filtered(lattice: &Lattice<6>, groups: usize) -> Vec<Vec<[f32; 4]>> {
        let value = |i: usize, lane: usize| ((i * 13 + lane * 5) % 23) as f32;
        let count = lattice.blocks() * BLOCK * groups;
        let input: Vec<[f32; 4]> =
            (0..count).map(|i| std::array::from_fn(|lane| value(i / groups, lane))).collect();
        let mut values = lattice.values(groups);
        lattice.filter(&input, &mut values);
        let read = |group| {
            let mut out = vec![[0.0; 4]; lattice.blocks() * BLOCK];
            for (block, sums) in out.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
                lattice.slice(&values, block, group, sums);
            }
            out
        };
        (0..groups).map(read).collect()
    }

    #[test]
    fn wide_keys_make_the_same_lattice_as_narrow_ones() {
        let mut grid = Grid::new(&[3.1; 5]).unwrap();
        let narrow = filtered(&Lattice::new(COUNT, &grid, fill), 1);
        assert!(std::mem::take(&mut grid.narrow));
        assert_eq!(narrow, filtered(&Lattice::new(COUNT, &grid, fill), 1));
    }

    #[test]
    fn groups_are_filtered_alike() {
        let lattice = Lattice::new(COUNT, &Grid::new(&[3.1; 5]).unwrap(), fill);
        let (one, three) = (filtered(&lattice, 1), filtered(&lattice, 3));
        assert!(three.iter().all(|group| *group == one[0]));
    }

    #[test]
    fn what_lies_beyond_the_last_point_counts_nothing() {
        let lattice: Lattice<6> = Lattice::new(COUNT, &Grid::new(&[3.1; 5]).unwrap(), fill);
        let last = &lattice.blocks[COUNT / BLOCK];
        assert!(last.weights.iter().all(|weights| weights[COUNT % BLOCK..] == [0.0; 20]));
        assert!(last.weights.iter().any(|weights| weights[COUNT % BLOCK - 1] > 0.0));
    }
}
