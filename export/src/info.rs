//! What an exported model says about itself, in the `metadata_props` of its file.
//!
//! Strings stand as they are, everything else as JSON, so that any ONNX viewer shows them. The entry
//! `sha256` covers the graph and all other entries: a damaged file is refused before a runtime sees it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use irn_models::error::Hint;
use prost::Message;
use prost::bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::external::External;
use crate::form::Form;
use crate::onnx::{ModelEnvelope, StringStringEntryProto};

/// Version of these entries.
pub const VERSION: u32 = 1;
/// The entry that covers all others and the graph.
const SEAL: &str = "sha256";

/// Which of the two networks a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkKind {
    /// The classifier behind the class activation maps.
    Cam,
    /// Class boundaries and displacements.
    Irn,
    /// Both, and all that leads from a photo to its semantic mask.
    Labels,
}

impl NetworkKind {
    /// The outputs of the exported graph, in order.
    pub fn outputs(self) -> [&'static str; 2] {
        match self {
            Self::Cam => ["scores", "logits"],
            Self::Irn => ["edge", "displacement"],
            Self::Labels => ["scores", "label"],
        }
    }
}

impl std::fmt::Display for NetworkKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Cam => "cam",
            Self::Irn => "irn",
            Self::Labels => "labels",
        })
    }
}

/// A model's description of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Which network it is.
    pub network: NetworkKind,
    /// `resnet18`, `resnet34`, `resnet50` or `resnet101`.
    pub backbone: String,
    /// Width factor; 1 is the original.
    pub width: f64,
    /// Class names in the order of the scores.
    pub classes: Vec<String>,
    /// Subtracted from each channel (R, G, B) of a photo scaled to `[0, 1]`.
    pub mean: [f64; 3],
    /// The difference is divided by it.
    pub std: [f64; 3],
    /// Pixels per cell of the outputs: 16 for CAM, 4 for IRNet.
    pub stride: usize,
    /// [`VERSION`] of the program that wrote it.
    pub version: u32,
    /// SHA-256 of names, shapes and values of all parameters; filled in by the exporter.
    pub weights_sha256: String,
    /// Operator set, sizes, precision and input of the graph.
    #[serde(default)]
    pub form: Form,
    /// The file beside the model that holds its weights, if they are not in the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<External>,
    /// The resolved settings it was trained with; null where unknown.
    pub settings: serde_json::Value,
}

impl ModelInfo {
    /// A description with ImageNet's normalisation and no settings.
    pub fn new(network: NetworkKind, backbone: &str, width: f64, classes: Vec<String>) -> Self {
        Self {
            network,
            backbone: backbone.into(),
            width,
            classes,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
            stride: if network == NetworkKind::Cam { 16 } else { 4 },
            version: VERSION,
            weights_sha256: String::new(),
            form: Form::default(),
            external: None,
            settings: serde_json::Value::Null,
        }
    }

    /// The entries for a file whose encoded graph is `graph`, sorted by key, sealed.
    ///
    /// # Errors
    /// None in practice: every field has a JSON form.
    pub fn entries(&self, graph: &[u8]) -> Result<Vec<StringStringEntryProto>> {
        let fields: BTreeMap<String, serde_json::Value> =
            serde_json::from_value(serde_json::to_value(self)?)?;
        let mut entries: BTreeMap<String, String> = fields
            .into_iter()
            .map(|(key, value)| match value {
                serde_json::Value::String(text) => (key, text),
                other => (key, other.to_string()),
            })
            .collect();
        entries.insert(SEAL.into(), seal(graph, &entries));
        let entry = |(key, value)| StringStringEntryProto { key, value };
        Ok(entries.into_iter().map(entry).collect())
    }

    /// Reads the description out of a whole file and checks its seal, which it returns, too.
    ///
    /// # Errors
    /// Not an ONNX file, not one of ours, another version, or damaged.
    pub fn read(file: &Bytes) -> Result<(Self, String)> {
        let envelope = ModelEnvelope::decode(file.clone())
            .context("not an ONNX file, or a truncated one")
            .hint("write it again with `irn-export onnx CHECKPOINT --out FILE`")?;
        ensure!(envelope.ir_version > 0, "not an ONNX file: it has no IR version");
        let pairs = envelope.metadata_props.into_iter().map(|entry| (entry.key, entry.value));
        let mut entries: BTreeMap<String, String> = pairs.collect();
        let Some(written) = entries.remove(SEAL).filter(|_| entries.contains_key("network")) else {
            return Err(anyhow::anyhow!("an ONNX file that irn-export did not write"))
                .hint("write one with `irn-export onnx CHECKPOINT --out FILE`");
        };
        if seal(&envelope.graph, &entries) != written {
            return Err(anyhow::anyhow!("the file is damaged or was changed: its SHA-256 differs"))
                .hint("write it again with `irn-export onnx CHECKPOINT --out FILE`");
        }
        Ok((Self::parse(entries)?, written))
    }

    fn parse(mut entries: BTreeMap<String, String>) -> Result<Self> {
        let version = entries.get("version").context("metadata lacks `version`")?;
        if *version != VERSION.to_string() {
            bail!("metadata of version {version}; this program reads version {VERSION}");
        }
        let mut fields = serde_json::Map::new();
        for key in ["network", "backbone", "weights_sha256"] {
            let text = entries.remove(key).with_context(|| format!("metadata lacks `{key}`"))?;
            fields.insert(key.into(), text.into());
        }
        for (key, text) in entries {
            let value = serde_json::from_str(&text).with_context(|| format!("metadata `{key}`"))?;
            fields.insert(key, value);
        }
        serde_json::from_value(fields.into()).context("metadata")
    }
}

/// SHA-256 over the graph, then every key and value with their lengths, as hexadecimal digits.
fn seal(graph: &[u8], entries: &BTreeMap<String, String>) -> String {
    let mut hash = Sha256::new();
    hash.update(graph);
    for text in entries.iter().flat_map(|(key, value)| [key, value]) {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    hexadecimal(&hash.finalize())
}

/// Lower-case hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::{GraphProto, ModelProto};

    fn file(change: impl FnOnce(&mut Vec<StringStringEntryProto>)) -> Bytes {
        let graph = GraphProto { name: "cam".into(), ..Default::default() };
        let classes = vec!["cat".into(), "dog".into()];
        let info = ModelInfo::new(NetworkKind::Cam, "resnet18", 0.125, classes);
        let mut metadata_props = info.entries(&graph.encode_to_vec()).unwrap();
        change(&mut metadata_props);
        let model =
            ModelProto { ir_version: 8, graph: Some(graph), metadata_props, ..Default::default() };
        model.encode_to_vec().into()
    }

    #[test]
    fn what_is_written_is_read() {
        let (info, seal) = ModelInfo::read(&file(|_| ())).unwrap();
        assert_eq!(info.classes, ["cat", "dog"]);
        assert_eq!((info.network, info.stride, info.width), (NetworkKind::Cam, 16, 0.125));
        assert_eq!(seal.len(), 64);
    }

    #[test]
    fn foreign_and_changed_files_are_refused() {
        let foreign = ModelInfo::read(&file(Vec::clear)).unwrap_err();
        assert!(foreign.to_string().contains("did not write"), "{foreign}");
        let changed = file(|entries| entries[0].value = "resnet34".into());
        assert!(ModelInfo::read(&changed).unwrap_err().to_string().contains("damaged"));
        let text = Bytes::from_static(b"plain text, no model");
        assert!(ModelInfo::read(&text).is_err() && ModelInfo::read(&Bytes::new()).is_err());
    }
}
