//! IRNet's loss over pixel pairs (Ahn, Cho, Kwak 2019, sections 4.1 and 4.2; upstream's
//! `AffinityDisplacementLoss`).
//!
//! The loss sees tens of millions of pairs and stores none of them: labels are compared on the fly, the
//! affinity's gradient goes to the one cell of the path that is its maximum, and every kind of pair has
//! a gradient map of its own until the number of such pairs is known.

use candle_core::{DType, Result, Tensor, bail};
use rayon::prelude::*;

use super::precomputed::Precomputed;
use super::slices;
use crate::pairs::{Direction, Sources, directions};

/// Keeps logarithms and quotients finite.
const EPSILON: f32 = 1e-5;
/// Tasks an image's directions are shared by.
const PARTS: usize = 4;

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

/// What all images share.
struct Search {
    height: usize,
    width: usize,
    classes: usize,
    radius: usize,
    directions: Vec<Direction>,
}

/// Sums over the pairs of an image, by kind, and their gradients.
struct Sums {
    count: [f64; 3],
    affinity: [f64; 3],
    displacement: [f64; 2],
    /// With respect to the edge probability, `(h, w)`.
    edge_gradient: [Vec<f64>; 3],
    /// With respect to the displacement, `(2, h, w)`.
    displacement_gradient: [Vec<f64>; 2],
}

impl Sums {
    fn new(plane: usize) -> Self {
        Self {
            count: [0.0; 3],
            affinity: [0.0; 3],
            displacement: [0.0; 2],
            edge_gradient: std::array::from_fn(|_| vec![0.0; plane]),
            displacement_gradient: std::array::from_fn(|_| vec![0.0; 2 * plane]),
        }
    }

    fn add(mut self, other: Self) -> Self {
        let add = |a: &mut [f64], b: &[f64]| a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        add(&mut self.count, &other.count);
        add(&mut self.affinity, &other.affinity);
        add(&mut self.displacement, &other.displacement);
        for (a, b) in self.edge_gradient.iter_mut().zip(&other.edge_gradient) {
            add(a, b);
        }
        for (a, b) in self.displacement_gradient.iter_mut().zip(&other.displacement_gradient) {
            add(a, b);
        }
        self
    }
}

impl Search {
    fn image(&self, edge: &[f32], dp: &[f32], label: &[u8]) -> Sums {
        let part = |part: usize| {
            let mut sums = Sums::new(edge.len());
            for direction in self.directions.iter().skip(part).step_by(PARTS) {
                self.direction(direction, edge, dp, label, &mut sums);
            }
            sums
        };
        let parts: Vec<Sums> = (0..PARTS).into_par_iter().map(part).collect();
        parts.into_iter().fold(Sums::new(edge.len()), Sums::add)
    }

    fn direction(
        &self,
        direction: &Direction,
        edge: &[f32],
        dp: &[f32],
        label: &[u8],
        sums: &mut Sums,
    ) {
        let sources = Sources::new(self.radius, self.height, self.width);
        let mut largest = vec![(0f32, 0u32); sources.columns];
        for y in 0..sources.rows {
            largest_on_path(direction, &sources, y, edge, &mut largest);
            let source = sources.row(y, (0, 0));
            let destination = sources.row(y, (direction.dy, direction.dx));
            for (x, &(largest, at)) in largest.iter().enumerate() {
                let ends = [source + x, destination + x];
                let kind = pair(label[ends[0]], label[ends[1]], self.classes);
                let Some(kind) = kind else { continue };
                sums.affinity_term(kind, largest, at as usize + x);
                match kind {
                    Pair::Background => sums.displacement_term(0, ends, dp, [0.0; 2]),
                    Pair::Foreground => {
                        let target = [direction.dy as f32, direction.dx as f32];
                        sums.displacement_term(1, ends, dp, target);
                    }
                    Pair::Different => {}
                }
            }
        }
    }
}

/// For each source of row `y` the largest edge on its path and where the path's first such cell is,
/// less the source's own column.
fn largest_on_path(
    direction: &Direction,
    sources: &Sources,
    y: usize,
    edge: &[f32],
    largest: &mut [(f32, u32)],
) {
    largest.fill((f32::NEG_INFINITY, 0));
    for &cell in &direction.path {
        let first = sources.row(y, cell);
        let edges = &edge[first..first + largest.len()];
        for (largest, &edge) in largest.iter_mut().zip(edges) {
            // Strictly: of equal edges the first in path order counts.
            if edge > largest.0 {
                *largest = (edge, first as u32);
            }
        }
    }
}

impl Sums {
    fn affinity_term(&mut self, kind: Pair, largest: f32, at: usize) {
        let affinity = 1.0 - largest;
        let (loss, slope) = match kind {
            Pair::Different => (repulsion(affinity), -1.0 / (1.0 + EPSILON - affinity)),
            _ => (attraction(affinity), 1.0 / (affinity + EPSILON)),
        };
        let kind = kind as usize;
        self.count[kind] += 1.0;
        self.affinity[kind] += f64::from(loss);
        self.edge_gradient[kind][at] += f64::from(slope);
    }

