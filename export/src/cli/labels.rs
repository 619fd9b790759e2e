//! `irn-export onnx --graph labels`: both networks and all that leads from photo to mask in one file.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use irn_models::error::Hint;

use super::Common;
use super::form::FormArgs;
use crate::info::ModelInfo;
use crate::labels::{Part, export_labels};
use crate::network::Network;

/// Writes the graph of the CAM network `cam` and the IRNet that is the first of the other arguments.
pub fn labels(cam: &Path, out: &Path, form: &FormArgs, mut common: Common) -> Result<bool> {
    let irn = second(&mut common)
        .hint("irn-export onnx --graph labels CAM.safetensors IRN.safetensors --out labels.onnx")?;
    let settings = common.settings()?.labels;
    let form_of = |info| Ok::<_, anyhow::Error>(ModelInfo { form: form.form_of_labels()?, ..info });
    let (cam_net, cam_info) = common.network(cam)?;
    let (irn_net, irn_info) = Common::default().network(&irn)?;
    let (cam_info, irn_info) = (form_of(cam_info)?, form_of(irn_info)?);
    let (Network::Cam(cam_net), Network::Irn(irn_net)) = (&cam_net, &irn_net) else {
        bail!("{} and {} are not a CAM network and an IRNet", cam.display(), irn.display());
    };
    let cam = Part { net: cam_net, info: &cam_info };
    let irn = Part { net: irn_net, info: &irn_info };
    let bytes = export_labels(&cam, &irn, &settings)?;
    form.write(out, &bytes)?;
    println!(
        "wrote {}: photo to semantic mask, {} classes, scales {:?}, {:.1} MB",
        out.display(),
        cam_info.classes.len(),
        settings.scales,
        bytes.len() as f64 / 1e6
    );
    Ok(true)
}

/// Takes the second checkpoint out of the arguments behind the first.
fn second(common: &mut Common) -> Result<PathBuf> {
    match common.overrides.first() {
        Some(path) if !path.contains('=') || Path::new(path).exists() => {
            Ok(common.overrides.remove(0).into())
        }
        _ => bail!("--graph labels takes two checkpoints, that of the IRNet is missing"),
    }
}
