//! The permutohedral lattice (Adams, Baek, Davis 2010) as Kraehenbuehl and Koltun use it: points splat
//! their values onto the corners of their simplex, the corners are blurred along each axis, and the
//! points read the result back. Approximates a Gaussian filter of standard deviation 1 among `N` points
//! in time linear in `N`.
//!
//! Values lie vertex by vertex with their channels side by side, in groups of `L` lanes, so that every
//! inner loop is over a fixed-size array. The splat gathers (each vertex sums over its own points, in
//! order) instead of scattering: all three passes run in parallel and give the same sums on any number
//! of threads.

use rayon::prelude::*;

use super::simplex::{Simplex, blur_step, enclosing_simplex, feature_scales};
use super::vertex_table::VertexTable;

/// Points whose vertices one task numbers by itself; fixed, so that nothing depends on the threads.
const POINTS_PER_STRIP: usize = 1 << 14;
/// Vertices that one task splats or blurs.
const VERTICES_PER_TASK: usize = 4096;

/// One end of a splat or slice, and the weight of its share.
#[derive(Clone, Copy, Default)]
struct Share {
    /// The vertex (of a point's share) or the point (of a vertex's share).
    index: u32,
    weight: f32,
}

/// A lattice of simplices with `V` corners around a fixed set of points.
pub struct Lattice<const V: usize> {
    /// By point: its corners.
    corners: Vec<[Share; V]>,
    /// The points around all vertices, vertex by vertex.
    points: Vec<Share>,
    /// Where each vertex's part of `points` begins; one more than vertices.
    starts: Vec<u32>,
    /// By axis, by vertex: both neighbours; the number of vertices stands for a missing one.
    neighbours: Vec<Vec<[u32; 2]>>,
}

/// Two buffers of lattice values that a filter alternates between.
pub struct LatticeValues<const L: usize> {
    /// By vertex, by group of channels; one vertex more, always zero, is the missing neighbour.
    current: Vec<[f32; L]>,
    next: Vec<[f32; L]>,
    groups: usize,
}

impl<const V: usize> Lattice<V> {
    /// The lattice of `count` points with the `D` = `V` - 1 features that `feature_of` gives.
    ///
    /// `count * V` must be below 2^32, and the features small enough for a packed key.
    pub fn new<const D: usize>(
        count: usize,
        feature_of: impl Fn(usize) -> [f32; D] + Sync,
    ) -> Self {
        let mut corners = vec![[Share::default(); V]; count];
        let scales = feature_scales::<D>();
        let strips: Vec<VertexTable> = corners
            .par_chunks_mut(POINTS_PER_STRIP)
            .enumerate()
            .map(|(strip, corners)| {
                let first = strip * POINTS_PER_STRIP;
                number_strip(corners, |i| enclosing_simplex(&feature_of(first + i), &scales))
            })
            .collect();
        let table = merge_strips(&mut corners, strips);
        let vertices = table.keys().len();
        let (neighbours, (points, starts)) =
            rayon::join(|| neighbours::<V>(&table), || points_by_vertex(&corners, vertices));
        Self { corners, points, starts, neighbours }
    }

    /// Number of points.
    pub fn points(&self) -> usize {
        self.corners.len()
    }

    fn vertices(&self) -> usize {
        self.starts.len() - 1
    }

    /// Buffers for values of `groups * L` channels.
    pub fn values<const L: usize>(&self, groups: usize) -> LatticeValues<L> {
        let zeros = vec![[0.0; L]; (self.vertices() + 1) * groups];
        LatticeValues { current: zeros.clone(), next: zeros, groups }
    }

    /// Multiplies point `i`'s part by `input[i]` where it enters and by `output[i]` where it leaves.
    pub fn scale(&mut self, input: &[f32], output: &[f32]) {
        let shares = self.points.par_iter_mut().with_min_len(VERTICES_PER_TASK);
        shares.for_each(|share| share.weight *= input[share.index as usize]);
        let corners = self.corners.par_iter_mut().zip(output).with_min_len(VERTICES_PER_TASK);
        corners.for_each(|(shares, factor)| {
            shares.iter_mut().for_each(|share| share.weight *= factor);
        });
    }

    /// Splats `input` (by point, by group) and blurs it along all axes.
    pub fn filter<const L: usize>(&self, input: &[[f32; L]], values: &mut LatticeValues<L>) {
        self.splat(input, values);
        for neighbours in &self.neighbours {
            blur(neighbours, values);
        }
    }

    fn splat<const L: usize>(&self, input: &[[f32; L]], values: &mut LatticeValues<L>) {
        let (groups, vertices) = (values.groups, self.vertices());
        let tasks = values.current[..vertices * groups].par_chunks_mut(VERTICES_PER_TASK * groups);
        tasks.enumerate().for_each(|(task, chunk)| {
            let starts = &self.starts[task * VERTICES_PER_TASK..];
            for (sums, range) in chunk.chunks_exact_mut(groups).zip(starts.windows(2)) {
                let shares = &self.points[range[0] as usize..range[1] as usize];
                for (group, sum) in sums.iter_mut().enumerate() {
                    *sum = weighted_sum(shares, input, groups, group);
                }
            }
        });
    }

