//! Mean-field inference: `Q = softmax(-U + K Q)`, a few times, for several label maps at once.
//!
//! The probabilities of a pixel sum to 1, so the background (label 0) needs no channel in the filters:
//! what a pixel receives of it is its reach minus what it receives of all classes. Only differences to
//! the background's energy are ever formed.
//!
//! Pixels stand in the order of their visit, in blocks. On the lattices the channels of a pixel lie
//! side by side; the softmax runs over the pixels of a block.

use ndarray::{Array2, Array3};
use rayon::prelude::*;

use super::DenseCrf;
use super::permutohedral::LatticeValues;
use super::simplex::{BLOCK, Lanes};
use super::softmax::Odds;
use crate::vectors::widest;

/// Blocks of pixels that one task updates.
const BLOCKS_PER_TASK: usize = 32;

/// The label maps to start from.
pub struct Start {
    /// By block, by run, the pixels of the block; any label beyond the last pixel.
    pub labels: Vec<Lanes<u8>>,
    /// Number of label maps.
    pub runs: usize,
    /// Labels without the background.
    pub classes: usize,
}

impl Start {
    /// Channels that the filters must carry.
    pub fn channels(&self) -> usize {
        self.runs * self.classes
    }
}

/// The state of all runs; channels are padded to groups of `L` lanes.
pub struct MeanField<'a, const L: usize> {
    crf: &'a DenseCrf,
    start: Start,
    groups: usize,
    /// By pixel, by group: the probabilities of the classes, run by run; unused lanes are 0.
    classes: Vec<[f32; L]>,
    /// By block, by run: the probability of the background.
    background: Vec<Lanes<f32>>,
}

/// Filtered probabilities on both lattices.
type Messages<'a, const L: usize> = (&'a LatticeValues<L>, &'a LatticeValues<L>);

impl<'a, const L: usize> MeanField<'a, L> {
    /// Runs all steps.
    pub fn solve(crf: &'a DenseCrf, start: Start) -> Self {
        let groups = start.channels().div_ceil(L);
        let classes = vec![[0.0; L]; crf.reach.len() * BLOCK * groups];
        let background = vec![[1.0; BLOCK]; crf.reach.len() * start.runs];
        let mut field = Self { crf, start, groups, classes, background };
        // A single label has probability 1 everywhere.
        if field.start.channels() > 0 {
            field.run();
        }
        field
    }

    fn run(&mut self) {
        let crf = self.crf;
        let mut gaussian = crf.gaussian.values(self.groups);
        let mut bilateral = crf.bilateral.values(self.groups);
        self.update(None);
        for _ in 0..crf.settings.steps {
            rayon::join(
                || crf.bilateral.filter(&self.classes, &mut bilateral),
                || crf.gaussian.filter(&self.classes, &mut gaussian),
            );
            self.update(Some((&gaussian, &bilateral)));
        }
    }

    /// New probabilities of all pixels, from what they receive (nothing before the first step).
    fn update(&mut self, messages: Option<Messages<'_, L>>) {
        let (crf, start, groups) = (self.crf, &self.start, self.groups);
        let margin = crf.settings.margin(start.classes);
        let classes = self.classes.par_chunks_mut(BLOCKS_PER_TASK * BLOCK * groups);
        let background = self.background.par_chunks_mut(BLOCKS_PER_TASK * start.runs);
        classes.zip(background).enumerate().for_each(|(task, (classes, background))| {
            let first = task * BLOCKS_PER_TASK;
            let update = Update { crf, start, groups, margin, messages, first };
            widest!([const L: usize] update_blocks(
                update: Update<'_, L>,
                classes: &mut [[f32; L]],
                background: &mut [Lanes<f32>],
            ));
        });
    }

    /// `Q` of each run: (labels, height, width).
    pub fn marginals(&self) -> Vec<Array3<f32>> {
        let (height, width) = self.crf.size;
        let run = |run: usize| {
            let mut q = Array3::zeros((self.start.classes + 1, height, width));
            self.visit(run, |pixel, background, classes| {
                let at = (pixel / width, pixel % width);
                q[[0, at.0, at.1]] = background;
                for (class, &value) in classes.iter().enumerate() {
                    q[[class + 1, at.0, at.1]] = value;
                }
            });
            q
        };
        (0..self.start.runs).into_par_iter().map(run).collect()
    }

