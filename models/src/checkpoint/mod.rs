//! Checkpoints: parameters by name, and what they are parameters of.
//!
//! Our own are safetensors files that describe themselves. PyTorch's (`.pth`, in both of its containers)
//! are read as well, upstream's and torchvision's, without running anything that is in them.

mod archive;
mod contents;
mod names;
mod pth;
mod safetensors;
mod state_dict;
mod whole;
mod write_pth;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use self::contents::{Contents, Stored, contents};
pub use self::safetensors::save;
pub use self::write_pth::save_pth;
use crate::Weights;
use crate::error::Hint;

/// What a checkpoint says about itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// `cam` or `irn`.
    pub network: String,
    /// Name of the backbone, as in [`crate::resnet::BACKBONES`].
    pub backbone: String,
    /// Width factor of the backbone.
    pub width: f64,
    /// Class names in order; IRNet has none of its own and keeps those of its labels.
    pub classes: Vec<String>,
    /// Mean per channel that images are normalised by, of values in 0..1.
    pub mean: [f64; 3],
    /// Deviation per channel.
    pub std: [f64; 3],
    /// The resolved settings it was trained with.
    pub settings: serde_json::Value,
    /// Version of the program that wrote it.
    pub version: String,
    /// Whatever else is worth keeping.
    pub extra: BTreeMap<String, String>,
}

/// A checkpoint in memory.
#[derive(Debug)]
pub struct Loaded {
    /// f32 tensors by their names in our networks.
    pub tensors: BTreeMap<String, Tensor>,
    /// `None` for files that are not our own.
    pub metadata: Option<Metadata>,
}

/// Reads a checkpoint of any kind, told apart by content: safetensors, or `.pth` in its zip or legacy form.
///
/// Names of torchvision and of upstream's networks become ours; floating-point tensors become f32. A path
/// without its last `.pth` is found too: upstream saves its CAM network as `res50_cam.pth.pth`.
///
/// # Errors
/// A file that can't be read, is damaged, or holds no parameter of a network here.
pub fn load(path: impl AsRef<Path>) -> Result<Loaded> {
    let path = &existing(path.as_ref());
    let bytes = fs_err::read(path)?;
    let loaded = parse(&bytes)
        .with_context(|| format!("failed to read the checkpoint {}", path.display()))?;
    if loaded.tensors.is_empty() {
        let none = Err(anyhow::anyhow!("{} holds no parameter of these networks", path.display()));
        return none
            .hint("expected names like resnet50.layer1.0.conv1.weight or layer1.0.conv1.weight");
    }
    Ok(loaded)
}

/// `path`, or with `.pth` behind it where only that exists.
fn existing(path: &Path) -> PathBuf {
    let mut longer = path.as_os_str().to_owned();
    longer.push(".pth");
    let longer = PathBuf::from(longer);
    if !path.exists() && longer.exists() { longer } else { path.to_owned() }
}

/// Reads the bytes of a checkpoint of any kind.
///
/// # Errors
/// As [`load`], but for a file without parameters.
pub fn parse(bytes: &[u8]) -> Result<Loaded> {
    if pth::is_pth(bytes) {
        let tensors = pth::read(bytes).hint(
            "the file may be truncated; save only the state dict: torch.save(net.state_dict(), ..)",
        )?;
        Ok(Loaded { tensors, metadata: None })
    } else if safetensors::is_safetensors(bytes) {
        safetensors::read(bytes).hint("the file may be truncated: copy or download it again")
    } else {
        Err(anyhow::anyhow!("neither safetensors nor PyTorch ({} bytes)", bytes.len()))
            .hint("give a .safetensors file of this program, or a .pth file of PyTorch")
    }
}

