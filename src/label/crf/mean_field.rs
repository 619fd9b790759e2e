//! Mean-field inference: `Q = softmax(-U + K Q)`, a few times, for several label maps at once.
//!
//! The probabilities of a pixel sum to 1, so the background (label 0) needs no channel in the filters:
//! what a pixel receives of it is its reach minus what it receives of all classes. Only differences to
//! the background's energy are ever formed.

use ndarray::{Array2, Array3};
use rayon::prelude::*;

use super::DenseCrf;
use super::permutohedral::LatticeValues;

/// Pixels that one task updates.
const PIXELS_PER_TASK: usize = 2048;

/// The label maps to start from.
pub struct Start {
    /// By pixel, by run.
    pub labels: Vec<u8>,
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
    /// By pixel, by group: the probabilities of the classes, run by run.
    classes: Vec<[f32; L]>,
    /// By pixel, by run: the probability of the background.
    background: Vec<f32>,
}

/// Filtered probabilities on both lattices.
type Messages<'a, const L: usize> = (&'a LatticeValues<L>, &'a LatticeValues<L>);

impl<'a, const L: usize> MeanField<'a, L> {
    /// Runs all steps.
    pub fn solve(crf: &'a DenseCrf, start: Start) -> Self {
        let groups = start.channels().div_ceil(L);
        let pixels = crf.reach.len();
        let classes = vec![[0.0; L]; pixels * groups];
        let background = vec![1.0; pixels * start.runs];
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
            crf.gaussian.filter(&self.classes, &mut gaussian);
            crf.bilateral.filter(&self.classes, &mut bilateral);
            self.update(Some((&gaussian, &bilateral)));
        }
    }

    /// New probabilities of all pixels, from what they receive (nothing before the first step).
    fn update(&mut self, messages: Option<Messages<'_, L>>) {
        let (crf, start, groups) = (self.crf, &self.start, self.groups);
        let classes = self.classes.par_chunks_mut(PIXELS_PER_TASK * groups);
        let background = self.background.par_chunks_mut(PIXELS_PER_TASK * start.runs);
        let labels = start.labels.par_chunks(PIXELS_PER_TASK * start.runs);
        let margin = crf.settings.margin(start.classes);
        classes.zip(background).zip(labels).enumerate().for_each(|(task, chunk)| {
            let ((classes, background), labels) = chunk;
            let pixels = task * PIXELS_PER_TASK..;
            let runs = start.runs;
            let mut logits = Logits { classes, background, labels, margin, runs, groups };
            match messages {
                Some(messages) => {
                    logits.receive(crf, messages, pixels.clone());
                    let reach = &crf.reach[pixels.start..];
                    logits.add_energies(start.classes, reach.iter().copied());
                }
                None => {
                    logits.classes.fill([0.0; L]);
                    logits.add_energies(start.classes, std::iter::repeat(0.0));
                }
            }
            logits.softmax(start.classes);
        });
    }

    /// `Q` of each run: (labels, height, width).
    pub fn marginals(&self) -> Vec<Array3<f32>> {
        let (height, width) = self.crf.size;
        let (count, runs) = (self.start.classes, self.start.runs);
        let lanes = self.groups * L;
        let classes = self.classes.as_flattened();
        let run = |run: usize| {
            Array3::from_shape_fn((count + 1, height, width), |(label, y, x)| {
                let pixel = y * width + x;
                match label {
                    0 => self.background[pixel * runs + run],
                    _ => classes[pixel * lanes + run * count + label - 1],
                }
            })
        };
        (0..runs).map(run).collect()
    }

    /// The likeliest label of each pixel, by run; of equals the first.
    pub fn labels(&self) -> Vec<Array2<u8>> {
        let (height, width) = self.crf.size;
        let (count, runs) = (self.start.classes, self.start.runs);
        let lanes = self.groups * L;
        let classes = self.classes.as_flattened();
        let run = |run: usize| {
            Array2::from_shape_fn((height, width), |(y, x)| {
                let pixel = y * width + x;
                let rivals = &classes[pixel * lanes + run * count..][..count];
                first_largest(self.background[pixel * runs + run], rivals) as u8
            })
        };
        (0..runs).map(run).collect()
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

/// A task's pixels, on the way from messages to probabilities.
struct Logits<'a, const L: usize> {
    classes: &'a mut [[f32; L]],
    background: &'a mut [f32],
    labels: &'a [u8],
    margin: f32,
    runs: usize,
    groups: usize,
}

