//! The device as a setting: `auto`, `cpu`, `cuda`, `cuda:1`, `cuda:0,2`.

use std::fmt;
use std::str::FromStr;

use anyhow::{Result, anyhow, ensure};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The wish.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// CUDA where it works, otherwise the processor; what it came to is said.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// These CUDA devices, by the driver's numbers (after `CUDA_VISIBLE_DEVICES`); all of them where empty.
    /// What uses one device takes the first.
    Cuda(Vec<u32>),
}

/// Where one session computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The processor.
    #[default]
    Cpu,
    /// A CUDA device by its number.
    Cuda(u32),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => write!(f, "CPU"),
            Self::Cuda(number) => write!(f, "CUDA {number}"),
        }
    }
}

impl FromStr for Device {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.trim() {
            "auto" => return Ok(Self::Auto),
            "cpu" => return Ok(Self::Cpu),
            "cuda" => return Ok(Self::Cuda(Vec::new())),
            _ => {}
        }
        let numbers = text.trim().strip_prefix("cuda:").map(numbers);
        match numbers.unwrap_or_else(|| Err(anyhow!("it is none of the words"))) {
            Ok(numbers) => Ok(Self::Cuda(numbers)),
            Err(error) => Err(anyhow!("`{text}` is no device ({error}): {FORMS}")),
        }
    }
}

const FORMS: &str = "take auto, cpu, cuda (all that are visible), cuda:1 or cuda:0,2";

/// The numbers of `0,2` or `0,cuda:2`.
fn numbers(text: &str) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for part in text.split(',') {
        let part = part.trim();
        let number = part.strip_prefix("cuda:").unwrap_or(part);
        let number = number.parse().map_err(|_| anyhow!("`{part}` is no number of a device"))?;
        ensure!(!found.contains(&number), "device {number} is named twice");
        found.push(number);
    }
    Ok(found)
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => write!(f, "auto"),
            Self::Cpu => write!(f, "cpu"),
            Self::Cuda(numbers) => {
                let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
                let colon = if numbers.is_empty() { "" } else { ":" };
                write!(f, "cuda{colon}{}", numbers.join(","))
            }
        }
    }
}

impl Serialize for Device {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// `cuda:0,2`, or `[cuda:0, cuda:2]`, or `[0, 2]`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Names(Vec<String>),
    Numbers(Vec<u32>),
}

impl<'de> Deserialize<'de> for Device {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer);
        let text = match written.map_err(|_: D::Error| de::Error::custom(FORMS))? {
            Written::Text(text) => text,
            Written::Names(names) if names.len() == 1 => names[0].clone(),
            Written::Names(names) => format!("cuda:{}", names.join(",")),
            Written::Numbers(numbers) => Self::Cuda(numbers).to_string(),
        };
        text.parse().map_err(|error: anyhow::Error| de::Error::custom(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Device, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn every_form_is_read() {
        let some = |numbers: &[u32]| Device::Cuda(numbers.to_vec());
        for (text, device) in [
            (r#""auto""#, Device::Auto),
            (r#""cpu""#, Device::Cpu),
            (r#""cuda""#, some(&[])),
            (r#""cuda:1""#, some(&[1])),
            (r#""cuda:0,2""#, some(&[0, 2])),
            (r#""cuda:0, cuda:2""#, some(&[0, 2])),
            (r#"["cuda:0", "cuda:2"]"#, some(&[0, 2])),
            (r#"["cuda:3"]"#, some(&[3])),
            (r#"["cpu"]"#, Device::Cpu),
            ("[0, 2]", some(&[0, 2])),
        ] {
            assert_eq!(read(text).unwrap(), device, "{text}");
            let written = serde_json::to_string(&device).unwrap();
            assert_eq!(read(&written).unwrap(), device, "{written}");
        }
    }

    #[test]
    fn other_words_are_refused_with_advice() {
        for text in [
            r#""gpu""#,
            r#""cuda:""#,
            r#""cuda:x""#,
            r#""cuda:-1""#,
            r#""cuda:0,0""#,
            r#"["cpu", "cuda:0"]"#,
            "3",
            "{}",
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains("cuda:0,2"), "{text}: {error}");
        }
        let twice = "cuda:1,1".parse::<Device>().unwrap_err();
        assert!(format!("{twice:#}").contains("twice"), "{twice:#}");
    }
}
