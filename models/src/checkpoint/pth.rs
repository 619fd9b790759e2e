//! PyTorch's `.pth`: a pickle that describes tensors, and their storages, in a zip archive or (before
//! version 1.6) one after the other. Nothing in it is executed.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Tensor};

use super::archive::Archive;
use super::names::{Family, Names};
use super::state_dict::{self, Entry};
use crate::pickle::torch::{Element, gather};
use crate::pickle::{Allowed, legacy};

/// A checkpoint may hold this much however small the file is: tensors may be views of one storage.
const FLOOR: usize = 4 << 20;

const ALLOWED: Allowed = Allowed { contains: is_known, file: "checkpoint" };

/// Names of tensors, and of harmless things that people save besides: NumPy numbers, settings.
fn is_known(module: &str, name: &str) -> bool {
    match module {
        "numpy.core.multiarray" | "numpy._core.multiarray" => {
            matches!(name, "scalar" | "_reconstruct")
        }
        "numpy" => matches!(name, "dtype" | "ndarray"),
        "argparse" => name == "Namespace",
        _ => crate::pickle::torch::contains(module, name),
    }
}

/// In which of its two containers PyTorch wrote a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Since 1.6.
    Zip,
    /// Before.
    Legacy,
}

/// A file whose state dict was found; values are not read yet.
pub struct File<'a> {
    /// Its container.
    pub form: Form,
    /// The tensors of the state dict, in its order.
    pub entries: Vec<Entry>,
    storages: Storages<'a>,
    length: usize,
}

enum Storages<'a> {
    Zip(Archive<'a>),
    Legacy(HashMap<String, &'a [u8]>),
}

/// Whether `bytes` begin as one of the two containers does.
pub fn is_pth(bytes: &[u8]) -> bool {
    Archive::is_zip(bytes) || legacy::is_legacy(bytes)
}

/// Finds the state dict.
pub fn open(bytes: &[u8]) -> Result<File<'_>> {
    let length = bytes.len();
    if Archive::is_zip(bytes) {
        let mut archive = Archive::open(bytes)?;
        let entries = state_dict::of_pickle(&archive.pickle()?, ALLOWED)?;
        return Ok(File { form: Form::Zip, entries, storages: Storages::Zip(archive), length });
    }
    let file = legacy::read(bytes, ALLOWED)?;
    let entries = state_dict::entries(&file.tree, file.root)?;
    let storages = Storages::Legacy(file.storages);
    Ok(File { form: Form::Legacy, entries, storages, length })
}

/// The parameters of our networks in a file of either form, as f32.
pub fn read(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>> {
    open(bytes)?.tensors()
}

impl<'a> File<'a> {
    fn tensors(mut self) -> Result<BTreeMap<String, Tensor>> {
        let names = Names::of(Family::of(self.entries.iter().map(|entry| &*entry.name)));
        let limit = (4 * self.length).max(FLOOR);
        let mut chosen: BTreeMap<String, Entry> = BTreeMap::new();
        let mut others = Vec::new();
        for entry in std::mem::take(&mut self.entries) {
            let Some(name) = names.ours(&entry.name) else { continue };
            if dtype(entry.storage.element).is_none() {
                continue;
            }
            match chosen.get(&name) {
                None => drop(chosen.insert(name, entry)),
                Some(first) if !first.is_same(&entry) => others.push((name, entry)),
                Some(_) => {}
            }
        }
        let storages = self.storages_of(chosen.values().chain(others.iter().map(|(_, e)| e)))?;
        let mut tensors = BTreeMap::new();
        let mut budget = limit;
        for (name, entry) in &chosen {
            let tensor = self::tensor(entry, &storages, budget)?;
            budget -= tensor.elem_count() * entry.storage.element.size();
            tensors.insert(name.clone(), tensor.to_dtype(DType::F32)?);
        }
        expect_equal(&others, &chosen, &tensors, &storages, limit)?;
        Ok(tensors)
    }

    fn storages_of<'e>(
        &mut self,
        entries: impl Iterator<Item = &'e Entry>,
    ) -> Result<HashMap<String, Cow<'a, [u8]>>> {
        let mut found = HashMap::new();
        // Stored in the file, each once.
        let mut left = self.length;
        for key in entries.map(|entry| &entry.storage.key) {
            if found.contains_key(key) {
                continue;
            }
            let bytes = match &mut self.storages {
                Storages::Zip(archive) => Cow::Owned(archive.storage(key, left)?),
                Storages::Legacy(storages) => {
                    Cow::Borrowed(*storages.get(key).context("a storage is missing")?)
                }
            };
            left = left.saturating_sub(bytes.len());
            found.insert(key.clone(), bytes);
        }
        Ok(found)
    }
}

/// Fails where another name of a parameter has other values.
fn expect_equal(
    others: &[(String, Entry)],
    chosen: &BTreeMap<String, Entry>,
    tensors: &BTreeMap<String, Tensor>,
    storages: &HashMap<String, Cow<[u8]>>,
    mut budget: usize,
) -> Result<()> {
    for (name, entry) in others {
        let other = tensor(entry, storages, budget)?;
        budget -= other.elem_count() * entry.storage.element.size();
        let same = is_equal(&other.to_dtype(DType::F32)?, &tensors[name])?;
        let first = &chosen[name].name;
        ensure!(same, "{first} and {} are one parameter, but differ", entry.name);
    }
    Ok(())
}

fn tensor(entry: &Entry, storages: &HashMap<String, Cow<[u8]>>, limit: usize) -> Result<Tensor> {
    let read = || -> Result<Tensor> {
        let storage = &entry.storage;
        let bytes = storages.get(&storage.key).context("its storage is missing")?;
        let start = storage.start.checked_mul(storage.element.size());
        let bytes = start.and_then(|start| bytes.get(start..)).context("outside of its storage")?;
        let values = gather(bytes, storage.element.size(), &entry.layout, limit)?;
        let dtype = dtype(storage.element).context("not a floating-point tensor")?;
        Ok(Tensor::from_raw_buffer(&values, dtype, &entry.layout.dims, &Device::Cpu)?)
    };
    read().with_context(|| format!("tensor {}", entry.name))
}

/// `None` for integers, which no parameter is.
fn dtype(element: Element) -> Option<DType> {
    match element {
        Element::F16 => Some(DType::F16),
        Element::Bf16 => Some(DType::BF16),
        Element::F32 => Some(DType::F32),
        Element::F64 => Some(DType::F64),
        _ => None,
    }
}

/// Bit for bit, so that an undefined number equals itself.
fn is_equal(a: &Tensor, b: &Tensor) -> Result<bool> {
    let bits = |tensor: &Tensor| -> Result<Vec<u32>> {
        Ok(tensor.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f32::to_bits).collect())
    };
    Ok(a.dims() == b.dims() && bits(a)? == bits(b)?)
}

#[cfg(test)]
mod tests;