    /// The likeliest label of each pixel, by run; of equals the first.
    pub fn labels(&self) -> Vec<Array2<u8>> {
        let run = |run: usize| {
            let mut labels = vec![0; self.crf.order.len()];
            self.visit(run, |pixel, background, classes| {
                labels[pixel] = first_largest(background, classes) as u8;
            });
            Array2::from_shape_vec(self.crf.size, labels).expect("one label a pixel")
        };
        (0..self.start.runs).into_par_iter().map(run).collect()
    }

    /// Gives the number of each pixel with its probabilities in `run`: the background's, the classes'.
    fn visit(&self, run: usize, mut look: impl FnMut(usize, f32, &[f32])) {
        let (count, runs, lanes) = (self.start.classes, self.start.runs, self.groups * L);
        let classes = self.classes.as_flattened();
        for (place, &pixel) in self.crf.order.iter().enumerate() {
            let background = self.background[place / BLOCK * runs + run][place % BLOCK];
            look(pixel as usize, background, &classes[place * lanes + run * count..][..count]);
        }
    }
}

/// Index of the largest among `background` and then `classes`; of equals the first.
pub fn first_largest(background: f32, classes: &[f32]) -> usize {
    let (mut best, mut most) = (0, background);
    for (index, &value) in classes.iter().enumerate() {
        if value > most {
            (best, most) = (index + 1, value);
        }
    }
    best
}

/// What a task needs to know on the way from messages to probabilities.
struct Update<'a, const L: usize> {
    crf: &'a DenseCrf,
    start: &'a Start,
    groups: usize,
    margin: f32,
    messages: Option<Messages<'a, L>>,
    /// Number of the task's first block.
    first: usize,
}

/// New probabilities of a task's blocks of pixels.
#[inline(always)]
fn update_blocks<const L: usize>(
    update: Update<'_, L>,
    classes: &mut [[f32; L]],
    background: &mut [Lanes<f32>],
) {
    let Start { labels, runs, classes: count } = update.start;
    let mut odds = vec![[0.0; BLOCK]; update.groups * L];
    let classes = classes.chunks_exact_mut(BLOCK * update.groups);
    let background = background.chunks_exact_mut(*runs);
    for (block, (classes, background)) in (update.first..).zip(classes.zip(background)) {
        let reach = match update.messages {
            Some(messages) => {
                receive(update.crf, messages, block, &mut odds);
                &update.crf.reach[block]
            }
            None => {
                odds.fill([0.0; BLOCK]);
                &[0.0; BLOCK]
            }
        };
        let labels = &labels[block * runs..][..*runs];
        for ((odds, background), labels) in
            odds.chunks_exact_mut(*count).zip(background).zip(labels)
        {
            Odds { classes: odds, background }.update(reach, labels, update.margin);
        }
        put_side_by_side(&odds, *runs * *count, classes);
    }
}

/// What the pixels of a block read back from both lattices, channel by channel.
#[inline(always)]
fn receive<const L: usize>(
    crf: &DenseCrf,
    (gaussian, bilateral): Messages<'_, L>,
    block: usize,
    odds: &mut [Lanes<f32>],
) {
    for (group, odds) in odds.chunks_exact_mut(L).enumerate() {
        let mut sums = [[0.0; L]; BLOCK];
        crf.gaussian.slice(gaussian, block, group, &mut sums);
        crf.bilateral.slice(bilateral, block, group, &mut sums);
        for (lane, odds) in odds.iter_mut().enumerate() {
            for (odd, sum) in odds.iter_mut().zip(&sums) {
                *odd = sum[lane];
            }
        }
    }
}

/// Writes the first `used` channels to every pixel's lanes.
#[inline(always)]
fn put_side_by_side<const L: usize>(odds: &[Lanes<f32>], used: usize, classes: &mut [[f32; L]]) {
    let groups = odds.len() / L;
    for (pixel, classes) in classes.chunks_exact_mut(groups).enumerate() {
        for (value, odds) in classes.as_flattened_mut().iter_mut().zip(&odds[..used]) {
            *value = odds[pixel];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equals_wins() {
        assert_eq!(first_largest(0.3, &[0.3, 0.4, 0.4]), 2);
        assert_eq!(first_largest(0.3, &[0.3]), 0);
    }
}
