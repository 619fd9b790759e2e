//! Either network, built from the tensors of a checkpoint: its own description where it has one,
//! otherwise what the names and shapes of upstream's checkpoints tell.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, bail, ensure};
use candle_core::{Device, Tensor};
use irn_models::error::Hint;
use irn_models::voc::VOC_CLASSES;
use irn_models::{Backbone, CamNet, IrNet, Param, Weights};

use crate::export::{export_cam, export_irn, weights_sha256};
use crate::info::{ModelInfo, NetworkKind};

/// A network ready to be exported or compared.
#[expect(clippy::large_enum_variant, reason = "one or two a process; a box would gain nothing")]
pub enum Network {
    /// The classifier.
    Cam(CamNet),
    /// Boundaries and displacements.
    Irn(IrNet),
}

/// What the command line says about a checkpoint; it goes before what the file says.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Class names.
    pub classes: Option<Vec<String>>,
    /// `resnet18`, `resnet34`, `resnet50` or `resnet101`.
    pub backbone: Option<String>,
    /// Width factor.
    pub width: Option<f64>,
}

impl Network {
    /// Builds the network that `tensors` belong to. `known` is the checkpoint's own description.
    ///
    /// # Errors
    /// Tensors of neither network, some missing or of another shape, or too few class names.
    pub fn build(
        tensors: BTreeMap<String, Tensor>,
        known: Option<ModelInfo>,
        overrides: &Overrides,
    ) -> Result<(Self, ModelInfo)> {
        let info = described(&tensors, known, overrides)?;
        let backbone = Backbone::named(&info.backbone)
            .with_context(|| format!("unknown backbone {}", info.backbone))
            .hint("resnet18, resnet34, resnet50 or resnet101")?;
        ensure!(info.width > 0. && info.width <= 8., "width {} is not in 0..8", info.width);
        let mut weights = Weights::stored(tensors, 0, &Device::Cpu);
        let network = match info.network {
            NetworkKind::Cam => {
                Self::Cam(CamNet::new(&mut weights, backbone, info.width, info.classes.len())?)
            }
            NetworkKind::Irn => Self::Irn(IrNet::new(&mut weights, backbone, info.width)?),
            NetworkKind::Labels => bail!("a graph of two networks has no checkpoint of its own"),
        };
        if let [first, ..] = &weights.missing[..] {
            bail!("{} parameters are missing, {first} among them", weights.missing.len());
        }
        Ok((network, info))
    }

    /// The ONNX file of the network.
    ///
    /// # Errors
    /// A description of another network.
    pub fn export(&self, info: &ModelInfo) -> Result<Vec<u8>> {
        match self {
            Self::Cam(net) => export_cam(net, info),
            Self::Irn(net) => export_irn(net, info),
        }
    }

    /// All parameters and buffers by name.
    pub fn tensors(&self) -> BTreeMap<String, Tensor> {
        let mut tensors = BTreeMap::new();
        let mut add = |param: &Param| drop(tensors.insert(param.name.clone(), param.tensor()));
        match self {
            Self::Cam(net) => net.visit(&mut |param| add(param)),
            Self::Irn(net) => net.visit(&mut |param| add(param)),
        }
        tensors
    }

    /// Which of the two it is.
    pub fn kind(&self) -> NetworkKind {
        match self {
            Self::Cam(_) => NetworkKind::Cam,
            Self::Irn(_) => NetworkKind::Irn,
        }
    }

    /// See [`weights_sha256`].
    ///
    /// # Errors
    /// Those of reading a tensor.
    pub fn weights_sha256(&self) -> Result<String> {
        let mut params = Vec::new();
        match self {
            Self::Cam(net) => net.visit(&mut |param| params.push(param)),
            Self::Irn(net) => net.visit(&mut |param| params.push(param)),
        }
        weights_sha256(&params)
    }
}

