//! Settings of the networks' inference on a GPU: `infer.*`. On the processor they change nothing.

use serde::{Deserialize, Serialize};

/// What the numbers are while a network runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits, as in the original.
    #[default]
    F32,
    /// 32 bits, of which a GPU multiplies the first 19 (TensorFloat-32).
    Tf32,
    /// 16 bits: only of models that were exported with `irn-export onnx --half`; others are refused.
    F16,
}

impl Precision {
    /// Its name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::F16 => "f16",
        }
    }
}

/// Inference on a GPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InferConfig {
    /// What the numbers are.
    pub precision: Precision,
    /// Maps keep the channels of a pixel side by side.
    pub channels_last: bool,
    /// Sessions on each GPU: with 2 one photo is copied while another is computed, and the weights are there
    /// twice.
    pub sessions: usize,
    /// Most memory that one session's arena takes of a GPU, MiB; 0 for as much as there is.
    pub memory: usize,
    /// Photos and maps pass through page-locked memory, which stays from photo to photo.
    pub pinned: bool,
    /// Photos of the CAM network share canvases of few sizes; the maps are the same.
    pub canvas: bool,
}

impl Default for InferConfig {
    fn default() -> Self {
        Self {
            precision: Precision::F32,
            channels_last: false,
            sessions: 1,
            memory: 0,
            pinned: false,
            canvas: true,
        }
    }
}
