//! The resumable state of a training: parameters, momentum, step. Order and augmentation follow from
//! seed and step, so a run that goes on gives the same bytes as one that was never interrupted.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use candle_core::Tensor;
use irn_models::Param;
use irn_models::checkpoint::{self, Metadata};

use super::optimizer::PolySgd;
use crate::error::Hint;

const MOMENTUM: &str = "momentum.";
const STEP: &str = "step";

/// Where the state of one training is kept, and what belongs into it.
pub struct StateFile {
    /// The file, beside the final checkpoint.
    pub path: PathBuf,
    /// Describes network and settings; a state of other settings is not resumed.
    pub metadata: Metadata,
    /// All parameters of the network.
    pub params: Vec<Param>,
}

impl StateFile {
    /// Loads the state, if there is one, into the parameters and the optimizer.
    ///
    /// # Errors
    /// A state of other settings, a damaged file.
    pub fn resume(&self, optimizer: &mut PolySgd) -> Result<()> {
        if !self.path.exists() {
            return Ok(());
        }
        let loaded = checkpoint::load(&self.path)?;
        let metadata = loaded.metadata.unwrap_or_default();
        if metadata.settings != self.metadata.settings {
            return Err(anyhow!("{} was written with other settings", self.path.display()))
                .hint("--force starts the training afresh; or go back to the earlier settings");
        }
        let step = metadata.extra.get(STEP).and_then(|step| step.parse().ok());
        let step = step.with_context(|| format!("{} says no step", self.path.display()))?;
        let mut tensors = loaded.tensors;
        for param in &self.params {
            let tensor = tensors
                .remove(&param.name)
                .with_context(|| format!("{} lacks {}", self.path.display(), param.name))?;
            param.var().set(&tensor.to_device(param.var().device())?)?;
        }
        let buffers = tensors.into_iter().filter_map(|(name, tensor)| {
            name.strip_prefix(MOMENTUM).map(|name| (name.to_string(), tensor))
        });
        optimizer.restore(buffers.collect(), step)?;
        eprintln!("going on from step {step} ({})", self.path.display());
        Ok(())
    }

    /// Writes the state, atomically.
    ///
    /// # Errors
    /// A directory that can't be written.
    pub fn save(&self, optimizer: &PolySgd) -> Result<()> {
        let mut tensors = tensors_of(&self.params);
        for (name, buffer) in optimizer.buffers() {
            tensors.insert(format!("{MOMENTUM}{name}"), buffer.clone());
        }
        let mut metadata = self.metadata.clone();
        metadata.extra.insert(STEP.into(), optimizer.step.to_string());
        checkpoint::save(&self.path, &tensors, &metadata)
    }

    /// Removes the state of a finished training.
    ///
    /// # Errors
    /// A directory that can't be written.
    pub fn remove(&self) -> Result<()> {
        if self.path.exists() {
            fs_err::remove_file(&self.path)?;
        }
        Ok(())
    }
}

/// The parameters as a checkpoint holds them.
pub fn tensors_of(params: &[Param]) -> BTreeMap<String, Tensor> {
    params.iter().map(|param| (param.name.clone(), param.var().as_detached_tensor())).collect()
}