/// A hash over names, shapes and values, 64 hexadecimal digits: equal for equal parameters only.
///
/// # Errors
/// A tensor that is not f32.
pub fn fingerprint(tensors: &BTreeMap<String, Tensor>) -> Result<String> {
    let mut hash = Sha256::new();
    for (name, tensor) in tensors {
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update((tensor.rank() as u64).to_le_bytes());
        tensor.dims().iter().for_each(|&size| hash.update((size as u64).to_le_bytes()));
        hash.update(little_endian(tensor)?);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn little_endian(tensor: &Tensor) -> Result<Vec<u8>> {
    let values = tensor.flatten_all()?.to_vec1::<f32>()?;
    Ok(values.into_iter().flat_map(f32::to_le_bytes).collect())
}

impl Weights {
    /// Fails unless the network built from these took every tensor of the checkpoint and found all it
    /// needs; `path` is for the message.
    ///
    /// # Errors
    /// Names that are missing, or that no layer asked for.
    pub fn expect_complete(&self, path: &Path) -> Result<()> {
        let unexpected = self.unexpected();
        if self.missing.is_empty() && unexpected.is_empty() {
            return Ok(());
        }
        let path = path.display();
        let missing = listed(&self.missing);
        let unexpected = listed(&unexpected);
        Err(anyhow::anyhow!(
            "{path} does not fit the network: missing {missing}; unexpected {unexpected}"
        ))
        .hint("check that backbone, width and kind of network (cam or irn) are those of the file")
    }
}

/// The number of names and the first few.
fn listed(names: &[String]) -> String {
    match names {
        [] => "nothing".to_string(),
        _ if names.len() <= 4 => names.join(", "),
        [first @ .., last] => {
            format!("{} names ({}, .., {last})", names.len(), first[..3].join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::error::report;
    use crate::resnet::Backbone;
    use crate::{CamNet, ops::testing::numbers};

    fn sample() -> BTreeMap<String, Tensor> {
        let names =
            [("resnet50.conv1.weight", vec![2, 3, 7, 7]), ("classifier.weight", vec![4, 2, 1, 1])];
        names.into_iter().map(|(name, shape)| (name.to_string(), numbers(name, &shape))).collect()
    }

    #[test]
    fn fingerprints_know_names_shapes_and_values() {
        let first = fingerprint(&sample()).unwrap();
        assert_eq!(first, fingerprint(&sample()).unwrap());
        assert_eq!(first.len(), 64);
        let mut other = sample();
        let tensor = other.remove("classifier.weight").unwrap();
        other.insert("classifier.bias".into(), tensor.clone());
        assert_ne!(first, fingerprint(&other).unwrap());
        let mut other = sample();
        other.insert("classifier.weight".into(), tensor.reshape((2, 4, 1, 1)).unwrap());
        assert_ne!(first, fingerprint(&other).unwrap());
        let mut other = sample();
        other.insert("classifier.weight".into(), (tensor + 1e-6).unwrap());
        assert_ne!(first, fingerprint(&other).unwrap());
    }

    #[test]
    fn other_files_are_refused_with_advice() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.pth");
        for content in [&b""[..], b"hello", &[0u8; 64], &[0xffu8; 64], b"PK\x03\x04 and no more"] {
            fs_err::write(&path, content).unwrap();
            let text = report(&load(&path).unwrap_err());
            assert!(text.contains("x.pth") && text.contains("hint:"), "{text}");
        }
        // Another program's file: our own would keep whatever names it has.
        let weight = Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap();
        let foreign = std::collections::HashMap::from([("weight".to_string(), weight)]);
        candle_core::safetensors::save(&foreign, &path).unwrap();
        let text = report(&load(&path).unwrap_err());
        assert!(text.contains("no parameter"), "{text}");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let mut stored = sample();
        stored.remove("resnet50.conv1.weight");
        stored.insert("resnet50.layer9.weight".into(), numbers("x", &[1]));
        let mut weights = Weights::stored(stored, 0, &Device::Cpu);
        let backbone = Backbone::named("resnet18").unwrap();
        assert!(CamNet::new(&mut weights, backbone, 0.125, 20).is_err());
        let text = report(&weights.expect_complete(Path::new("a.pth")).unwrap_err());
        assert!(text.contains("a.pth") && text.contains("resnet50.conv1.weight"), "{text}");
        assert!(text.contains("unexpected resnet50.layer9.weight"), "{text}");
    }
}
