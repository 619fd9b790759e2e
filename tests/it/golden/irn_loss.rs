//! Group 4: IRNet's loss over pixel pairs: each pair's terms, the means, and the gradients.

use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor, Var};
use irn_models::ops::relation_loss::{
    Pair, attraction, displacement_error, pair, relation_loss, repulsion,
};
use irn_models::pairs::{Direction, Sources, affinity, directions};
use ndarray::{Array3, ArrayD, Axis, IxDyn};

use super::cam_net::{array, tensor};
use super::case::{Case, shaped};
use super::compare::{max_abs, rel_l2, within};

/// Classes of the golden set.
const CLASSES: usize = 20;

pub fn run(case: &Case) -> Result<()> {
    let pairs = Pairs::new(case)?;
    let edge = Var::from_tensor(&tensor(&case.f32("in.edge_logit")?)?)?;
    let dp = Var::from_tensor(&tensor(&case.f32("in.dp")?)?)?;
    let label = pairs.label.iter().copied().collect::<Vec<_>>();
    let label = Tensor::from_vec(label, pairs.label.dim(), &Device::Cpu)?;
    let loss = relation_loss(&edge, &dp, &label, pairs.radius, CLASSES)?;
    let gradients = loss.total.backward()?;
    check_pairs(case, &pairs)?;
    let gradient = |var: &Var| array(gradients.get(var).context("no gradient")?);
    let terms = [loss.bg_pos_aff, loss.fg_pos_aff, loss.pos_aff, loss.neg_aff];
    let total = loss.total.to_scalar()?;
    let terms = [&terms[..], &[loss.dp_fg, loss.dp_bg, total]].concat();
    check_loss(case, &terms, [&gradient(&edge)?, &gradient(&dp)?])
}

/// The terms pair by pair.
fn check_pairs(case: &Case, pairs: &Pairs) -> Result<()> {
    for name in case.tensor_names()?.iter().filter(|name| name.starts_with("out.")) {
        match name.as_str() {
            "out.bg_pos_label" => pairs.check_labels(case, name, Pair::Background)?,
            "out.fg_pos_label" => pairs.check_labels(case, name, Pair::Foreground)?,
            "out.neg_label" => pairs.check_labels(case, name, Pair::Different)?,
            "out.pos_aff_loss_map" => pairs.check_affinity(case, name, attraction)?,
            "out.neg_aff_loss_map" => pairs.check_affinity(case, name, repulsion)?,
            "out.dp_fg_loss_map_img0" => pairs.check_displacement(case, name, 1.0)?,
            "out.dp_bg_loss_map_img0" => pairs.check_displacement(case, name, 0.0)?,
            // Means and gradients: `check_loss`.
            _ => {}
        }
    }
    Ok(())
}

/// The seven means in the order of [`TERMS`], and the gradients of logits and displacements; any backend's.
pub fn check_loss(
    case: &Case,
    terms: &[f32],
    [edge, displacement]: [&ArrayD<f32>; 2],
) -> Result<()> {
    for name in case.tensor_names()?.iter().filter(|name| name.starts_with("out.")) {
        match name.as_str() {
            "out.grad_edge_logit" => {
                let distance = rel_l2(edge, &case.f32(name)?)?;
                within(name, distance, case.tolerance("grad_edge_rel_l2")?)?;
            }
            "out.grad_dp" => {
                let distance = max_abs(displacement, &case.f32(name)?)?;
                within(name, distance, case.tolerance("grad_dp_max_abs")?)?;
            }
            // Pair by pair: `check_pairs`.
            name if PAIRS.contains(&name) => {}
            name => check_term(case, name, terms)?,
        }
    }
    check_f64(case, terms)
}

/// The outputs with a value a pair.
const PAIRS: [&str; 7] = [
    "out.bg_pos_label",
    "out.fg_pos_label",
    "out.neg_label",
    "out.pos_aff_loss_map",
    "out.neg_aff_loss_map",
    "out.dp_fg_loss_map_img0",
    "out.dp_bg_loss_map_img0",
];

/// The means by their names.
const TERMS: [&str; 7] = [
    "bg_pos_aff_loss",
    "fg_pos_aff_loss",
    "pos_aff_loss",
    "neg_aff_loss",
    "dp_fg_loss",
    "dp_bg_loss",
    "total_loss",
];

fn term(name: &str, terms: &[f32]) -> Result<f32> {
    let at = TERMS.iter().position(|known| *known == name);
    Ok(terms[at.with_context(|| format!("unknown output {name}"))?])
}

