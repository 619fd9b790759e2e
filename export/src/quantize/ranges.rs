//! The range of every value that becomes a byte, over the calibration photos.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use irn_models::error::Hint;
use ndarray::Array4;
use prost::Message;

use crate::export::INPUT;
use crate::onnx::{ModelProto, ValueInfoProto};
use crate::onnxruntime::{Session, SessionOptions};

/// Lowest and highest value; both hold 0, which padding needs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Range {
    pub lowest: f32,
    pub highest: f32,
}

impl Range {
    /// Value per step and the byte that means 0.
    pub fn scale_and_zero(self) -> (f32, u8) {
        let scale = ((self.highest - self.lowest) / 255.0).max(1e-12);
        (scale, (-self.lowest / scale).round().clamp(0.0, 255.0) as u8)
    }

    fn widen(&mut self, values: impl Iterator<Item = f32>) {
        for value in values.filter(|value| value.is_finite()) {
            self.lowest = self.lowest.min(value);
            self.highest = self.highest.max(value);
        }
    }
}

/// Runs the model on all photos and keeps the range of each of `targets`.
pub fn ranges(
    model: &ModelProto,
    targets: &[String],
    photos: impl IntoIterator<Item = Result<Array4<f32>>>,
    threads: usize,
) -> Result<BTreeMap<String, Range>> {
    let computed: Vec<String> = targets.iter().filter(|name| *name != INPUT).cloned().collect();
    let mut probed = model.clone();
    let graph = probed.graph.as_mut().context("a model without a graph")?;
    for name in &computed {
        if graph.output.iter().all(|output| output.name != *name) {
            graph.output.push(ValueInfoProto { name: name.clone(), r#type: None });
        }
    }
    let options = SessionOptions { threads, ..SessionOptions::default() };
    let mut session = Session::unchecked(&probed.encode_to_vec(), computed.clone(), &options)?;
    let mut ranges: BTreeMap<String, Range> = BTreeMap::new();
    let mut count = 0;
    for photo in photos {
        let photo = photo?;
        ranges.entry(INPUT.into()).or_default().widen(photo.iter().copied());
        for (name, values) in computed.iter().zip(session.run(photo.view())?) {
            ranges.entry(name.clone()).or_default().widen(values.iter().copied());
        }
        count += 1;
    }
    ensure_some(count)?;
    Ok(ranges)
}

fn ensure_some(count: usize) -> Result<()> {
    let check = || -> Result<()> {
        ensure!(count > 0, "no photo to find ranges on");
        Ok(())
    };
    check().hint("--int8 takes a folder of photos like those the model will see; 32 are enough")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_a_byte_of_its_own() {
        let mut range = Range::default();
        range.widen([0.5, 2.55, f32::NAN].into_iter());
        assert_eq!(range.scale_and_zero(), (0.01, 0));
        range.widen([-2.55].into_iter());
        assert_eq!(range.scale_and_zero().1, 128);
        assert!(Range::default().scale_and_zero().0 > 0.0);
    }
}
