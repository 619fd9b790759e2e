//! Where parameters come from: a checkpoint, or a seeded start.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Result, Tensor, bail};

/// How a parameter starts that no checkpoint holds.
#[derive(Clone, Copy, Debug)]
pub enum Init {
    /// All zeros.
    Zero,
    /// All ones.
    One,
    /// All the same.
    Constant(f64),
    /// PyTorch's default for convolutions: uniform within `1 / sqrt(fan_in)` of zero.
    Uniform {
        /// `c_in * kernel * kernel`.
        fan_in: usize,
    },
    /// He et al. 2015: normal with variance `2 / fan_out`.
    Normal {
        /// `c_out * kernel * kernel`.
        fan_out: usize,
    },
}

/// Tensors by name, taken out one by one while a network is built.
///
/// What is left afterwards was unexpected, what had to be started afresh was missing: both are lists
/// that the caller looks at.
#[derive(Debug)]
pub struct Weights {
    stored: BTreeMap<String, Tensor>,
    /// Names that were started afresh.
    pub missing: Vec<String>,
    device: Device,
    seed: u64,
}

impl Weights {
    /// Nothing stored: every parameter starts from `seed` and its own name.
    pub fn seeded(seed: u64, device: &Device) -> Self {
        Self::stored(BTreeMap::new(), seed, device)
    }

    /// The tensors of a checkpoint; `seed` starts what it lacks.
    pub fn stored(stored: BTreeMap<String, Tensor>, seed: u64, device: &Device) -> Self {
        Self { stored, missing: Vec::new(), device: device.clone(), seed }
    }

    /// The tensor `name` as f32 on the device.
    ///
    /// # Errors
    /// A stored tensor whose shape is not `shape`.
    pub fn take(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Tensor> {
        let Some(tensor) = self.stored.remove(name) else {
            self.missing.push(name.to_string());
            return start(self.seed, name, shape, init, &self.device);
        };
        if tensor.dims() != shape {
            bail!("parameter {name} has shape {:?}, the network needs {shape:?}", tensor.dims());
        }
        tensor.to_dtype(DType::F32)?.to_device(&self.device)
    }

    /// Names that no layer asked for.
    pub fn unexpected(&self) -> Vec<String> {
        self.stored.keys().cloned().collect()
    }
}

/// A start that depends on the seed and the parameter's name alone, not on the order of construction.
fn start(seed: u64, name: &str, shape: &[usize], init: Init, device: &Device) -> Result<Tensor> {
    started(seed, name, shape, init, &Device::Cpu)?.to_device(device)
}

fn started(seed: u64, name: &str, shape: &[usize], init: Init, device: &Device) -> Result<Tensor> {
    match init {
        Init::Zero => Tensor::zeros(shape, DType::F32, device),
        Init::One => Tensor::ones(shape, DType::F32, device),
        Init::Constant(value) => Tensor::full(value as f32, shape, device),
        Init::Uniform { fan_in } => {
            let (state, bound) = (splitmix::state(seed, name), (fan_in as f64).sqrt().recip());
            let uniform = (0..).map(|i| bound * (2.0 * splitmix::uniform(state, i) - 1.0));
            filled(uniform, shape, device)
        }
        Init::Normal { fan_out } => {
            let deviation = (2.0 / fan_out as f64).sqrt();
            let normal = normals(splitmix::state(seed, name)).map(|z| z * deviation);
            filled(normal, shape, device)
        }
    }
}

fn filled(values: impl Iterator<Item = f64>, shape: &[usize], device: &Device) -> Result<Tensor> {
    let count = shape.iter().product();
    let values: Vec<f32> = values.take(count).map(|value| value as f32).collect();
    Tensor::from_vec(values, shape, device)
}

/// Standard normal numbers by Box and Muller.
fn normals(state: u64) -> impl Iterator<Item = f64> {
    (0u64..).flat_map(move |pair| {
        let radius = (-2.0 * (1.0 - splitmix::uniform(state, 2 * pair)).ln()).sqrt();
        let angle = std::f64::consts::TAU * splitmix::uniform(state, 2 * pair + 1);
        [radius * angle.cos(), radius * angle.sin()]
    })
}

/// Numbers from a name and a counter: any of them without the ones before.
pub mod splitmix {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

    /// FNV-1a of the name, mixed with the seed.
    pub fn state(seed: u64, name: &str) -> u64 {
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        name.bytes().fold(0xcbf2_9ce4_8422_2325, step) ^ seed.wrapping_mul(GOLDEN)
    }

    /// The number of index `i`, 64 bits.
    pub fn bits(state: u64, i: u64) -> u64 {
        let mut z = state.wrapping_add(i.wrapping_add(1).wrapping_mul(GOLDEN));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// The number of index `i` as a multiple of `2^-24` in `[0, 1)`.
    pub fn uniform(state: u64, i: u64) -> f64 {
        (bits(state, i) >> 40) as f64 / f64::from(1u32 << 24)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn known_values() {
            assert_eq!(bits(0, 0), 0xe220_a839_7b1d_cdaf);
            assert_eq!(bits(0, 1), 0x6e78_9e6a_a1b9_65f4);
            assert_eq!(bits(0, 2), 0x06c4_5d18_8009_454f);
            assert_eq!(state(0, "resnet50.conv1.weight"), 0x40f8_87f1_3592_b98c);
        }
    }
}
