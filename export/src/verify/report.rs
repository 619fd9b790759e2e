//! What was compared and how far it is apart.

use std::fmt;

use serde::Serialize;

use crate::info::{ModelInfo, NetworkKind};

/// How far two tensors are apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The largest absolute difference; infinite where one is not finite and the other is.
    pub absolute: f64,
    /// The same over the largest magnitude of the values it is compared with.
    pub relative: f64,
}

impl Difference {
    /// Of two outputs, value by value.
    pub(super) fn of(pairs: impl Iterator<Item = (f32, f32)>) -> Self {
        let (mut absolute, mut magnitude) = (0f64, 1e-12f64);
        for (a, b) in pairs {
            let apart = (f64::from(a) - f64::from(b)).abs();
            absolute = if apart.is_finite() { absolute.max(apart) } else { f64::INFINITY };
            magnitude = if a.is_finite() { magnitude.max(f64::from(a).abs()) } else { magnitude };
        }
        Self { absolute, relative: absolute / magnitude }
    }

    /// Of two label maps: how many pixels' labels are others, and their share.
    pub(super) fn of_labels(pairs: impl Iterator<Item = (f32, f32)>) -> Self {
        let (mut others, mut all) = (0usize, 0usize);
        for (a, b) in pairs {
            others += usize::from(a != b);
            all += 1;
        }
        Self { absolute: others as f64, relative: others as f64 / all.max(1) as f64 }
    }
}

/// One output on photos of one size.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Name of the output.
    pub output: String,
    /// `[batch, height, width]` of the photos.
    pub size: [usize; 3],
    /// How far the two are apart.
    pub difference: Difference,
}

/// The first node, in the order of the graph, whose value differs.
#[derive(Clone, Debug, Serialize)]
pub struct Divergence {
    /// The node's name.
    pub node: String,
    /// Its operation.
    pub operation: String,
    /// `[batch, height, width]` of the photos.
    pub size: [usize; 3],
    /// How far the values are apart.
    pub difference: Difference,
}

/// What [`verify`](super::verify) and [`without_checkpoint`](super::without_checkpoint) found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The network compared.
    pub network: NetworkKind,
    /// Limit of the relative differences.
    pub tolerance: f64,
    /// Whether the file was exported from these very weights, where it is compared with a checkpoint.
    pub same_weights: Option<bool>,
    /// Every output at every size.
    pub comparisons: Vec<Comparison>,
    /// Where it begins, if an output is out of tolerance and a node is, too.
    pub divergence: Option<Divergence>,
}

impl Report {
    /// Nothing compared yet.
    pub(super) fn new(info: &ModelInfo, tolerance: f64, same_weights: Option<bool>) -> Self {
        let network = info.network;
        Self { network, tolerance, same_weights, comparisons: Vec::new(), divergence: None }
    }

    pub(super) fn add(&mut self, output: &str, size: [usize; 3], difference: Difference) {
        self.comparisons.push(Comparison { output: output.into(), size, difference });
    }

    /// Whether every output is within tolerance.
    pub fn passed(&self) -> bool {
        let within = |c: &Comparison| c.difference.relative <= self.tolerance;
        !self.comparisons.is_empty() && self.comparisons.iter().all(within)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:14} {:>16} {:>10} {:>10}", "output", "photos", "absolute", "relative")?;
        for Comparison { output, size: [n, h, w], difference } in &self.comparisons {
            let verdict = if difference.relative <= self.tolerance { "" } else { "  FAILED" };
            let photos = format!("{n} of {h}x{w}");
            let Difference { absolute, relative } = difference;
            writeln!(f, "{output:14} {photos:>16} {absolute:>10.1e} {relative:>10.1e}{verdict}")?;
        }
        if self.same_weights == Some(false) {
            writeln!(f, "the file was exported from other weights than the checkpoint's")?;
        }
        if let Some(Divergence { node, operation, size: [n, h, w], difference }) = &self.divergence
        {
            let Difference { absolute, relative } = difference;
            writeln!(
                f,
                "first node that differs: {node} ({operation}), {n} of {h}x{w}: {absolute:.1e} \
                 absolute, {relative:.1e} relative"
            )?;
        }
        let verdict = if self.passed() { "agree" } else { "DISAGREE" };
        let pair = match self.same_weights {
            Some(_) => "Candle and ONNX Runtime",
            None => "ONNX Runtime with and without its own changes to the graph",
        };
        write!(f, "{pair} {verdict} (tolerance {:.0e} relative)", self.tolerance)
    }
}
