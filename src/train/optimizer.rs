//! Upstream's `PolyOptimizer` as it really behaves: SGD with a polynomially falling rate, whose
//! momentum is the number upstream calls weight decay (quirk Q1).

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var};
use irn_models::Param;
use irn_models::ops::sgd::Update;

use super::machine::Machine;

/// Parameters that share a rate.
pub struct Group {
    /// Initial rate.
    pub rate: f64,
    /// Added to the gradient, times the parameter.
    pub weight_decay: f64,
    /// Name and variable, in a fixed order.
    pub params: Vec<(String, Var)>,
}

impl Group {
    /// A group of the trainable ones among `params`.
    pub fn new<'a>(
        rate: f64,
        weight_decay: f64,
        params: impl IntoIterator<Item = &'a Param>,
    ) -> Self {
        let trainable = params.into_iter().filter(|param| param.trainable());
        let params = trainable.map(|param| (param.name.clone(), param.var().clone())).collect();
        Self { rate, weight_decay, params }
    }
}

/// The schedule and the momentum of every parameter.
pub struct PolySgd {
    groups: Vec<Group>,
    momentum: f64,
    power: f64,
    max_step: usize,
    /// Steps done so far.
    pub step: usize,
    /// The rates of the last step, by group.
    rates: Vec<f64>,
    buffers: BTreeMap<String, Tensor>,
}

impl PolySgd {
    /// Starts at step 0; the rate is `rate * (1 - step / max_step)^power` and stays at its last value
    /// from `max_step` on.
    pub fn new(groups: Vec<Group>, momentum: f64, power: f64, max_step: usize) -> Self {
        let rates = groups.iter().map(|group| group.rate).collect();
        let buffers = BTreeMap::new();
        Self { groups, momentum, power, max_step, step: 0, rates, buffers }
    }

    /// The rates of the last step (the initial ones before any), by group.
    pub fn rates(&self) -> &[f64] {
        &self.rates
    }

    /// One step along `grads` on `machine`. Parameters without a gradient are left alone, decay included.
    ///
    /// # Errors
    /// Those of the tensor operations.
    pub fn step(&mut self, grads: &GradStore, machine: &Machine) -> Result<()> {
        self.rates = self.rates_at(self.step);
        self.begin(grads)?;
        let groups = self.groups.iter().zip(&self.rates);
        let updates = groups.flat_map(|(group, &rate)| {
            let buffers = &self.buffers;
            group.params.iter().filter_map(move |(name, parameter)| {
                let (gradient, buffer) = (grads.get(parameter)?, &buffers[name]);
                Some(Update { parameter, gradient, buffer, rate, decay: group.weight_decay })
            })
        });
        machine.descend(&updates.collect::<Vec<_>>(), self.momentum)?;
        self.step += 1;
        Ok(())
    }

    /// Momenta of zero for what has a gradient for the first time.
    fn begin(&mut self, grads: &GradStore) -> Result<()> {
        for (name, var) in self.groups.iter().flat_map(|group| &group.params) {
            if grads.get(var).is_some() && !self.buffers.contains_key(name) {
                self.buffers.insert(name.clone(), var.as_detached_tensor().zeros_like()?);
            }
        }
        Ok(())
    }

    fn rates_at(&self, step: usize) -> Vec<f64> {
        if step >= self.max_step {
            return self.rates.clone();
        }
        let factor = (1.0 - step as f64 / self.max_step as f64).powf(self.power);
        self.groups.iter().map(|group| group.rate * factor).collect()
    }

    /// The momentum buffers by parameter name, for a checkpoint.
    pub fn buffers(&self) -> &BTreeMap<String, Tensor> {
        &self.buffers
    }

    /// Goes on from a checkpoint: buffers and the number of steps done.
    ///
    /// # Errors
    /// Those of copying a buffer to its parameter's device.
    pub fn restore(&mut self, mut buffers: BTreeMap<String, Tensor>, step: usize) -> Result<()> {
        for (name, var) in self.groups.iter().flat_map(|group| &group.params) {
            if let Some(buffer) = buffers.remove(name) {
                self.buffers.insert(name.clone(), buffer.to_device(var.device())?);
            }
        }
        self.step = step;
        // From max_step on the last rate is kept: that of the last step below it.
        self.rates = self.rates_at(step.min(self.max_step).saturating_sub(1));
        Ok(())
    }
}
