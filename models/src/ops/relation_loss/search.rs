//! All pairs of an image: direction by direction, a row of sources at a time.
//!
//! What is done for every pair of a row is done in loops without branches, which the compiler turns into
//! vector instructions.

use rayon::prelude::*;

use super::EPSILON;
use super::sums::{KINDS, Sums};
use crate::pairs::{Direction, Sources};

/// Tasks an image's directions are shared by.
const PARTS: usize = 4;

/// What all images share.
pub struct Search {
    pub height: usize,
    pub width: usize,
    pub classes: usize,
    pub radius: usize,
    pub directions: Vec<Direction>,
}

/// A row of sources and what is known of the pair of each.
struct Row {
    /// The largest edge on the path, and where the path's first such cell is, less the source's column.
    largest: Vec<f32>,
    at: Vec<u32>,
    /// As in [`Sums`]; the last kind is an unknown pair.
    kind: Vec<u8>,
    /// What the affinity's loss is the negative logarithm of, and its slope.
    share: Vec<f32>,
    slope: Vec<f32>,
}

impl Row {
    fn new(columns: usize) -> Self {
        let zeros = || vec![0.0; columns];
        let (at, kind) = (vec![0; columns], vec![0; columns]);
        Self { largest: zeros(), at, kind, share: zeros(), slope: zeros() }
    }
}

impl Search {
    /// The sums over an image's pairs.
    pub fn image(&self, edge: &[f32], dp: &[f32], label: &[u8]) -> Sums {
        let part = |part: usize| self.part_by_vectors(part, edge, dp, label);
        let parts: Vec<Sums> = (0..PARTS).into_par_iter().map(part).collect();
        parts.into_iter().fold(Sums::new(edge.len()), Sums::add)
    }

    #[cfg(target_arch = "x86_64")]
    fn part_by_vectors(&self, part: usize, edge: &[f32], dp: &[f32], label: &[u8]) -> Sums {
        #[target_feature(enable = "avx2")]
        fn wide(search: &Search, part: usize, edge: &[f32], dp: &[f32], label: &[u8]) -> Sums {
            search.part(part, edge, dp, label)
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has the instructions.
            unsafe { wide(self, part, edge, dp, label) }
        } else {
            self.part(part, edge, dp, label)
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn part_by_vectors(&self, part: usize, edge: &[f32], dp: &[f32], label: &[u8]) -> Sums {
        self.part(part, edge, dp, label)
    }

    #[inline(always)]
    fn part(&self, part: usize, edge: &[f32], dp: &[f32], label: &[u8]) -> Sums {
        let sources = Sources::new(self.radius, self.height, self.width);
        let mut sums = Sums::new(edge.len());
        let mut row = Row::new(sources.columns);
        for direction in self.directions.iter().skip(part).step_by(PARTS) {
            for y in 0..sources.rows {
                let source = sources.row(y, (0, 0));
                let destination = sources.row(y, (direction.dy, direction.dx));
                let labels = [source, destination].map(|at| &label[at..at + sources.columns]);
                row.largest_on_path(direction, &sources, y, edge);
                row.kinds(labels, self.classes);
                row.shares();
                sums.affinity_terms(&row.kind, &row.at, &row.share, &row.slope);
                let ends = [source, destination];
                sums.displacement_terms(0, &row.kind, ends, dp, [0.0; 2]);
                let target = [direction.dy as f32, direction.dx as f32];
                sums.displacement_terms(1, &row.kind, ends, dp, target);
            }
        }
        sums
    }
}

impl Row {
    #[inline(always)]
    fn largest_on_path(
        &mut self,
        direction: &Direction,
        sources: &Sources,
        y: usize,
        edge: &[f32],
    ) {
        self.largest.fill(f32::NEG_INFINITY);
        for &cell in &direction.path {
            let first = sources.row(y, cell);
            let edges = &edge[first..first + self.largest.len()];
            for ((largest, at), &edge) in self.largest.iter_mut().zip(&mut self.at).zip(edges) {
                // Strictly: of equal edges the first in path order counts.
                let larger = edge > *largest;
                *largest = if larger { edge } else { *largest };
                *at = if larger { first as u32 } else { *at };
            }
        }
    }

    /// As [`super::pair`] says.
    #[inline(always)]
    fn kinds(&mut self, [sources, destinations]: [&[u8]; 2], classes: usize) {
        let classes = classes.min(255) as u8;
        for ((kind, &a), &b) in self.kind.iter_mut().zip(sources).zip(destinations) {
            let same = u8::from(a != 0);
            let known = if a == b { same } else { 2 };
            *kind = if a.max(b) > classes { KINDS as u8 } else { known };
        }
    }

    /// As in [`super::attraction`] and [`super::repulsion`].
    #[inline(always)]
    fn shares(&mut self) {
        let both = self.share.iter_mut().zip(&mut self.slope);
        for (((share, slope), &largest), &kind) in both.zip(&self.largest).zip(&self.kind) {
            let affinity = 1.0 - largest;
            let apart = kind == 2;
            *share = if apart { 1.0 + EPSILON - affinity } else { affinity + EPSILON };
            *slope = if apart { -1.0 } else { 1.0 } / *share;
        }
    }
}
