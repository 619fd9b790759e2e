//! Group 5: the classification loss, upstream's optimizer, and three steps of both trainings.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use irn::config::TrainPrecision;
use irn::data::augment::quarter;
use irn::train::machine::Machine;
use irn::train::optimizer::{Group, PolySgd};
use irn::train::{cam, irn as irnet};
use irn_models::ops::soft_margin::soft_margin;
use irn_models::tape::Processor;
use irn_models::{CamNet, ClassStep, Param};
use ndarray::{Array2, Array3, Array4, ArrayD, Axis, Ix3};

use super::cam_net::{array, tensor};
use super::case::{Case, shaped};
use super::compare::{disagreement, max_abs, rel_l2, within};
use super::weights;

/// Parameters after three steps of IRNet have no tolerance of their own in the index; the baseline's.
const IRN_PARAM_MAX_ABS: f64 = 1e-4;

pub fn run(case: &Case) -> Result<()> {
    match case.name.as_str() {
        name if name.starts_with("multilabel_soft_margin") => margin(case),
        name if name.starts_with("poly_optimizer") => {
            optimizer(case, &Machine::processor(TrainPrecision::F32))
        }
        name if name.starts_with("cam_train") => {
            let engine = Processor::default();
            cam_training(case, &Machine::processor(TrainPrecision::F32), |net, image, label| {
                Ok(net.class_gradients(&engine, image, label)?)
            })
        }
        name if name.starts_with("irn_train") => {
            irn_training(case, &Machine::processor(TrainPrecision::F32))
        }
        name => bail!("no check for a training case called {name}"),
    }
}

fn margin(case: &Case) -> Result<()> {
    let logits = tensor(&case.f32("in.logits")?)?;
    let ours = soft_margin(&logits, &tensor(&case.f32("in.target")?)?)?;
    let expected = f64::from(case.f32("out.loss")?[[0]]);
    let relative = f64::from(ours.loss) / expected - 1.0;
    within("loss", relative.abs(), case.tolerance("loss_rel")?)?;
    let gradient = array(&ours.gradient)?;
    within("gradient", max_abs(&gradient, &case.f32("out.grad")?)?, case.tolerance("grad_max_abs")?)
}

fn number(case: &Case, key: &str) -> Result<f64> {
    case.params()[key].as_f64().with_context(|| format!("parameter {key}"))
}

/// The optimizer on given gradients.
pub fn optimizer(case: &Case, machine: &Machine) -> Result<()> {
    let limit = case.tolerance("max_abs")?;
    let steps = case.params()["steps"].as_u64().context("steps")? as usize;
    let on = |values: &ArrayD<f32>| {
        Ok::<_, anyhow::Error>(tensor(values)?.to_device(&machine.device())?)
    };
    let var = |name: &str| Ok::<_, anyhow::Error>(Var::from_tensor(&on(&case.f32(name)?)?)?);
    let (p0, p1, p2) = (var("in.p0")?, var("in.p1")?, var("in.p2")?);
    let at = |key: &str, i: usize| case.params()[key][i].as_f64().context("a list of numbers");
    let group = |i: usize, params: Vec<(String, Var)>| {
        let (rate, weight_decay) = (at("group_lr", i)?, at("group_weight_decay", i)?);
        Ok::<_, anyhow::Error>(Group { rate, weight_decay, params })
    };
    let groups = vec![
        group(0, vec![("p0".into(), p0.clone())])?,
        group(1, vec![("p1".into(), p1.clone()), ("p2".into(), p2.clone())])?,
    ];
    let max_step = case.params()["max_step"].as_u64().context("max_step")? as usize;
    let momentum = number(case, "weight_decay_argument")?;
    let mut optimizer = PolySgd::new(groups, momentum, 0.9, max_step);
    let row =
        |name: &str, i: usize| Ok::<_, anyhow::Error>(case.f32(name)?.index_axis_move(Axis(0), i));
    for i in 0..steps {
        let mut gradients = GradStore::default();
        gradients.insert(&p0, on(&row("in.grads0", i)?)?);
        gradients.insert(&p1, on(&row("in.grads1", i)?)?);
        optimizer.step(&gradients, machine)?;
        within("p0", max_abs(&array(&p0)?, &row("out.p0_after_each_step", i)?)?, limit)?;
        within("p1", max_abs(&array(&p1)?, &row("out.p1_after_each_step", i)?)?, limit)?;
        let rates = ArrayD::from_shape_vec(
            vec![2],
            optimizer.rates().iter().map(|&rate| rate as f32).collect(),
        )?;
        within("rates", max_abs(&rates, &row("out.lr_each_step", i)?)?, limit)?;
    }
    within("p2", max_abs(&array(&p2)?, &case.f32("out.p2_after")?)?, 0.0)
}

/// A training's parameters by name, and how they began.
struct Traced {
    params: BTreeMap<String, Param>,
    start: BTreeMap<String, ArrayD<f32>>,
    /// Names in the order of the norm vectors.
    trained: Vec<String>,
}

