//! One golden case: its tensors by name, its parameters, its tolerances.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, ensure};
use ndarray::{Array, ArrayD, Dimension, IxDyn};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// `index.json` and the directory it stands in.
pub struct Index {
    dir: PathBuf,
    cases: BTreeMap<String, Value>,
}

impl Index {
    /// Opens the directory that `IRN_GOLDEN` names, or `tests/golden`.
    pub fn open() -> Result<Self> {
        let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let dir = std::env::var_os("IRN_GOLDEN").map_or_else(default, PathBuf::from);
        let text = fs_err::read_to_string(dir.join("index.json"))?;
        let mut index: Value = serde_json::from_str(&text)?;
        let cases = serde_json::from_value(index["cases"].take()).context("cases")?;
        Ok(Self { dir, cases })
    }

    pub fn groups(&self) -> Vec<String> {
        let mut groups: Vec<_> = self.cases.values().map(group_of).collect();
        groups.sort();
        groups.dedup();
        groups
    }

    pub fn names_of(&self, group: &str) -> Vec<String> {
        let of_group = self.cases.iter().filter(|(_, case)| group_of(case) == group);
        of_group.map(|(name, _)| name.clone()).collect()
    }

    pub fn case(&self, name: &str) -> Result<Case> {
        let entry = self.cases.get(name).with_context(|| format!("no case {name}"))?.clone();
        let bytes = match entry["file"].as_str() {
            Some(file) => fs_err::read(self.dir.join(file))?,
            None => Vec::new(),
        };
        Ok(Case { name: name.to_string(), entry, bytes, slack: 1.0 })
    }
}

fn group_of(case: &Value) -> String {
    case["group"].as_str().unwrap_or("(no group)").to_string()
}

#[derive(Clone)]
pub struct Case {
    pub name: String,
    entry: Value,
    bytes: Vec<u8>,
    slack: f64,
}

impl Case {
    pub fn params(&self) -> &Value {
        &self.entry["params"]
    }

    pub fn expected(&self) -> &Value {
        &self.entry["expected"]
    }

    /// The same with all tolerances so many times larger: for what follows the rounding of one machine.
    #[cfg(feature = "cuda")]
    pub fn with_slack(&self, slack: f64) -> Self {
        Self { slack, ..self.clone() }
    }

    /// The tolerance called `key`; a case without it is an error, never a silent pass.
    pub fn tolerance(&self, key: &str) -> Result<f64> {
        let value = self.entry["tolerance"][key].as_f64().map(|value| value * self.slack);
        value.ok_or_else(|| anyhow!("tolerance {key}: {}", self.entry["tolerance"]))
    }

    /// Names of all tensors, `in.*` and `out.*`.
    pub fn tensor_names(&self) -> Result<Vec<String>> {
        let tensors = SafeTensors::deserialize(&self.bytes)?;
        Ok(tensors.names().into_iter().map(|name| name.to_string()).collect())
    }

    pub fn has(&self, name: &str) -> bool {
        SafeTensors::deserialize(&self.bytes).is_ok_and(|tensors| tensors.tensor(name).is_ok())
    }

    /// Tensor `name` (`in.x`, `out.y`) of type f32.
    pub fn f32(&self, name: &str) -> Result<ArrayD<f32>> {
        self.read(name, Dtype::F32, |b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]), 4)
    }

    pub fn u8(&self, name: &str) -> Result<ArrayD<u8>> {
        self.read(name, Dtype::U8, |b| b[0], 1)
    }

    pub fn i64(&self, name: &str) -> Result<ArrayD<i64>> {
        self.read(
            name,
            Dtype::I64,
            |b| i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]),
            8,
        )
    }

    fn read<T>(
        &self,
        name: &str,
        dtype: Dtype,
        decode: fn(&[u8]) -> T,
        size: usize,
    ) -> Result<ArrayD<T>> {
        let tensors = SafeTensors::deserialize(&self.bytes)?;
        let tensor = tensors.tensor(name).with_context(|| format!("tensor {name}"))?;
        ensure!(tensor.dtype() == dtype, "tensor {name} is {:?}, not {dtype:?}", tensor.dtype());
        let values = tensor.data().chunks_exact(size).map(decode).collect();
        Ok(ArrayD::from_shape_vec(IxDyn(tensor.shape()), values)?)
    }
}

/// Gives an array of dynamic rank the rank the caller expects.
pub fn shaped<T, D: Dimension>(array: ArrayD<T>) -> Result<Array<T, D>> {
    let shape = array.shape().to_vec();
    array.into_dimensionality().with_context(|| format!("rank of {shape:?}"))
}