    fn displacement_term(&mut self, kind: usize, ends: [usize; 2], dp: &[f32], target: [f32; 2]) {
        let plane = dp.len() / 2;
        for (axis, target) in target.into_iter().enumerate() {
            let [source, destination] = ends.map(|end| axis * plane + end);
            let error = displacement_error(dp[source], dp[destination], target);
            self.displacement[kind] += f64::from(error.abs());
            // The gradient of |x| at 0 is 0.
            let sign = if error == 0.0 { 0.0 } else { f64::from(error.signum()) };
            self.displacement_gradient[kind][source] += sign;
            self.displacement_gradient[kind][destination] -= sign;
        }
    }
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
    let slopes = images.iter().flat_map(|sums| weighted(&sums.edge_gradient, weights));
    let slope_of_sigmoid = |p: f32| f64::from(p) * (1.0 - f64::from(p));
    let edge_gradient: Vec<f32> =
        slopes.zip(probability).map(|(slope, &p)| (slope * slope_of_sigmoid(p)) as f32).collect();
    let weights = dp_share.map(|share| share / 2.0);
    let slopes = images.iter().flat_map(|sums| weighted(&sums.displacement_gradient, weights));
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

fn weighted<const N: usize>(
    maps: &[Vec<f64>; N],
    weights: [f64; N],
) -> impl Iterator<Item = f64> + '_ {
    let sum = move |i: usize| maps.iter().zip(weights).map(|(map, weight)| map[i] * weight).sum();
    (0..maps[0].len()).map(sum)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::ops::testing::{close, numbers, var};

    fn labels(batch: usize, height: usize, width: usize) -> Tensor {
        let value = |i: usize| match (i / 3 + i / width / 2) % 7 {
            0..3 => 0u8,
            3 | 4 => 1,
            5 => 2,
            _ => 255,
        };
        let values = (0..batch * height * width).map(value).collect::<Vec<_>>();
        Tensor::from_vec(values, (batch, height, width), &Device::Cpu).unwrap()
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let (edge, dp) = (var("edge", &[2, 1, 6, 9]), var("dp", &[2, 2, 6, 9]));
        let label = labels(2, 6, 9);
        let loss = || relation_loss(&edge, &dp, &label, 3, 20).unwrap().total;
        let gradients = loss().backward().unwrap();
        for var in [&edge, &dp] {
            let start = var.as_tensor().copy().unwrap();
            let expected: Vec<f32> = (0..var.elem_count())
                .map(|i| {
                    (value_at(&loss, var, &start, i, 1e-3) - value_at(&loss, var, &start, i, -1e-3))
                        / 2e-3
                })
                .collect();
            var.set(&start).unwrap();
            let expected = Tensor::from_vec(expected, var.shape(), &Device::Cpu).unwrap();
            close(gradients.get(var).unwrap(), &expected, 1e-3);
        }
    }

    fn value_at(loss: &impl Fn() -> Tensor, var: &Var, start: &Tensor, i: usize, step: f32) -> f32 {
        let mut values = start.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        values[i] += step;
        var.set(&Tensor::from_vec(values, start.shape(), &Device::Cpu).unwrap()).unwrap();
        loss().to_scalar().unwrap()
    }

    #[test]
    fn without_pairs_the_loss_is_zero() {
        for (radius, height, width) in [(0, 9, 9), (1, 9, 9), (5, 4, 20), (5, 20, 8)] {
            let edge = var("edge", &[1, 1, height, width]);
            let dp = var("dp", &[1, 2, height, width]);
            let loss = relation_loss(&edge, &dp, &labels(1, height, width), radius, 20).unwrap();
            assert_eq!(loss.total.to_scalar::<f32>().unwrap(), 0.0);
            let gradients = loss.total.backward().unwrap();
            let gradient = gradients.get(&edge).unwrap().flatten_all().unwrap();
            assert!(gradient.to_vec1::<f32>().unwrap().iter().all(|x| *x == 0.0));
        }
    }

    #[test]
    fn shapes_are_checked() {
        let (edge, dp) = (numbers("edge", &[1, 1, 6, 9]), numbers("dp", &[1, 2, 6, 8]));
        assert!(relation_loss(&edge, &dp, &labels(1, 6, 9), 3, 20).is_err());
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let (edge, dp) = (var("edge", &[3, 1, 20, 24]), var("dp", &[3, 2, 20, 24]));
                let loss = relation_loss(&edge, &dp, &labels(3, 20, 24), 5, 20).unwrap().total;
                let gradients = loss.backward().unwrap();
                let gradient = gradients.get(&edge).unwrap().flatten_all().unwrap();
                (loss.to_scalar::<f32>().unwrap(), gradient.to_vec1::<f32>().unwrap())
            })
        };
        assert_eq!(run(1), run(4));
    }
}