    /// What `point` reads back of `group`, without the factor that [`slice_factor`] gives.
    pub fn slice<const L: usize>(
        &self,
        values: &LatticeValues<L>,
        point: usize,
        group: usize,
    ) -> [f32; L] {
        weighted_sum(&self.corners[point], &values.current, values.groups, group)
    }
}

/// Makes up for the blur, which adds half of both neighbours without dividing by two.
pub fn slice_factor(dimensions: usize) -> f32 {
    1.0 / (1.0 + 0.5f32.powi(dimensions as i32))
}

#[inline(always)]
fn weighted_sum<const L: usize>(
    shares: &[Share],
    values: &[[f32; L]],
    groups: usize,
    group: usize,
) -> [f32; L] {
    let mut sum = [0.0; L];
    for share in shares {
        let value = &values[share.index as usize * groups + group];
        for lane in 0..L {
            sum[lane] += share.weight * value[lane];
        }
    }
    sum
}

fn blur<const L: usize>(neighbours: &[[u32; 2]], values: &mut LatticeValues<L>) {
    let (groups, vertices) = (values.groups, neighbours.len());
    let old = &values.current;
    let tasks = values.next[..vertices * groups].par_chunks_mut(VERTICES_PER_TASK * groups);
    tasks.enumerate().for_each(|(task, chunk)| {
        let first = task * VERTICES_PER_TASK;
        let centres = old[first * groups..].chunks_exact(groups);
        let vertices = chunk.chunks_exact_mut(groups).zip(centres).zip(&neighbours[first..]);
        for ((new, centre), &[left, right]) in vertices {
            let (left, right) = (left as usize * groups, right as usize * groups);
            for group in 0..groups {
                let (left, right) = (&old[left + group], &old[right + group]);
                for lane in 0..L {
                    new[group][lane] = centre[group][lane] + 0.5 * (left[lane] + right[lane]);
                }
            }
        }
    });
    std::mem::swap(&mut values.current, &mut values.next);
}

/// Fills in the corners of one strip of points, with numbers of the table it returns.
fn number_strip<const V: usize>(
    corners: &mut [[Share; V]],
    simplex_of: impl Fn(usize) -> Simplex<V>,
) -> VertexTable {
    let mut table = VertexTable::with_capacity(corners.len());
    let (mut last_keys, mut last) = ([0; V], [Share::default(); V]);
    for (i, corners) in corners.iter_mut().enumerate() {
        let simplex = simplex_of(i);
        for r in 0..V {
            // Neighbouring points share many corners. No vertex has the key 0.
            if simplex.keys[r] != last_keys[r] {
                last[r].index = table.find_or_add(simplex.keys[r]);
            }
            last[r].weight = simplex.weights[r];
        }
        last_keys = simplex.keys;
        *corners = last;
    }
    table
}

/// Makes one table of the strips' tables and renumbers the corners accordingly.
fn merge_strips<const V: usize>(
    corners: &mut [[Share; V]],
    strips: Vec<VertexTable>,
) -> VertexTable {
    let mut strips = strips.into_iter();
    // The first strip's numbers stay as they are.
    let mut table = strips.next().unwrap_or_else(|| VertexTable::with_capacity(0));
    let renumbered: Vec<Vec<u32>> = strips
        .map(|strip| strip.keys().iter().map(|&key| table.find_or_add(key)).collect())
        .collect();
    let others = corners.par_chunks_mut(POINTS_PER_STRIP).skip(1).zip(renumbered);
    others.for_each(|(corners, numbers)| {
        let shares = corners.as_flattened_mut().iter_mut();
        shares.for_each(|share| share.index = numbers[share.index as usize]);
    });
    table
}

/// Both blur neighbours of every vertex along every axis.
fn neighbours<const V: usize>(table: &VertexTable) -> Vec<Vec<[u32; 2]>> {
    let missing = table.keys().len() as u32;
    let along = |axis: usize| {
        let step = blur_step(axis, V - 1);
        let mut pairs = vec![[missing; 2]; table.keys().len()];
        table.find_shifted(step, |vertex, first| {
            pairs[vertex as usize][0] = first;
            pairs[first as usize][1] = vertex;
        });
        pairs
    };
    (0..V).into_par_iter().map(along).collect()
}

/// Turns "corners by point" round: points by vertex, in ascending order, and where each vertex begins.
fn points_by_vertex<const V: usize>(
    corners: &[[Share; V]],
    vertices: usize,
) -> (Vec<Share>, Vec<u32>) {
    let mut starts = vec![0u32; vertices + 2];
    for share in corners.as_flattened() {
        starts[share.index as usize + 2] += 1;
    }
    for vertex in 2..starts.len() {
        starts[vertex] += starts[vertex - 1];
    }
    // While filling, entry `vertex + 1` is where the vertex's next point goes; it ends as its end.
    let mut points = vec![Share::default(); corners.len() * V];
    for (point, corners) in corners.iter().enumerate() {
        for share in corners {
            let next = &mut starts[share.index as usize + 1];
            points[*next as usize] = Share { index: point as u32, weight: share.weight };
            *next += 1;
        }
    }
    starts.pop();
    (points, starts)
}