fn check_term(case: &Case, name: &str, terms: &[f32]) -> Result<()> {
    let theirs = case.f32(name)?;
    let theirs = f64::from(*theirs.first().context("no value")?);
    let ours = f64::from(term(name.trim_start_matches("out."), terms)?);
    within(name, (ours - theirs).abs(), case.tolerance("loss_rel")? * theirs.abs())
}

/// The same terms in f64, where the index has them.
fn check_f64(case: &Case, terms: &[f32]) -> Result<()> {
    for (name, theirs) in case.params()["f64_values"].as_object().into_iter().flatten() {
        let theirs = theirs.as_f64().context("a number")?;
        let ours = f64::from(term(name, terms)?);
        within(name, (ours - theirs).abs(), case.tolerance("loss_rel")? * theirs.abs())?;
    }
    Ok(())
}

/// All pairs one by one, as the fused operation never has them.
struct Pairs {
    radius: usize,
    directions: Vec<Direction>,
    sources: Vec<usize>,
    grid: Sources,
    label: Array3<u8>,
    edge: ArrayD<f32>,
    dp: ArrayD<f32>,
}

impl Pairs {
    fn new(case: &Case) -> Result<Self> {
        let radius = case.params()["radius"].as_u64().context("radius")? as usize;
        let label: Array3<u8> = shaped(case.u8("in.label")?)?;
        let (_, height, width) = label.dim();
        let grid = Sources::new(radius, height, width);
        let sources = grid.moved((0, 0));
        let edge = case.f32("in.edge_logit")?.mapv(|x| 1.0 / (1.0 + (-x).exp()));
        let dp = case.f32("in.dp")?;
        Ok(Self { radius, directions: directions(radius), sources, grid, label, edge, dp })
    }

    /// Flat indices of both ends of every pair, with the direction's number.
    fn ends(&self) -> impl Iterator<Item = (&Direction, usize, usize)> {
        self.directions.iter().flat_map(|direction| {
            let destinations = self.grid.moved((direction.dy, direction.dx));
            let pairs = self.sources.iter().copied().zip(destinations);
            pairs.map(move |(source, destination)| (direction, source, destination))
        })
    }

    fn check_labels(&self, case: &Case, name: &str, kind: Pair) -> Result<()> {
        ensure!(case.tolerance("labels")? == 0.0, "labels have no tolerance");
        let mut ours = Vec::new();
        for label in self.label.axis_iter(Axis(0)) {
            let label: Vec<u8> = label.iter().copied().collect();
            let is = |source: usize, destination: usize| {
                u8::from(pair(label[source], label[destination], CLASSES) == Some(kind))
            };
            ours.extend(self.ends().map(|(_, source, destination)| is(source, destination)));
        }
        ensure!(ours.iter().eq(case.u8(name)?.iter()), "{name} differs");
        Ok(())
    }

    fn check_affinity(&self, case: &Case, name: &str, term: fn(f32) -> f32) -> Result<()> {
        let (_, height, width) = self.label.dim();
        let maps = self.edge.axis_iter(Axis(0)).map(|map| map.iter().copied().collect::<Vec<_>>());
        let terms = maps.flat_map(|map| affinity(&map, (height, width), self.radius));
        self.check_map(case, name, terms.map(term).collect())
    }

    fn check_displacement(&self, case: &Case, name: &str, target: f32) -> Result<()> {
        let mut ours = Vec::new();
        for axis in 0..2 {
            let dp = self.dp.index_axis(Axis(0), 0);
            let dp: Vec<f32> = dp.index_axis(Axis(0), axis).iter().copied().collect();
            ours.extend(self.ends().map(|(direction, source, destination)| {
                let coordinate = [direction.dy, direction.dx][axis] as f32;
                displacement_error(dp[source], dp[destination], target * coordinate).abs()
            }));
        }
        self.check_map(case, name, ours)
    }

    fn check_map(&self, case: &Case, name: &str, ours: Vec<f32>) -> Result<()> {
        let theirs = case.f32(name)?;
        ensure!(ours.len() == theirs.len(), "{name}: {} values of {}", ours.len(), theirs.len());
        let ours = ArrayD::from_shape_vec(IxDyn(theirs.shape()), ours)?;
        within(name, rel_l2(&ours, &theirs)?, case.tolerance("loss_rel")?)
    }
}
