//! IRNet's loss over pixel pairs on the GPU: a kernel that goes through all pairs, one that makes the terms of
//! the sums, one that makes the gradients. No pair is stored (see [`crate::ops::relation_loss()`]).

use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::{Result, Tensor};

use super::engine::CudaEngine;
use super::gpu::{Argument, Grid};
use super::map::Map;
use crate::pairs::directions;
use crate::tape::Engine;

/// Threads of a block of `relation_pairs`, a cell each.
const CELLS: usize = 256;
/// The largest radius for which no sum of slopes can overflow (`kernels/relation.cuh`).
const RADIUS: usize = 21;
/// Sums that a block gives: 3 counts, 3 affinities, 2 displacements.
const QUANTITIES: usize = 8;

/// The directions of a radius on a map of one width, on the GPU.
struct Directions {
    table: CudaSlice<u8>,
    cells: CudaSlice<u8>,
    count: usize,
}

/// The loss on the GPU: its terms, and what it wants changed in both branches' outputs.
pub struct Relation {
    /// The seven terms of the kernel `relation_totals`.
    pub losses: Tensor,
    /// The gradient of the boundary logits.
    pub edge: Map,
    /// The gradient of the displacements.
    pub displacement: Map,
}

impl CudaEngine {
    /// The loss of logits `(batch, 1, h, w)` and displacements `(batch, 2, h, w)`, both f32, alone: its seven
    /// terms as in [`CudaEngine::relation_step`], and both gradients in main memory.
    ///
    /// # Errors
    /// Labels of another size, a radius beyond 21.
    pub fn relation_loss(
        &self,
        edge: &Tensor,
        displacement: &Tensor,
        label: &[u8],
        radius: usize,
        classes: usize,
    ) -> Result<(Vec<f32>, [Tensor; 2])> {
        let (edge, displacement) = (self.load(edge)?, self.load(displacement)?);
        let loss = self.relation([&edge, &displacement], label, radius, classes)?;
        let gradients = [self.read(&loss.edge)?, self.read(&loss.displacement)?];
        Ok((self.arrived(self.later(&loss.losses)?)?, gradients))
    }

    fn directions(&self, radius: usize, width: usize) -> Result<Directions> {
        let (mut table, mut cells): (Vec<i32>, Vec<i32>) = Default::default();
        let directions = directions(radius);
        for direction in &directions {
            let (first, length) = (cells.len() as i32, direction.path.len() as i32);
            table.extend([direction.dy as i32, direction.dx as i32, first, length]);
            cells.extend(direction.path.iter().map(|(y, x)| (y * width as isize + x) as i32));
        }
        let (table, cells) = (self.gpu.upload(&table)?, self.gpu.upload(&cells)?);
        Ok(Directions { table, cells, count: directions.len() })
    }

    /// The loss of logits and displacements against `label`, `(batch, h, w)` in one piece.
    ///
    /// # Errors
    /// Labels of another size.
    pub(super) fn relation(
        &self,
        [edge, displacement]: [&Map; 2],
        label: &[u8],
        radius: usize,
        classes: usize,
    ) -> Result<Relation> {
        let [images, _, height, width] = edge.shape;
        if label.len() != images * height * width || displacement.shape[2..] != edge.shape[2..] {
            candle_core::bail!("{} labels of {images} x {height} x {width}", label.len());
        }
        if radius > RADIUS {
            candle_core::bail!("a radius of {radius}: on a GPU {RADIUS} at most");
        }
        let count = label.len();
        let at = |buffer: &CudaSlice<u8>| Argument::Address(self.gpu.address(buffer));
        let label = self.gpu.upload(label)?;
        let paths = self.directions(radius, width)?;
        let (_logits, logits) = self.tensor_of(edge)?;
        let (_moves, moves) = self.tensor_of(displacement)?;
        let probability = self.gpu.take(count * 4)?;
        let mut arguments = [Argument::Address(logits), at(&probability), Argument::long(count)];
        self.gpu.launch("relation_probabilities", Grid::over(count), &mut arguments)?;

        let blocks = (height * width).div_ceil(CELLS);
        let edge_slopes = self.gpu.zeros(3 * count * 8)?;
        let displacement_slopes = self.gpu.take(4 * count * 4)?;
        let partial = self.gpu.take(images * blocks * QUANTITIES * 8)?;
        let mut arguments = [
            at(&probability),
            Argument::Address(moves),
            at(&label),
            at(&paths.table),
            at(&paths.cells),
            Argument::int(paths.count)?,
            at(&edge_slopes),
            at(&displacement_slopes),
            at(&partial),
            Argument::int(height)?,
            Argument::int(width)?,
            Argument::int(radius)?,
            Argument::int(classes)?,
        ];
        self.gpu.launch("relation_pairs", Grid::blocks([blocks, images, 1]), &mut arguments)?;

        let totals = self.gpu.take(QUANTITIES * 8)?;
        let (losses, terms) = self.gpu.tensor(7)?;
        let blocks = Argument::int(images * blocks)?;
        let mut arguments = [at(&partial), blocks, at(&totals), Argument::Address(terms)];
        self.gpu.launch("relation_totals", Grid::blocks([1, 1, 1]), &mut arguments)?;

        let (_d_edge, d_edge) = self.gpu.tensor(edge.shape.to_vec())?;
        let (_d_moves, d_moves) = self.gpu.tensor(displacement.shape.to_vec())?;
        let mut arguments = [
            at(&edge_slopes),
            at(&displacement_slopes),
            at(&totals),
            at(&probability),
            Argument::Address(d_edge),
            Argument::Address(d_moves),
            Argument::int(images)?,
            Argument::int(height * width)?,
        ];
        self.gpu.launch("relation_gradient", Grid::over(count), &mut arguments)?;
        let edge = self.map_of(d_edge, edge.shape)?;
        let displacement = self.map_of(d_moves, displacement.shape)?;
        Ok(Relation { losses, edge, displacement })
    }
}
