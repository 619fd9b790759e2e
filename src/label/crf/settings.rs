//! Settings of the dense CRF; the defaults are upstream's.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

/// Kernels, confidence and steps of the dense CRF.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CrfSettings {
    /// Standard deviation of the Gaussian kernel, pixels.
    pub gaussian_xy: f32,
    /// Weight of the Gaussian kernel.
    pub gaussian_weight: f32,
    /// Standard deviation of the bilateral kernel, pixels.
    pub bilateral_xy: f32,
    /// Standard deviation of the bilateral kernel, grey levels (0-255) of each colour.
    pub bilateral_rgb: f32,
    /// Weight of the bilateral kernel.
    pub bilateral_weight: f32,
    /// How likely the given label of a pixel is right; the rest is shared by the other labels.
    pub confidence: f32,
    /// Mean-field steps.
    pub steps: usize,
}

impl Default for CrfSettings {
    fn default() -> Self {
        Self {
            gaussian_xy: 3.0,
            gaussian_weight: 3.0,
            bilateral_xy: 50.0,
            bilateral_rgb: 5.0,
            bilateral_weight: 10.0,
            confidence: 0.7,
            steps: 10,
        }
    }
}

impl CrfSettings {
    /// Checks that the field can be computed.
    ///
    /// # Errors
    /// A deviation below 0.05, a weight that is negative or above 1000, a confidence not between 0 and
    /// 1; NaN and infinities.
    pub fn check(&self) -> Result<()> {
        let deviations = [
            ("gaussian_xy", self.gaussian_xy),
            ("bilateral_xy", self.bilateral_xy),
            ("bilateral_rgb", self.bilateral_rgb),
        ];
        for (name, value) in deviations {
            ensure!((0.05..=1e6).contains(&value), "crf {name} is {value}, not 0.05 to 1e6");
        }
        let weights = [
            ("gaussian_weight", self.gaussian_weight),
            ("bilateral_weight", self.bilateral_weight),
        ];
        for (name, value) in weights {
            ensure!((0.0..=1000.0).contains(&value), "crf {name} is {value}, not 0 to 1000");
        }
        let confidence = self.confidence;
        let inside = confidence > 0.0 && confidence < 1.0;
        ensure!(inside, "crf confidence is {confidence}, not between 0 and 1");
        Ok(())
    }

    /// By how much the energy of a pixel's given label is below that of the `classes` others.
    pub(super) fn margin(&self, classes: usize) -> f32 {
        let given = f64::from(self.confidence);
        let other = (1.0 - given) / classes.max(1) as f64;
        (given.ln() - other.ln()) as f32
    }
}