impl Traced {
    fn new(case: &Case, params: Vec<Param>) -> Result<Self> {
        let names = &case.params()["trained_parameters_in_order_of_the_norm_vectors"];
        let trained: Vec<String> = serde_json::from_value(names.clone())?;
        let params: BTreeMap<String, Param> =
            params.into_iter().map(|param| (param.name.clone(), param)).collect();
        let start = params.iter().map(|(name, param)| Ok((name.clone(), array(param.var())?)));
        Ok(Self { start: start.collect::<Result<_>>()?, params, trained })
    }

    fn var(&self, name: &str) -> Result<&Var> {
        Ok(self.params.get(name).with_context(|| format!("no parameter {name}"))?.var())
    }

    fn change(&self, name: &str) -> Result<ArrayD<f32>> {
        Ok(array(self.var(name)?)? - &self.start[name])
    }

    /// Gradients of the first step: which parameters have one, their norms, some of their values.
    fn check_gradients(&self, case: &Case, grads: &GradStore) -> Result<()> {
        let with_gradient: Vec<&String> = self
            .params
            .iter()
            .filter(|(_, param)| param.trainable() && grads.get(param.var()).is_some())
            .map(|(name, _)| name)
            .collect();
        let mut expected: Vec<&String> = self.trained.iter().collect();
        expected.sort();
        ensure!(with_gradient == expected, "other parameters have gradients than upstream's");
        let gradient = |name: &str| -> Result<ArrayD<f32>> {
            array(grads.get(self.var(name)?).with_context(|| format!("no gradient of {name}"))?)
        };
        let limit = case.tolerance("grad_norm_rel")?;
        self.check_norms(case, "out.grad_norms_step0", limit, gradient)?;
        let limit = case.tolerance("grad_slice_rel_l2")?;
        check_slices(case, "out.grad0_first64.", gradient, |ours, theirs| {
            within("gradient values", rel_l2(ours, theirs)?, limit)
        })
    }

    fn check_norms(
        &self,
        case: &Case,
        key: &str,
        limit: f64,
        of: impl Fn(&str) -> Result<ArrayD<f32>>,
    ) -> Result<()> {
        let theirs = case.f32(key)?;
        ensure!(theirs.len() == self.trained.len(), "{key} has {} entries", theirs.len());
        for (name, &theirs) in self.trained.iter().zip(&theirs) {
            let ours = of(name)?.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
            let relative = (ours / f64::from(theirs) - 1.0).abs();
            within(&format!("{key} of {name}"), relative, limit)?;
        }
        Ok(())
    }

    /// What three steps changed, and that nothing else changed.
    fn check_changes(&self, case: &Case, param_limit: f64) -> Result<()> {
        let limit = case.tolerance("delta_norm_rel")?;
        self.check_norms(case, "out.delta_norms_after3", limit, |name| self.change(name))?;
        if case.has("out.param_norms_after3") {
            let after = |name: &str| array(self.var(name)?);
            self.check_norms(case, "out.param_norms_after3", limit, after)?;
        }
        let after = |name: &str| array(self.var(name)?);
        check_slices(case, "out.after3_first64.", after, |ours, theirs| {
            within("values after 3 steps", max_abs(ours, theirs)?, param_limit)
        })?;
        let slices = case.tolerance("grad_slice_rel_l2")?;
        let change = |name: &str| self.change(name);
        check_slices(case, "out.delta3_first64.", change, |ours, theirs| {
            within("change after 3 steps", rel_l2(ours, theirs)?, slices)
        })?;
        for name in self.params.keys().filter(|name| !self.trained.contains(name)) {
            ensure!(array(self.var(name)?)? == self.start[name], "{name} was touched");
        }
        Ok(())
    }
}

/// Compares the first values of every parameter that the case has a tensor `prefix + name` for.
fn check_slices(
    case: &Case,
    prefix: &str,
    of: impl Fn(&str) -> Result<ArrayD<f32>>,
    check: impl Fn(&ArrayD<f32>, &ArrayD<f32>) -> Result<()>,
) -> Result<()> {
    for key in case.tensor_names()? {
        let Some(name) = key.strip_prefix(prefix) else { continue };
        let theirs = case.f32(&key)?;
        let values: Vec<f32> = of(name)?.iter().take(theirs.len()).copied().collect();
        let ours = ArrayD::from_shape_vec(vec![values.len()], values)?;
        check(&ours, &theirs).with_context(|| name.to_string())?;
    }
    Ok(())
}

fn steps_of(case: &Case) -> Result<(usize, f64, f64)> {
    let max_step = case.params()["max_step"].as_u64().context("max_step")? as usize;
    Ok((max_step, number(case, "weight_decay")?, number(case, "real_momentum")?))
}

