//! Weights in a file beside the model, for networks beyond the 2 GB of a protobuf message and for
//! runtimes that map them into memory.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use irn_models::error::Hint;
use prost::Message;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::info::{ModelInfo, hexadecimal};
use crate::onnx::{ModelProto, StringStringEntryProto, TensorProto};

/// Constants up to this many bytes stay in the model: shapes must, so that it can be checked alone.
const SMALL: usize = 1024;
/// Each constant begins at a multiple of this, so that it can be mapped into memory.
const PAGE: usize = 4096;

/// The file beside the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct External {
    /// Its name, in the model's folder.
    pub file: String,
    /// SHA-256 of its content.
    pub sha256: String,
}

impl External {
    /// Where it lies for the model at `model`.
    ///
    /// # Errors
    /// A name that leads out of the model's folder.
    pub fn beside(&self, model: &Path) -> Result<PathBuf> {
        let plain = Path::new(&self.file).file_name().is_some_and(|name| *name == *self.file);
        ensure!(plain, "weights in `{}`, which is not a plain file name", self.file);
        Ok(model.with_file_name(&self.file))
    }

    /// Checks that the file is the one the model was written with.
    ///
    /// # Errors
    /// A missing or another file.
    pub fn check(&self, model: &Path) -> Result<()> {
        let path = self.beside(model)?;
        let hint = "keep both files of a model together, or export it again";
        let bytes = fs_err::read(&path).context("the model's weights").hint(hint)?;
        if hexadecimal(&Sha256::digest(&bytes)) != self.sha256 {
            let error = anyhow!("{} holds other weights: its SHA-256 differs", path.display());
            return Err(error).hint(hint);
        }
        Ok(())
    }
}

/// The model without its weights, and the weights, for a file called `name`.
///
/// # Errors
/// Bytes that are no model.
pub fn split(bytes: &[u8], info: &ModelInfo, name: &str) -> Result<(Vec<u8>, Vec<u8>)> {
    let mut model = ModelProto::decode(bytes)?;
    let Some(graph) = model.graph.as_mut() else { bail!("a model without a graph") };
    let mut data = Vec::new();
    for tensor in graph.initializer.iter_mut().filter(|tensor| tensor.raw_data.len() > SMALL) {
        data.resize(data.len().next_multiple_of(PAGE), 0);
        let values = std::mem::take(&mut tensor.raw_data);
        place(tensor, name, data.len(), values.len());
        data.extend(values);
    }
    let sha256 = hexadecimal(&Sha256::digest(&data));
    let info = ModelInfo { external: Some(External { file: name.into(), sha256 }), ..info.clone() };
    model.metadata_props = info.entries(&graph.encode_to_vec())?;
    Ok((model.encode_to_vec(), data))
}

/// The model at `path`, whatever lies beside it put back into it.
///
/// # Errors
/// A file that can't be read or is none of ours, or other weights than it was written with.
pub fn joined(path: &Path) -> Result<Vec<u8>> {
    let bytes = fs_err::read(path)?;
    let read = || -> Result<Option<Vec<u8>>> {
        let mut model = ModelProto::decode(&*bytes)?;
        let (info, _) = ModelInfo::read(&bytes.clone().into())?;
        let Some(external) = &info.external else { return Ok(None) };
        external.check(path)?;
        let data = fs_err::read(external.beside(path)?)?;
        let Some(graph) = model.graph.as_mut() else { bail!("a model without a graph") };
        for tensor in graph.initializer.iter_mut().filter(|tensor| tensor.data_location == 1) {
            tensor.raw_data = placed(tensor, &data)?.to_vec();
            (tensor.external_data, tensor.data_location) = (Vec::new(), 0);
        }
        let info = ModelInfo { external: None, ..info };
        model.metadata_props = info.entries(&graph.encode_to_vec())?;
        Ok(Some(model.encode_to_vec()))
    };
    let joined = read().with_context(|| format!("failed to read the model {}", path.display()))?;
    Ok(joined.unwrap_or(bytes))
}

fn placed<'a>(tensor: &TensorProto, data: &'a [u8]) -> Result<&'a [u8]> {
    let number = |key: &str| -> Result<usize> {
        let entry = tensor.external_data.iter().find(|entry| entry.key == key);
        let entry = entry.with_context(|| format!("{} has no {key}", tensor.name))?;
        entry.value.parse().with_context(|| format!("{key} of {}", tensor.name))
    };
    let (offset, length) = (number("offset")?, number("length")?);
    let end = offset.checked_add(length);
    end.and_then(|end| data.get(offset..end))
        .with_context(|| format!("{} lies outside the file of weights", tensor.name))
}

fn place(tensor: &mut TensorProto, file: &str, offset: usize, length: usize) {
    let entry = |key: &str, value: String| StringStringEntryProto { key: key.into(), value };
    tensor.external_data = vec![
        entry("location", file.into()),
        entry("offset", offset.to_string()),
        entry("length", length.to_string()),
    ];
    tensor.data_location = 1;
}
