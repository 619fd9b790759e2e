//! IRNet's loss over pixel pairs (Ahn, Cho, Kwak 2019, sections 4.1 and 4.2; upstream's
//! `AffinityDisplacementLoss`).
//!
//! The loss sees tens of millions of pairs and stores none of them: labels are compared on the fly, the
//! affinity's gradient goes to the one cell of the path that is its maximum, and every kind of pair has
//! a gradient map of its own until the number of such pairs is known.

mod search;
mod sums;

use candle_core::{DType, Result, Tensor, bail};
use rayon::prelude::*;

use self::search::Search;
use self::sums::Sums;
use super::precomputed::Precomputed;
use super::slices;
use crate::pairs::directions;

/// Keeps logarithms and quotients finite.
const EPSILON: f32 = 1e-5;
/// What the labels say about two pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pair {
    /// Both are background.
    Background,
    /// Both are of the same class.
    Foreground,
    /// Two different labels.
    Different,
}

/// The kind of a pair, `None` where a label exceeds `classes` and so is unknown.
pub fn pair(a: u8, b: u8, classes: usize) -> Option<Pair> {
    if usize::from(a.max(b)) > classes {
        return None;
    }
    Some(match (a == b, a) {
        (true, 0) => Pair::Background,
        (true, _) => Pair::Foreground,
        (false, _) => Pair::Different,
    })
}

/// The loss of a pair that belongs together.
pub fn attraction(affinity: f32) -> f32 {
    -(affinity + EPSILON).ln()
}

/// The loss of a pair that does not.
pub fn repulsion(affinity: f32) -> f32 {
    -(1.0 + EPSILON - affinity).ln()
}

/// One coordinate of what is lost on a displacement: `target` is the direction's coordinate for
/// foreground and 0 for background.
pub fn displacement_error(source: f32, destination: f32, target: f32) -> f32 {
    source - destination - target
}

/// The terms of the loss, each a mean over the pairs it is about and 0 where there are none.
pub struct RelationLoss {
    /// Background pairs attract.
    pub bg_pos_aff: f32,
    /// Foreground pairs attract.
    pub fg_pos_aff: f32,
    /// Mean of the two.
    pub pos_aff: f32,
    /// Different pixels repel.
    pub neg_aff: f32,
    /// Displacements of a foreground pair differ by the direction.
    pub dp_fg: f32,
    /// Displacements of a background pair are equal.
    pub dp_bg: f32,
    /// `(pos_aff + neg_aff) / 2 + (dp_fg + dp_bg) / 2`, a scalar with gradients to both inputs.
    pub total: Tensor,
}

/// The loss of `edge`, logits `(batch, 1, h, w)`, and `displacement`, `(batch, 2, h, w)`, against
/// `label`, u8 `(batch, h, w)`: 0 background, up to `classes`, beyond it unknown.
///
/// # Errors
/// Shapes that do not fit together.
pub fn relation_loss(
    edge: &Tensor,
    displacement: &Tensor,
    label: &Tensor,
    radius: usize,
    classes: usize,
) -> Result<RelationLoss> {
    let (batch, one, height, width) = edge.dims4()?;
    let fits = one == 1
        && displacement.dims() == [batch, 2, height, width]
        && label.dims() == [batch, height, width];
    if !fits || label.dtype() != DType::U8 {
        let [dp, label_shape] = [displacement.shape(), label.shape()];
        bail!("edge {:?}, displacement {dp:?} and label {label_shape:?}", edge.shape());
    }
    let (edge, displacement) = (edge.contiguous()?, displacement.contiguous()?);
    let label = label.flatten_all()?.to_vec1::<u8>()?;
    let search = Search { height, width, classes, directions: directions(radius), radius };
    slices::with([&edge, &displacement], |[logit, dp]| {
        let plane = (height * width).max(1);
        let probability: Vec<f32> = logit.par_iter().map(|x| 1.0 / (1.0 + (-x).exp())).collect();
        let images = probability.par_chunks(plane).zip(dp.par_chunks(2 * plane));
        let images = images.zip(label.par_chunks(plane));
        let images: Vec<Sums> =
            images.map(|((edge, dp), label)| search.image(edge, dp, label)).collect();
        finish(&edge, &displacement, &probability, &images)
    })
}

fn finish(
    edge: &Tensor,
    displacement: &Tensor,
    probability: &[f32],
    images: &[Sums],
) -> Result<RelationLoss> {
    let epsilon = f64::from(EPSILON);
    let count = |k: usize| images.iter().map(|sums| sums.count[k]).sum::<f64>();
    let share = [0, 1, 2].map(|k| 1.0 / (count(k) + epsilon));
    let affinity = |k: usize| images.iter().map(|sums| sums.affinity[k]).sum::<f64>() * share[k];
    let [background, foreground, negative] = [0, 1, 2].map(affinity);
    // Two coordinates a pair.
    let dp_share = [0, 1].map(|k| 1.0 / (2.0 * count(k) + epsilon));
    let dp = |k: usize| images.iter().map(|sums| sums.displacement[k]).sum::<f64>() * dp_share[k];
    let [dp_bg, dp_fg] = [0, 1].map(dp);
    let positive = (background + foreground) / 2.0;
    let value = ((positive + negative) / 2.0 + (dp_fg + dp_bg) / 2.0) as f32;

    let weights = [share[0] / 4.0, share[1] / 4.0, share[2] / 2.0];
    let slopes = images.iter().flat_map(|sums| sums.edge_slopes(weights));
    let slope_of_sigmoid = |p: f32| f64::from(p) * (1.0 - f64::from(p));
    let edge_gradient: Vec<f32> =
        slopes.zip(probability).map(|(slope, &p)| (slope * slope_of_sigmoid(p)) as f32).collect();
    let weights = dp_share.map(|share| share / 2.0);
    let slopes = images.iter().flat_map(|sums| sums.displacement_slopes(weights));
    let dp_gradient: Vec<f32> = slopes.map(|slope| slope as f32).collect();
    let gradients = [
        Tensor::from_vec(edge_gradient, edge.shape(), edge.device())?,
        Tensor::from_vec(dp_gradient, displacement.shape(), displacement.device())?,
    ];
    Ok(RelationLoss {
        bg_pos_aff: background as f32,
        fg_pos_aff: foreground as f32,
        pos_aff: positive as f32,
        neg_aff: negative as f32,
        dp_fg: dp_fg as f32,
        dp_bg: dp_bg as f32,
        total: edge.apply_op2(displacement, Precomputed { value, gradients })?,
    })
}

#[cfg(test)]
mod tests;