/// Three steps of the CAM network on `machine`, whose way to a batch's gradients is `gradients`.
pub fn cam_training(
    case: &Case,
    machine: &Machine,
    gradients: impl Fn(&CamNet, &Tensor, &Tensor) -> Result<ClassStep>,
) -> Result<()> {
    let net = weights::cam_net_on(weights::seed_of(case)?, &machine.device())?;
    let mut params = Vec::new();
    net.visit(&mut |param| params.push(param.clone()));
    let traced = Traced::new(case, params)?;
    let (max_step, weight_decay, momentum) = steps_of(case)?;
    let rate = number(case, "lr")?;
    ensure!((number(case, "classifier_lr")? / rate - 10.0).abs() < 1e-9, "ten times the rate");
    let mut optimizer =
        PolySgd::new(cam::groups(&net, rate, weight_decay), momentum, 0.9, max_step);
    let (image, label) = (tensor(&case.f32("in.x")?)?, tensor(&case.f32("in.label")?)?);
    let (losses, logits) = (case.f32("out.losses")?, case.f32("out.logits_each_step")?);
    for step in 0..losses.len() {
        let ours = gradients(&net, &image, &label)?;
        let theirs = logits.index_axis(Axis(0), step);
        let distance = max_abs(&array(&ours.logits)?, &theirs)?;
        within("logits", distance, case.tolerance("logits_max_abs")?)?;
        let relative = f64::from(ours.loss) / f64::from(losses[[step]]) - 1.0;
        within("loss", relative.abs(), case.tolerance("loss_rel")?)?;
        if step == 0 {
            traced.check_gradients(case, &ours.gradients)?;
        }
        optimizer.step(&ours.gradients, machine)?;
    }
    traced.check_changes(case, case.tolerance("param_slice_max_abs")?)
}

/// Three steps of IRNet.
pub fn irn_training(case: &Case, machine: &Machine) -> Result<()> {
    let net = weights::irnet_on(weights::seed_of(case)?, &machine.device())?;
    let mut params = Vec::new();
    net.visit(&mut |param| params.push(param.clone()));
    let traced = Traced::new(case, params)?;
    let (max_step, weight_decay, momentum) = steps_of(case)?;
    let rate = number(case, "edge_lr")?;
    ensure!((number(case, "dp_lr")? / rate - 10.0).abs() < 1e-9, "ten times the rate");
    let groups = irnet::groups(&net, rate, weight_decay);
    let mut optimizer = PolySgd::new(groups, momentum, 0.9, max_step);
    let labels = reduced(case)?;
    let labels: Vec<&Array2<u8>> = labels.iter().collect();
    let radius = case.params()["radius"].as_u64().context("radius")? as usize;
    let images: Array4<f32> = shaped(case.f32("in.x")?)?;
    let images: Vec<Array3<f32>> = images.outer_iter().map(|image| image.to_owned()).collect();
    let images: Vec<&Array3<f32>> = images.iter().collect();
    let losses: Array2<f32> = shaped(case.f32("out.losses")?)?;
    let mut ours = Vec::new();
    for step in 0..losses.nrows() {
        let (terms, grads) = machine.relation_step(&net, &images, &labels, radius, 20)?;
        let terms = machine.arrived(terms)?;
        ours.extend([2, 3, 4, 5, 6].map(|at| terms[at]));
        if step == 0 {
            traced.check_gradients(case, &grads)?;
        }
        optimizer.step(&grads, machine)?;
    }
    // All steps' terms as one vector, as the baseline compares them: one ReLU at rounding distance of
    // zero shifts a small term of a later step by more than the tolerance.
    let ours = Array2::from_shape_vec(losses.dim(), ours)?;
    within("losses", rel_l2(&ours, &losses)?, case.tolerance("loss_rel")?)?;
    traced.check_changes(case, IRN_PARAM_MAX_ABS)?;
    let displacement = array(&machine.displacement(&net, &images)?)?;
    let means = displacement.mean_axis(Axis(3)).and_then(|rows| rows.mean_axis(Axis(2)));
    let means = means.context("a mean")? - array(net.mean_shift.var())?;
    // The index has no tolerance for these either; they move with the parameters' changes, by about 1.
    let limit = case.tolerance("delta_norm_rel")?;
    within("mean displacement", max_abs(&means, &case.f32("out.dp_means_after3")?)?, limit)
}

/// The label at a quarter of its size, as the loader gives it.
fn reduced(case: &Case) -> Result<Vec<Array2<u8>>> {
    let full: Array3<u8> = shaped(case.u8("in.full_label")?)?;
    let each: Vec<Array2<u8>> = full.outer_iter().map(|label| quarter(label)).collect();
    let views: Vec<_> = each.iter().map(|label| label.view()).collect();
    let ours = ndarray::stack(Axis(0), &views)?;
    let theirs = case.u8("out.reduced_label")?.into_dimensionality::<Ix3>()?;
    within("reduced label", disagreement(&ours, &theirs)?, case.tolerance("reduced_label")?)?;
    Ok(each)
}
