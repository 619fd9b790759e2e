//! The form a graph is to have: operator set, open or fixed sizes, precision, kind of input.

use anyhow::{Result, bail, ensure};
use irn_models::error::Hint;
use serde::{Deserialize, Serialize};

use crate::onnx::Dim;
use crate::trace::Extent;

/// Operator sets that can be written.
pub const OPSETS: std::ops::RangeInclusive<i64> = 13..=21;

/// What the numbers inside the graph are. Inputs and outputs are f32 always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floating point.
    #[default]
    F32,
    /// 16-bit floating point, group norms in 32 bits.
    F16,
    /// 8-bit whole numbers around convolutions, with ranges found on calibration photos.
    Int8,
}

/// What the graph is fed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Input {
    /// f32 `(batch, 3, height, width)`, normalised.
    #[default]
    Normalised,
    /// u8 `(batch, height, width, 3)`, RGB as photos are decoded.
    Rgb8,
}

/// The form of a graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Form {
    /// Version of the operator set, within [`OPSETS`].
    pub opset: i64,
    /// `[batch, height, width]`; open where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<[usize; 3]>,
    /// What the numbers are.
    #[serde(default)]
    pub precision: Precision,
    /// What it is fed.
    #[serde(default)]
    pub input: Input,
}

impl Default for Form {
    fn default() -> Self {
        let (precision, input) = Default::default();
        Self { opset: crate::onnx::OPSET, size: None, precision, input }
    }
}

impl Form {
    /// A form that can be written.
    ///
    /// # Errors
    /// An operator set out of range, an empty photo.
    pub fn validate(&self) -> Result<()> {
        if !OPSETS.contains(&self.opset) {
            let error = anyhow::anyhow!("operator set {} is not written", self.opset);
            return Err(error).hint("--opset takes 13 to 21");
        }
        if let Some([batch, height, width]) = self.size {
            ensure!(
                batch > 0 && height > 0 && width > 0,
                "photos of size {batch} of {height}x{width}"
            );
            ensure!(
                batch.saturating_mul(height).saturating_mul(width) <= 1 << 28,
                "{batch} of {height}x{width} is too large"
            );
        }
        Ok(())
    }

    /// Reads `HEIGHTxWIDTH` or `BATCHxHEIGHTxWIDTH`.
    ///
    /// # Errors
    /// Another text.
    pub fn parse_size(text: &str) -> Result<[usize; 3]> {
        let numbers: Result<Vec<usize>, _> = text.split('x').map(str::parse).collect();
        match numbers.as_deref() {
            Ok(&[height, width]) => Ok([1, height, width]),
            Ok(&[batch, height, width]) => Ok([batch, height, width]),
            _ => bail!("`{text}` is not of the form HEIGHTxWIDTH or BATCHxHEIGHTxWIDTH"),
        }
    }

    /// The version of the file format that goes with the operator set.
    pub fn ir_version(&self) -> i64 {
        match self.opset {
            ..15 => 7,
            15..19 => 8,
            19..21 => 9,
            _ => 10,
        }
    }

    /// Number of photos, or its name.
    pub fn batch(&self) -> Dim {
        self.size.map_or("batch".into(), |[batch, ..]| batch.into())
    }

    /// Height and width of a value.
    pub fn sides(&self, extent: Extent) -> [Dim; 2] {
        let side = |axis: usize, names: [&str; 2]| match (self.size, extent) {
            (Some(size), _) => extent.of(size[axis]).into(),
            (None, Extent::PHOTO) => Dim::from(names[1]),
            (None, Extent { divisor, factor: 1 }) => Dim::Param(format!("{}{divisor}", names[0])),
            (None, Extent { divisor, factor }) => {
                Dim::Param(format!("{}{divisor}x{factor}", names[0]))
            }
        };
        [side(1, ["h", "height"]), side(2, ["w", "width"])]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_checked() {
        assert_eq!(Form::parse_size("375x500").unwrap(), [1, 375, 500]);
        assert_eq!(Form::parse_size("2x375x500").unwrap(), [2, 375, 500]);
        assert!(Form::parse_size("375").is_err() && Form::parse_size("ax500").is_err());
        let form = |opset, size| Form { opset, size, ..Form::default() };
        assert!(form(12, None).validate().is_err() && form(22, None).validate().is_err());
        assert!(form(17, Some([1, 0, 5])).validate().is_err());
        assert!(form(21, Some([1, 9, 5])).validate().is_ok());
    }

    #[test]
    fn sides_follow_from_the_photo() {
        let extent = Extent { divisor: 16, factor: 4 };
        let open = Form::default();
        assert_eq!(open.sides(Extent::PHOTO), ["height", "width"].map(Dim::from));
        assert_eq!(open.sides(extent), ["h16x4", "w16x4"].map(Dim::from));
        let fixed = Form { size: Some([1, 33, 16]), ..Form::default() };
        assert_eq!(fixed.sides(extent), [12usize, 4].map(Dim::from));
    }
}
