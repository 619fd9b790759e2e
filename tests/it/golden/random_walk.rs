//! The random walk against upstream's dense one, in f32 and in f64.

use anyhow::{Result, ensure};
use irn::label::affinity::affinities;
use irn::label::{Walk, random_walk};
use ndarray::{Array3, Axis};

use super::case::{Case, shaped};
use super::compare::{max_abs, rel_l2, within};

/// What the cases' `why` asks for against `rw_f64`.
const AGAINST_F64: f64 = 1e-4;

pub fn run(case: &Case) -> Result<()> {
    let x: Array3<f32> = shaped(case.f32("in.x")?)?;
    let edge: Array3<f32> = shaped(case.f32("in.edge")?)?;
    let edge = edge.index_axis(Axis(0), 0);
    let params = case.params();
    let number = |key: &str| params[key].as_f64().ok_or_else(|| anyhow::anyhow!("no {key}"));
    let walk = Walk {
        radius: number("radius")? as usize,
        beta: number("beta")?,
        exp_times: number("exp_times")? as u32,
    };
    let (count, sum) = affinities(edge, walk.radius, 1.0).census();
    ensure!(
        params["affinity_nnz_with_both_directions_and_diagonal"] == count,
        "{count} affinities"
    );
    let expected = number("affinity_sum")?;
    within("sum of affinities", (sum / expected - 1.0).abs(), 1e-6)?;
    let ours = random_walk(x.view(), edge, &walk);
    let theirs = case.f32("out.rw")?;
    within("rw", rel_l2(&ours, &theirs)?, case.tolerance("rel_l2")?)?;
    let largest = f64::from(theirs.iter().copied().fold(0.0, f32::max));
    within("rw", max_abs(&ours, &theirs)? / largest, case.tolerance("max_abs_over_max")?)?;
    let exact = rel_l2(&ours, &case.f32("out.rw_f64")?)?;
    println!("{}: {exact:.1e} from f64", case.name);
    within("rw_f64", exact, AGAINST_F64)
}
