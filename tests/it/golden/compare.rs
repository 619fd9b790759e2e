//! Distances between what we compute and what upstream computed.

use anyhow::{Result, ensure};
use ndarray::{ArrayBase, Data, Dimension};

/// Largest absolute difference; NaN anywhere is an error.
pub fn max_abs<S, T, D, E>(ours: &ArrayBase<S, D>, theirs: &ArrayBase<T, E>) -> Result<f64>
where
    S: Data<Elem = f32>,
    T: Data<Elem = f32>,
    D: Dimension,
    E: Dimension,
{
    ensure!(ours.len() == theirs.len(), "shapes {:?} and {:?}", ours.shape(), theirs.shape());
    let mut worst = 0f64;
    for (&a, &b) in ours.iter().zip(theirs) {
        ensure!(!a.is_nan() && !b.is_nan(), "NaN");
        worst = worst.max((f64::from(a) - f64::from(b)).abs());
    }
    Ok(worst)
}

/// Norm of the difference over the norm of `theirs`.
pub fn rel_l2<S, T, D, E>(ours: &ArrayBase<S, D>, theirs: &ArrayBase<T, E>) -> Result<f64>
where
    S: Data<Elem = f32>,
    T: Data<Elem = f32>,
    D: Dimension,
    E: Dimension,
{
    ensure!(ours.len() == theirs.len(), "shapes {:?} and {:?}", ours.shape(), theirs.shape());
    let (mut difference, mut norm) = (0f64, 0f64);
    for (&a, &b) in ours.iter().zip(theirs) {
        let (a, b) = (f64::from(a), f64::from(b));
        difference += (a - b) * (a - b);
        norm += b * b;
    }
    let distance = difference.sqrt() / (norm.sqrt() + 1e-30);
    ensure!(!distance.is_nan(), "NaN");
    Ok(distance)
}

/// Share of elements that differ.
pub fn disagreement<A, S, T, D, E>(ours: &ArrayBase<S, D>, theirs: &ArrayBase<T, E>) -> Result<f64>
where
    A: PartialEq,
    S: Data<Elem = A>,
    T: Data<Elem = A>,
    D: Dimension,
    E: Dimension,
{
    ensure!(ours.len() == theirs.len(), "shapes {:?} and {:?}", ours.shape(), theirs.shape());
    let differing = ours.iter().zip(theirs).filter(|(a, b)| a != b).count();
    Ok(differing as f64 / ours.len().max(1) as f64)
}

/// Fails unless `value` is at most `limit`, and says which measure it was.
pub fn within(what: &str, value: f64, limit: f64) -> Result<()> {
    ensure!(value <= limit, "{what}: {value:e} exceeds {limit:e}");
    Ok(())
}