impl<const L: usize> Logits<'_, L> {
    /// Reads what the pixels receive back from both lattices.
    fn receive(
        &mut self,
        crf: &DenseCrf,
        (gaussian, bilateral): Messages<'_, L>,
        pixels: std::ops::RangeFrom<usize>,
    ) {
        for (pixel, groups) in pixels.zip(self.classes.chunks_exact_mut(self.groups)) {
            for (group, sum) in groups.iter_mut().enumerate() {
                let near = crf.gaussian.slice(gaussian, pixel, group);
                let alike = crf.bilateral.slice(bilateral, pixel, group);
                for lane in 0..L {
                    sum[lane] = near[lane] + alike[lane];
                }
            }
        }
    }

    /// Turns messages into log-odds against the background, less the largest of each pixel and run.
    fn add_energies(&mut self, count: usize, reach: impl Iterator<Item = f32>) {
        match count {
            1 => self.add_energies_of(1, reach),
            2 => self.add_energies_of(2, reach),
            3 => self.add_energies_of(3, reach),
            _ => self.add_energies_of(count, reach),
        }
    }

    #[inline(always)]
    fn add_energies_of(&mut self, count: usize, reach: impl Iterator<Item = f32>) {
        let runs = self.runs;
        let classes = self.classes.as_flattened_mut().chunks_exact_mut(L * self.groups);
        let background = self.background.chunks_exact_mut(runs);
        let labels = self.labels.chunks_exact(runs);
        for (((classes, background), labels), reach) in
            classes.zip(background).zip(labels).zip(reach)
        {
            let runs = classes.chunks_exact_mut(count).zip(background).zip(labels);
            for ((odds, background), &label) in runs {
                let received: f32 = odds.iter().sum();
                let against = if label == 0 { self.margin } else { 0.0 };
                // A select, for a store to the one class would stall the loads that follow.
                for (class, odd) in odds.iter_mut().enumerate() {
                    let given = usize::from(label) == class + 1;
                    let favour = if given { self.margin } else { 0.0 };
                    *odd += received - reach - against + favour;
                }
                let top = odds.iter().copied().fold(0.0, f32::max);
                odds.iter_mut().for_each(|odd| *odd -= top);
                *background = -top;
            }
        }
    }

    /// Log-odds to probabilities; lanes without a channel become 0.
    fn softmax(&mut self, count: usize) {
        exponentials(self.classes.as_flattened_mut());
        exponentials(self.background);
        match count {
            1 => self.normalise(1),
            2 => self.normalise(2),
            3 => self.normalise(3),
            _ => self.normalise(count),
        }
    }

    #[inline(always)]
    fn normalise(&mut self, count: usize) {
        let runs = self.runs;
        let classes = self.classes.as_flattened_mut().chunks_exact_mut(L * self.groups);
        for (classes, background) in classes.zip(self.background.chunks_exact_mut(runs)) {
            let (used, unused) = classes.split_at_mut(count * runs);
            for (odds, background) in used.chunks_exact_mut(count).zip(background) {
                let factor = 1.0 / (*background + odds.iter().sum::<f32>());
                odds.iter_mut().for_each(|odd| *odd *= factor);
                *background *= factor;
            }
            unused.fill(0.0);
        }
    }
}

/// e^x in place, for x <= 0: within 2e-7 of it relatively, in plain operations that vectorise; below
/// -60 as for -60, for the filters would be slow on subnormal numbers.
fn exponentials(values: &mut [f32]) {
    for value in values {
        *value = exponential(*value);
    }
}

#[inline(always)]
fn exponential(x: f32) -> f32 {
    // Cephes: x = n ln 2 + r with |r| <= ln 2 / 2, ln 2 in two parts, polynomial in r.
    const SHIFT: f32 = (3 << 22) as f32;
    let x = x.clamp(-60.0, 0.0);
    let shifted = x * std::f32::consts::LOG2_E + SHIFT;
    let n = shifted - SHIFT;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let mut series = 1.987_569_1e-4;
    for factor in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        series = series * r + factor;
    }
    let fraction = series * r * r + r + 1.0;
    let exponent = shifted.to_bits().wrapping_sub(SHIFT.to_bits()) << 23;
    f32::from_bits(fraction.to_bits().wrapping_add(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_exact_to_single_precision() {
        for step in 0..60_000 {
            let x = step as f32 * -0.001;
            let (ours, exact) = (f64::from(exponential(x)), f64::from(x).exp());
            assert!((ours / exact - 1.0).abs() < 2e-7, "exp({x}) = {ours}, not {exact}");
        }
        assert_eq!(exponential(0.0), 1.0);
        assert!(exponential(-1e9) < 1e-26);
    }

    #[test]
    fn the_first_of_equals_wins() {
        assert_eq!(first_largest(0.3, &[0.3, 0.4, 0.4]), 2);
        assert_eq!(first_largest(0.3, &[0.3]), 0);
    }
}
