//! `irn-export onnx`: the model written, and compared with Candle.

use std::path::Path;

use anyhow::{Context, Result};

use super::Common;
use super::form::FormArgs;
use crate::info::ModelInfo;
use crate::locate;
use crate::verify::verify;

/// Writes and compares; false where the file computes something else (it is not left behind then).
pub fn onnx(
    checkpoint: &Path,
    out: &Path,
    form: &FormArgs,
    no_verify: bool,
    common: &Common,
) -> Result<bool> {
    let plan = common.plan()?;
    if !no_verify {
        locate::library().context("comparing (all but --no-verify) needs ONNX Runtime")?;
    }
    let (network, info) = common.network(checkpoint)?;
    let info = ModelInfo { form: form.form()?, ..info };
    let bytes = form.quantized(network.export(&info)?, plan.threads)?;
    let megabytes = bytes.len() as f64 / 1e6;
    if !no_verify {
        let report = verify(&network, bytes.clone(), &plan)?;
        println!("{report}");
        if !report.passed() {
            eprintln!("error: {} was not written", out.display());
            return Ok(false);
        }
    }
    form.write(out, &bytes)?;
    let ModelInfo { network, backbone, classes, .. } = info;
    println!(
        "wrote {}: {network} network, {backbone}, {} classes, {megabytes:.1} MB",
        out.display(),
        classes.len()
    );
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use candle_core::Device;
    use irn_models::resnet::BACKBONES;
    use irn_models::{CamNet, Weights};

    use super::*;

    #[test]
    fn a_checkpoint_becomes_a_model_that_describes_itself() {
        let folder = tempfile::tempdir().unwrap();
        let [stored, model] = ["cam.safetensors", "cam.onnx"].map(|name| folder.path().join(name));
        let weights = &mut Weights::seeded(1, &Device::Cpu);
        let net = CamNet::new(weights, BACKBONES[0], 0.125, 2).unwrap();
        let mut tensors = HashMap::new();
        net.visit(&mut |param| drop(tensors.insert(param.name.clone(), param.tensor())));
        candle_core::safetensors::save(&tensors, &stored).unwrap();
        let classes = Some(vec!["cat".into(), "dog".into()]);
        let common = Common { classes, ..Common::default() };
        assert!(onnx(&stored, &model, &FormArgs::default(), true, &common).unwrap());
        let (info, _) = ModelInfo::read(&fs_err::read(&model).unwrap().into()).unwrap();
        assert_eq!((&*info.backbone, info.classes.join(" ")), ("resnet18", "cat dog".into()));
        let error =
            onnx(&stored, &model, &FormArgs::default(), true, &Common::default()).unwrap_err();
        assert!(format!("{error:#}").contains("cam.safetensors"), "{error:#}");
    }
}
