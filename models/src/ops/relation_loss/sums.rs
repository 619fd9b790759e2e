//! Sums over pairs by kind, and their gradients.

use super::displacement_error;
use crate::ops::slices;

/// Background, foreground, different: the numbers of [`super::Pair`].
pub const KINDS: usize = 3;
/// Shares whose product is taken before its logarithm: each is at least 1e-5, so that it stays a number.
const PRODUCT: usize = 16;

/// Sums over the pairs of an image, by kind, and their gradients.
pub struct Sums {
    pub count: [f64; KINDS],
    pub affinity: [f64; KINDS],
    pub displacement: [f64; 2],
    /// With respect to the edge probability, `(kinds, h, w)`, and once more for unknown pairs.
    edge_gradient: Vec<f64>,
    /// With respect to the displacement, `(2, h, w)`: whole numbers.
    displacement_gradient: [Vec<f32>; 2],
    /// Of a row of pairs, for the terms at hand.
    row: [Vec<f32>; 2],
}

impl Sums {
    pub fn new(plane: usize) -> Self {
        Self {
            count: [0.0; KINDS],
            affinity: [0.0; KINDS],
            displacement: [0.0; 2],
            edge_gradient: vec![0.0; (KINDS + 1) * plane],
            displacement_gradient: std::array::from_fn(|_| vec![0.0; 2 * plane]),
            row: [Vec::new(), Vec::new()],
        }
    }

    pub fn add(mut self, other: Self) -> Self {
        let add = |a: &mut [f64], b: &[f64]| a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        add(&mut self.count, &other.count);
        add(&mut self.affinity, &other.affinity);
        add(&mut self.displacement, &other.displacement);
        add(&mut self.edge_gradient, &other.edge_gradient);
        for (a, b) in self.displacement_gradient.iter_mut().zip(&other.displacement_gradient) {
            a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        }
        self
    }

    /// Adds a row of pairs: their kinds, where the largest edges of their paths are, what their losses are
    /// the negative logarithms of, and their slopes.
    #[inline(always)]
    pub fn affinity_terms(&mut self, kinds: &[u8], at: &[u32], shares: &[f32], slopes: &[f32]) {
        let plane = self.edge_gradient.len() / (KINDS + 1);
        for (x, ((&kind, &at), &slope)) in kinds.iter().zip(at).zip(slopes).enumerate() {
            self.edge_gradient[usize::from(kind) * plane + at as usize + x] += f64::from(slope);
        }
        for kind in 0..KINDS {
            let count = kinds.iter().map(|&of| u32::from(usize::from(of) == kind)).sum::<u32>();
            if count == 0 {
                continue;
            }
            self.count[kind] += f64::from(count);
            for (kinds, shares) in kinds.chunks(PRODUCT).zip(shares.chunks(PRODUCT)) {
                let factors = kinds.iter().zip(shares);
                let factors = factors
                    .map(|(&of, &x)| if usize::from(of) == kind { f64::from(x) } else { 1.0 });
                self.affinity[kind] -= factors.product::<f64>().ln();
            }
        }
    }

    /// Adds those of a row of pairs that are of `kind`: what they lose on the displacement.
    #[inline(always)]
    pub fn displacement_terms(
        &mut self,
        kind: usize,
        kinds: &[u8],
        ends: [usize; 2],
        dp: &[f32],
        target: [f32; 2],
    ) {
        let [sizes, signs] = &mut self.row;
        sizes.resize(kinds.len(), 0.0);
        signs.resize(kinds.len(), 0.0);
        for (axis, target) in target.into_iter().enumerate() {
            let [source, destination] = ends.map(|end| {
                let start = axis * (dp.len() / 2) + end;
                start..start + kinds.len()
            });
            let errors = dp[source.clone()].iter().zip(&dp[destination.clone()]);
            let row = sizes.iter_mut().zip(signs.iter_mut()).zip(errors).zip(kinds);
            for (((size, sign), (&a, &b)), &of) in row {
                let error = displacement_error(a, b, target);
                let here = usize::from(of) == kind;
                *size = if here { error.abs() } else { 0.0 };
                // The gradient of |x| at 0 is 0, and not a number where x is none.
                let below = if error < 0.0 { -1.0 } else { error * 0.0 };
                *sign = if error > 0.0 { 1.0 } else { below };
                *sign = if here { *sign } else { 0.0 };
            }
            self.displacement[kind] += slices::sum(sizes, f64::from);
            let gradient = &mut self.displacement_gradient[kind];
            gradient[source].iter_mut().zip(&*signs).for_each(|(to, sign)| *to += sign);
            gradient[destination].iter_mut().zip(&*signs).for_each(|(to, sign)| *to -= sign);
        }
    }

    /// The kinds' gradients with respect to the edge probability, weighted.
    pub fn edge_slopes(&self, weights: [f64; KINDS]) -> impl Iterator<Item = f64> + '_ {
        let plane = self.edge_gradient.len() / (KINDS + 1);
        (0..plane).map(move |i| {
            let kinds = weights.iter().enumerate();
            kinds.map(|(kind, weight)| self.edge_gradient[kind * plane + i] * weight).sum()
        })
    }

    /// The same with respect to the displacement.
    pub fn displacement_slopes(&self, weights: [f64; 2]) -> impl Iterator<Item = f64> + '_ {
        let [a, b] = &self.displacement_gradient;
        a.iter().zip(b).map(move |(a, b)| f64::from(*a) * weights[0] + f64::from(*b) * weights[1])
    }
}
