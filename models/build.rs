//! With the feature `cuda`: compiles the kernels of `src/cuda/kernels` by nvcc, for all GPUs since Turing.

use std::path::PathBuf;
use std::process::Command;

/// What the program holds: machine code for Ampere (and its relatives) and Hopper, PTX for what is older or
/// newer, which the driver compiles when it loads it.
const TARGETS: [&str; 3] = [
    "arch=compute_75,code=compute_75",
    "arch=compute_80,code=sm_80",
    "arch=compute_90,code=[sm_90,compute_90]",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return;
    }
    for variable in ["NVCC", "CUDA_HOME"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    println!("cargo::rerun-if-changed=src/cuda/kernels");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    let mut nvcc = Command::new(compiler());
    nvcc.args(["-fatbin", "-O3", "-std=c++17", "-Werror", "all-warnings", "--compress-mode=size"]);
    for target in TARGETS {
        nvcc.args(["-gencode", target]);
    }
    nvcc.arg("-o").arg(out.join("kernels.fatbin")).arg("src/cuda/kernels/kernels.cu");
    match nvcc.status() {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("{nvcc:?} ended with {status}"),
        Err(error) => panic!("{nvcc:?}: {error}\nhint: `make cuda` has a compiler of its own"),
    }
}

fn compiler() -> PathBuf {
    let named = std::env::var_os("NVCC").map(PathBuf::from);
    let home = std::env::var_os("CUDA_HOME").map(|home| PathBuf::from(home).join("bin/nvcc"));
    named.or(home.filter(|path| path.exists())).unwrap_or_else(|| "nvcc".into())
}
