//! A mask as COCO files spell it: polygons, run lengths as numbers, or as compressed text.

use std::fmt;

use anyhow::{Result, bail, ensure};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::raster;
use super::rle::Rle;

/// One of the three spellings, as read.
#[derive(Clone, Debug, PartialEq)]
pub enum Outline {
    /// x, y, x, y, ... of each part.
    Polygons(Vec<Vec<f64>>),
    /// Size and counts.
    Runs(Runs),
}

/// Run lengths and the size they are for.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Runs {
    /// Height, width.
    size: [usize; 2],
    counts: Counts,
}

#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
#[serde(untagged)]
enum Counts {
    Text(String),
    Numbers(Vec<u32>),
}

impl Outline {
    /// The mask in an image of this size, as pycocotools' `annToRLE`.
    ///
    /// # Errors
    /// Run lengths of another size or broken ones, polygons that are none.
    pub fn encode(&self, height: usize, width: usize) -> Result<Rle> {
        match self {
            Self::Polygons(polygons) if polygons.is_empty() => bail!("a mask without any polygon"),
            Self::Polygons(polygons) => raster::encode(polygons, height, width),
            Self::Runs(Runs { size, counts }) => {
                let expected = [height, width];
                ensure!(*size == expected, "run lengths for {size:?} in an image of {expected:?}");
                match counts {
                    Counts::Text(text) => Rle::from_text(height, width, text),
                    Counts::Numbers(counts) => Rle::from_counts(height, width, counts.clone()),
                }
            }
        }
    }
}

impl<'de> Deserialize<'de> for Outline {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Spelling)
    }
}

/// Tells polygons (a list) from run lengths (an object) without keeping the text of either.
struct Spelling;

impl<'de> Visitor<'de> for Spelling {
    type Value = Outline;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of polygons or an object with size and counts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, parts: A) -> Result<Outline, A::Error> {
        let polygons = Deserialize::deserialize(SeqAccessDeserializer::new(parts));
        polygons.map(Outline::Polygons)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Outline, A::Error> {
        Deserialize::deserialize(MapAccessDeserializer::new(map)).map(Outline::Runs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Outline {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn three_spellings_of_one_mask() {
        let polygons = parsed("[[1, 1, 5, 1, 5, 4, 1, 4.0]]").encode(6, 8).unwrap();
        let text = format!(r#"{{"size": [6, 8], "counts": {:?}}}"#, polygons.text());
        let numbers = format!(r#"{{"counts": {:?}, "size": [6, 8]}}"#, polygons.counts());
        assert_eq!(parsed(&text).encode(6, 8).unwrap(), polygons);
        assert_eq!(parsed(&numbers).encode(6, 8).unwrap(), polygons);
    }

    #[test]
    fn impossible_masks_are_errors() {
        for text in ["[]", "[[1, 2, 3, 4]]", r#"{"size": [2, 2], "counts": [4]}"#] {
            assert!(parsed(text).encode(6, 8).is_err(), "{text}");
        }
        assert!(serde_json::from_str::<Outline>("3").is_err());
    }
}
