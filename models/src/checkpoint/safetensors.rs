//! Our own checkpoints: safetensors with [`Metadata`] in the header, written whole or not at all.

use std::collections::BTreeMap;
use std::path::Path;

use ::safetensors::tensor::TensorView;
use ::safetensors::{Dtype, SafeTensors};
use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};
use serde_json::{Map, Value, json};

use super::contents::{Contents, Stored};
use super::names::{Family, Names};
use super::whole::write_whole;
use super::{Loaded, Metadata, little_endian};

/// The header key under which the description stands.
const KEY: &str = "irn";

/// Writes `tensors` (f32) and `metadata` to `path`; the same content gives the same bytes.
///
/// # Errors
/// What the file system refuses; the file at `path` is then the old one or none.
pub fn save(path: &Path, tensors: &BTreeMap<String, Tensor>, metadata: &Metadata) -> Result<()> {
    write_whole(path, &encode(tensors, metadata)?)
}

fn encode(tensors: &BTreeMap<String, Tensor>, metadata: &Metadata) -> Result<Vec<u8>> {
    let mut header = Map::new();
    header.insert("__metadata__".into(), json!({ KEY: serde_json::to_string(metadata)? }));
    let mut data = Vec::new();
    for (name, tensor) in tensors {
        let start = data.len();
        data.extend(little_endian(tensor).with_context(|| name.clone())?);
        let offsets = [start, data.len()];
        let entry = json!({ "dtype": "F32", "shape": tensor.dims(), "data_offsets": offsets });
        header.insert(name.clone(), entry);
    }
    let mut header = serde_json::to_vec(&Value::Object(header))?;
    header.resize(header.len().next_multiple_of(8), b' ');
    let length = (header.len() as u64).to_le_bytes();
    Ok([&length[..], &header, &data].concat())
}

/// Whether `bytes` begin as a safetensors file does: a length, then a JSON object.
pub fn is_safetensors(bytes: &[u8]) -> bool {
    bytes.get(8) == Some(&b'{')
}

/// Reads tensors and, from a file of our own, its description.
pub fn read(bytes: &[u8]) -> Result<Loaded> {
    let metadata = description(bytes)?;
    let file = SafeTensors::deserialize(bytes)?;
    let names = Names::of(Family::of(file.names().into_iter()));
    let mut tensors = BTreeMap::new();
    for (name, view) in file.tensors() {
        let tensor = convert(&view).with_context(|| format!("tensor {name}"))?;
        // Our own files hold what we put there (momentum besides parameters); others' names are mapped.
        let ours = if metadata.is_some() { Some(name.clone()) } else { names.ours(&name) };
        if let (Some(tensor), Some(ours)) = (tensor, ours)
            && (ours == name || !tensors.contains_key(&ours))
        {
            tensors.insert(ours, tensor);
        }
    }
    Ok(Loaded { tensors, metadata })
}

fn description(bytes: &[u8]) -> Result<Option<Metadata>> {
    let (_, header) = SafeTensors::read_metadata(bytes)?;
    let described = header.metadata().as_ref().and_then(|entries| entries.get(KEY));
    let metadata = described.map(|text| serde_json::from_str(text)).transpose();
    metadata.context("the file's description")
}

/// Names, shapes and types of all tensors.
pub fn contents(bytes: &[u8]) -> Result<Contents> {
    let metadata = description(bytes)?;
    let stored = |(name, view): (String, TensorView)| Stored {
        name,
        dims: view.shape().to_vec(),
        dtype: format!("{:?}", view.dtype()).to_lowercase(),
        ours: None,
    };
    let mut tensors: Vec<Stored> =
        SafeTensors::deserialize(bytes)?.tensors().into_iter().map(stored).collect();
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Contents { form: "safetensors", tensors, metadata })
}

/// As f32; `None` for integers, which no parameter is.
fn convert(view: &TensorView) -> Result<Option<Tensor>> {
    let dtype = match view.dtype() {
        Dtype::F32 => DType::F32,
        Dtype::F64 => DType::F64,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        _ => return Ok(None),
    };
    let tensor = Tensor::from_raw_buffer(view.data(), dtype, view.shape(), &Device::Cpu)?;
    Ok(Some(tensor.to_dtype(DType::F32)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{fingerprint, load};
    use crate::ops::testing::numbers;

    fn metadata() -> Metadata {
        let extra = ["b", "a", "c"].map(|key| (key.to_string(), format!("value of {key}")));
        Metadata {
            network: "cam".into(),
            backbone: "resnet50".into(),
            width: 0.5,
            classes: vec!["cat".into(), "größer".into()],
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
            settings: json!({ "train": { "rate": 0.1 } }),
            version: "0.1.0".into(),
            extra: extra.into(),
        }
    }

    fn tensors() -> BTreeMap<String, Tensor> {
        let names = ["fc_dp7.3.weight", "classifier.weight", "mean_shift.running_mean"];
        names.into_iter().map(|name| (name.to_string(), numbers(name, &[3, 2]))).collect()
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.safetensors");
        save(&path, &tensors(), &metadata()).unwrap();
        let loaded = load(&path).unwrap();
        assert_eq!(loaded.metadata.unwrap(), metadata());
        assert_eq!(fingerprint(&loaded.tensors).unwrap(), fingerprint(&tensors()).unwrap());
        let first = fs_err::read(&path).unwrap();
        save(&path, &tensors(), &metadata()).unwrap();
        assert_eq!(first, fs_err::read(&path).unwrap());
        assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn truncated_files_are_errors() {
        let bytes = encode(&tensors(), &metadata()).unwrap();
        for length in (0..bytes.len()).step_by(7) {
            assert!(read(&bytes[..length]).is_err(), "{length} bytes");
        }
        assert!(read(&bytes).is_ok());
    }

    #[test]
    fn failing_to_save_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("taken");
        fs_err::create_dir(&target).unwrap();
        fs_err::write(target.join("file"), "x").unwrap();
        assert!(save(&target, &tensors(), &metadata()).is_err());
        assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 1);
    }
}
