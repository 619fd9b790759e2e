//! The networks through ONNX: golden vectors, random networks against Candle, hostile files.

mod device;
mod exporter;
mod forms;
pub mod golden;
mod hostile;
mod labels;

use anyhow::Result;
use candle_core::Device;
use irn_export::network::Network;
use irn_export::{ModelInfo, NetworkKind};
use irn_models::{Backbone, CamNet, IrNet, Weights};

/// A small network with random parameters, normalisation statistics included, and its description.
pub fn random(kind: NetworkKind, backbone: Backbone, seed: u64) -> Result<(Network, ModelInfo)> {
    let classes = ["cat", "dog", "ox"].map(String::from).to_vec();
    let weights = &mut Weights::seeded(seed, &Device::Cpu);
    let network = match kind {
        NetworkKind::Cam => {
            let net = CamNet::new(weights, backbone, 0.125, classes.len())?;
            crate::golden::weights::fill(seed, |f| net.visit(&mut |param| f(param)))?;
            Network::Cam(net)
        }
        NetworkKind::Irn => {
            let net = IrNet::new(weights, backbone, 0.125)?;
            crate::golden::weights::fill(seed, |f| net.visit(&mut |param| f(param)))?;
            Network::Irn(net)
        }
        NetworkKind::Labels => anyhow::bail!("two networks"),
    };
    Ok((network, ModelInfo::new(kind, backbone.name, 0.125, classes)))
}
