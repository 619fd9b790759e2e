//! The feature map that computes like a Candle tensor and keeps every value under the name that the
//! same value has in the graph.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use candle_core::{Result, Tensor, bail};
use irn_models::{Conv, ConvNorm, FeatureMap, GroupNorm};

use crate::trace::Trace;

/// Values by node name.
pub type Log = BTreeMap<String, Tensor>;

/// A tensor with its name.
#[derive(Clone)]
pub struct Probe {
    tensor: Tensor,
    trace: Trace,
    log: Rc<RefCell<Log>>,
}

impl Probe {
    /// The photo, the start of a new log.
    pub fn input(name: &str, tensor: Tensor) -> Self {
        Self { tensor, trace: Trace::input(name), log: Rc::default() }
    }

    /// Everything computed from this photo so far.
    pub fn log(&self) -> Log {
        self.log.borrow().clone()
    }

    fn keep(&self, trace: Trace, tensor: Tensor) -> Result<Self> {
        self.log.borrow_mut().insert(trace.name.clone(), tensor.clone());
        Ok(Self { tensor, trace, log: self.log.clone() })
    }
}

impl FeatureMap for Probe {
    fn conv_norm(&self, layer: &ConvNorm, residual: Option<&Self>) -> Result<Self> {
        let tensor = self.tensor.conv_norm(layer, residual.map(|residual| &residual.tensor))?;
        self.keep(self.trace.conv_norm(layer, residual.is_some()), tensor)
    }

    fn conv(&self, layer: &Conv) -> Result<Self> {
        self.keep(self.trace.layer(&layer.name, layer.stride), self.tensor.conv(layer)?)
    }

    fn group_norm(&self, layer: &GroupNorm) -> Result<Self> {
        self.keep(self.trace.group_norm(layer), self.tensor.group_norm(layer)?)
    }

    fn relu(&self) -> Result<Self> {
        self.keep(self.trace.then("relu"), FeatureMap::relu(&self.tensor)?)
    }

    fn concat(maps: &[Self]) -> Result<Self> {
        let Some(first) = maps.first() else { bail!("nothing to concatenate") };
        let tensors: Vec<Tensor> = maps.iter().map(|map| map.tensor.clone()).collect();
        first.keep(first.trace.concat(), FeatureMap::concat(&tensors)?)
    }

    fn max_pool(&self) -> Result<Self> {
        self.keep(self.trace.max_pool(), self.tensor.max_pool()?)
    }

    fn upsample(&self, factor: usize) -> Result<Self> {
        self.keep(self.trace.upsample(factor), self.tensor.upsample(factor)?)
    }

    fn crop_like(&self, other: &Self) -> Result<Self> {
        self.keep(self.trace.crop_like(&other.trace), self.tensor.crop_like(&other.tensor)?)
    }

    fn detach(&self) -> Self {
        Self { tensor: FeatureMap::detach(&self.tensor), ..self.clone() }
    }
}