fn described(
    tensors: &BTreeMap<String, Tensor>,
    known: Option<ModelInfo>,
    overrides: &Overrides,
) -> Result<ModelInfo> {
    let mut info = match known {
        Some(info) => info,
        None => inferred(tensors)?,
    };
    if let Some(backbone) = &overrides.backbone {
        info.backbone.clone_from(backbone);
    }
    info.width = overrides.width.unwrap_or(info.width);
    if let Some(classes) = &overrides.classes {
        info.classes.clone_from(classes);
    }
    let count = tensors.get("classifier.weight").and_then(|tensor| tensor.dim(0).ok());
    if let (NetworkKind::Cam, Some(count)) = (info.network, count) {
        if info.classes.is_empty() && count == VOC_CLASSES.len() {
            info.classes = VOC_CLASSES.map(String::from).to_vec();
        }
        if info.classes.len() != count {
            return Err(anyhow!("{count} classes, {} names", info.classes.len()))
                .hint("name them in order: --classes cat,dog,...");
        }
    }
    Ok(info)
}

/// What names and shapes tell about a checkpoint without a description.
fn inferred(tensors: &BTreeMap<String, Tensor>) -> Result<ModelInfo> {
    let has = |name: &str| tensors.contains_key(name);
    let network = match (has("classifier.weight"), has("fc_edge1.0.weight")) {
        (true, false) => NetworkKind::Cam,
        (false, true) => NetworkKind::Irn,
        _ => {
            return Err(anyhow!("neither a CAM network nor an IRNet: {} tensors", tensors.len()))
                .hint(
                    "a CAM network has `classifier.weight`, an IRNet `fc_edge1.0.weight`; \
                     ImageNet weights have to be trained first",
                );
        }
    };
    let (backbone, width) = backbone_of(tensors)?;
    Ok(ModelInfo::new(network, backbone.name, width, Vec::new()))
}

/// The backbone, and its width factor, that names and shapes tell.
///
/// # Errors
/// Tensors of no known backbone.
pub fn backbone_of(tensors: &BTreeMap<String, Tensor>) -> Result<(Backbone, f64)> {
    let has = |name: &str| tensors.contains_key(name);
    let blocks = (0..).take_while(|i| has(&format!("resnet50.layer3.{i}.conv1.weight"))).count();
    let backbone = match (has("resnet50.layer1.0.conv3.weight"), blocks) {
        (false, 2) => "resnet18",
        (false, 6) => "resnet34",
        (true, 6) => "resnet50",
        (true, 23) => "resnet101",
        _ => bail!("no known backbone has {blocks} blocks in its third stage"),
    };
    let stem = tensors.get("resnet50.conv1.weight").and_then(|tensor| tensor.dim(0).ok());
    let width = stem.context("resnet50.conv1.weight is missing")? as f64 / 64.;
    let backbone = Backbone::named(backbone).context("a backbone of the list")?;
    Ok((backbone, width))
}

#[cfg(test)]
mod tests {
    use irn_models::resnet::BACKBONES;

    use super::*;

    fn tensors(backbone: Backbone, classes: usize) -> BTreeMap<String, Tensor> {
        let mut weights = Weights::seeded(1, &Device::Cpu);
        let net = CamNet::new(&mut weights, backbone, 0.125, classes).unwrap();
        let mut tensors = BTreeMap::new();
        net.visit(&mut |param| drop(tensors.insert(param.name.clone(), param.tensor())));
        tensors
    }

    #[test]
    fn a_bare_checkpoint_tells_what_it_is() {
        for backbone in BACKBONES {
            let stored = tensors(backbone, 20);
            let (_, info) = Network::build(stored, None, &Overrides::default()).unwrap();
            assert_eq!((info.network, &*info.backbone), (NetworkKind::Cam, backbone.name));
            assert_eq!((info.width, info.classes.len()), (0.125, 20));
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut stored = tensors(BACKBONES[0], 3);
        let build = |stored: &BTreeMap<String, Tensor>, overrides: &Overrides| {
            Network::build(stored.clone(), None, overrides).err().map(|error| error.to_string())
        };
        assert_eq!(build(&stored, &Overrides::default()).unwrap(), "3 classes, 0 names");
        let classes = Some(["a", "b", "c"].map(String::from).to_vec());
        let named = Overrides { classes, ..Overrides::default() };
        assert_eq!(build(&stored, &named), None);
        stored.remove("resnet50.layer2.0.bn1.bias");
        assert!(build(&stored, &named).unwrap().contains("resnet50.layer2.0.bn1.bias"));
        stored.remove("classifier.weight");
        assert!(build(&stored, &named).unwrap().contains("neither"));
    }
}
