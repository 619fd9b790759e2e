//! What a checkpoint's network computes with Candle, for other runtimes to be compared with.
//!
//! `reference CHECKPOINT CASES OUT`: for every folder `CASES/NAME` with `image.npy`, f32
//! `(batch, 3, height, width)`, writes both outputs to `OUT/NAME` as npy files and tells the time.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use candle_core::Tensor;
use irn_export::checkpoint;
use irn_export::network::{Network, Overrides};

fn main() -> Result<()> {
    let [checkpoint, cases, out] =
        &std::env::args().skip(1).map(PathBuf::from).collect::<Vec<_>>()[..]
    else {
        bail!("usage: reference CHECKPOINT CASES OUT");
    };
    let (tensors, known) = checkpoint::load(checkpoint)?;
    let (network, _) = Network::build(tensors, known, &Overrides::default())?;
    for entry in fs_err::read_dir(cases)? {
        let case = entry?.path();
        let name = case.file_name().context("a folder's entry has a name")?;
        let milliseconds = run(&network, &case, &out.join(name))?;
        println!("{{\"case\": {name:?}, \"ms\": {milliseconds:.3}}}");
    }
    Ok(())
}

/// Writes the outputs; the least time of three.
fn run(network: &Network, case: &Path, out: &Path) -> Result<f64> {
    let image = Tensor::read_npy(case.join("image.npy"))?;
    let mut least = f64::INFINITY;
    let mut outputs = Vec::new();
    for _ in 0..3 {
        let start = Instant::now();
        outputs = forward(network, &image)?;
        least = least.min(start.elapsed().as_secs_f64() * 1e3);
    }
    fs_err::create_dir_all(out)?;
    for (name, output) in network.kind().outputs().iter().zip(outputs) {
        output.contiguous()?.write_npy(out.join(format!("{name}.npy")))?;
    }
    Ok(least)
}

/// The outputs in the order of `NetworkKind::outputs`.
fn forward(network: &Network, image: &Tensor) -> Result<Vec<Tensor>> {
    Ok(match network {
        Network::Cam(net) => {
            let scores = net.forward(image)?;
            let logits = scores.mean((2, 3))?;
            vec![scores, logits]
        }
        Network::Irn(net) => {
            let relations = net.forward_eval(image)?;
            vec![relations.edge, relations.displacement]
        }
    })
}
