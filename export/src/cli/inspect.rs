//! `irn-export inspect`: what a checkpoint is, what it holds, and what it lacks for which network.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use candle_core::{Device, Tensor};
use irn_models::checkpoint::{self, Contents, Stored};
use irn_models::{Backbone, CamNet, IrNet, ResNet, Weights};
use serde_json::{Value, json};

use crate::network::backbone_of;

/// Names printed of what is missing or unexpected.
const NAMES: usize = 8;

/// How a checkpoint fits one network.
struct Fit {
    network: &'static str,
    missing: Vec<String>,
    unexpected: Vec<String>,
    /// A parameter of another shape.
    misfit: Option<String>,
}

impl Fit {
    fn is_whole(&self) -> bool {
        self.missing.is_empty() && self.misfit.is_none()
    }
}

/// Prints what `path` is; true where some network can be built from it.
pub fn inspect(path: &Path, as_json: bool) -> Result<bool> {
    let contents = checkpoint::contents(path)?;
    let fits = match contents.tensors.iter().any(|stored| stored.ours.is_some()) {
        true => fits(&checkpoint::load(path)?.tensors),
        false => Vec::new(),
    };
    match as_json {
        true => println!("{}", serde_json::to_string_pretty(&value(&contents, &fits))?),
        false => print(path, &contents, &fits),
    }
    Ok(fits.iter().any(Fit::is_whole))
}

fn fits(tensors: &BTreeMap<String, Tensor>) -> Vec<Fit> {
    let Ok((backbone, width)) = backbone_of(tensors) else { return Vec::new() };
    let classes = tensors.get("classifier.weight").and_then(|tensor| tensor.dim(0).ok());
    let backbone_alone =
        |w: &mut Weights, backbone| ResNet::new(w, "resnet50", backbone, width, 0).map(drop);
    let cam = |w: &mut Weights, backbone| {
        CamNet::new(w, backbone, width, classes.unwrap_or(20)).map(drop)
    };
    let irn = |w: &mut Weights, backbone| IrNet::new(w, backbone, width).map(drop);
    let fit = |network, build: &dyn Fn(&mut Weights, Backbone) -> candle_core::Result<()>| {
        let mut weights = Weights::stored(tensors.clone(), 0, &Device::Cpu);
        let misfit = build(&mut weights, backbone).err().map(|error| error.to_string());
        let (missing, unexpected) = (weights.missing.clone(), weights.unexpected());
        Fit { network, missing, unexpected, misfit }
    };
    vec![fit("CAM network", &cam), fit("IRNet", &irn), fit("ImageNet backbone", &backbone_alone)]
}

/// The network that a checkpoint is: whole, with the fewest tensors left over.
fn identity(fits: &[Fit]) -> Option<&Fit> {
    fits.iter().filter(|fit| fit.is_whole()).min_by_key(|fit| fit.unexpected.len())
}

fn value(contents: &Contents, fits: &[Fit]) -> Value {
    let stored = |stored: &Stored| {
        let Stored { name, dims, dtype, ours } = stored;
        json!({ "name": name, "shape": dims, "dtype": dtype, "ours": ours })
    };
    let fit = |fit: &Fit| {
        let Fit { network, missing, unexpected, misfit } = fit;
        json!({ "network": network, "missing": missing, "unexpected": unexpected, "misfit": misfit })
    };
    json!({
        "form": contents.form,
        "network": identity(fits).map(|fit| fit.network),
        "metadata": contents.metadata,
        "fits": fits.iter().map(fit).collect::<Vec<_>>(),
        "tensors": contents.tensors.iter().map(stored).collect::<Vec<_>>(),
    })
}

fn print(path: &Path, contents: &Contents, fits: &[Fit]) {
    for Stored { name, dims, dtype, ours } in &contents.tensors {
        let ours = match ours {
            None => "  (not used)".to_string(),
            Some(ours) if ours == name => String::new(),
            Some(ours) => format!("  = {ours}"),
        };
        println!("{name}  {dtype} {dims:?}{ours}");
    }
    let parameters: usize = {
        let mut sizes = BTreeMap::new();
        for stored in contents.tensors.iter().filter(|stored| stored.ours.is_some()) {
            sizes.insert(&stored.ours, stored.dims.iter().product::<usize>());
        }
        sizes.values().sum()
    };
    println!("{}: {}, {} names", path.display(), contents.form, contents.tensors.len());
    let what = identity(fits).map_or("no whole network", |fit| fit.network);
    println!("{what}, {parameters} values");
    if let Some(metadata) = &contents.metadata {
        let checkpoint::Metadata { network, backbone, width, classes, .. } = metadata;
        println!("says: {network}, {backbone}, width {width}, classes {}", classes.join(", "));
    }
    for Fit { network, missing, unexpected, misfit } in fits {
        println!("as {network}: missing {}; unexpected {}", listed(missing), listed(unexpected));
        if let Some(misfit) = misfit {
            println!("  {misfit}");
        }
    }
}

fn listed(names: &[String]) -> String {
    match names.len() {
        0 => "nothing".into(),
        n if n <= NAMES => names.join(", "),
        n => format!("{n} ({}, ...)", names[..NAMES].join(", ")),
    }
}
