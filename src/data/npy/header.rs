//! The header of a `.npy` file (NumPy enhancement proposal 1): magic, version, and a Python dict
//! literal with element type, order and shape.

use anyhow::{Context, Result, bail, ensure};

const MAGIC: &[u8] = b"\x93NUMPY";

/// What the header says about the data behind it.
#[derive(Debug)]
pub struct Header {
    /// NumPy's name of the element type, `<f4` say.
    pub kind: String,
    pub fortran_order: bool,
    pub shape: Vec<usize>,
}

/// Splits a file into header and data.
pub fn parse(bytes: &[u8]) -> Result<(Header, &[u8])> {
    let rest = bytes.strip_prefix(MAGIC).context("not a .npy file")?;
    let version = *rest.first().context("truncated header")?;
    let (length, start) = match (version, rest) {
        (1, [_, _, a, b, ..]) => (usize::from(u16::from_le_bytes([*a, *b])), 4),
        (2 | 3, [_, _, a, b, c, d, ..]) => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, 6),
        (1..=3, _) => bail!("truncated header"),
        _ => bail!("version {version} of the .npy format is unknown"),
    };
    let body = &rest[start..];
    ensure!(body.len() >= length, "truncated header");
    let text = std::str::from_utf8(&body[..length]).context("the header is no text")?;
    let header = parse_literal(text).with_context(|| format!("header {}", text.trim_end()))?;
    Ok((header, &body[length..]))
}

/// The header text of version 1, padded so that the data starts at a multiple of 64.
pub fn text_of(kind: &str, shape: &[usize]) -> Vec<u8> {
    let sides: String = shape.iter().map(|side| format!("{side}, ")).collect();
    let sides = if shape.len() == 1 { sides.trim_end() } else { sides.trim_end_matches(", ") };
    let mut text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({sides}), }}");
    let unpadded = MAGIC.len() + 4 + text.len() + 1;
    text.push_str(&" ".repeat(unpadded.next_multiple_of(64) - unpadded));
    text.push('\n');
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

fn parse_literal(text: &str) -> Result<Header> {
    let kind = after_key(text, "descr")?;
    let kind = kind.strip_prefix('\'').context("'descr' is no plain type (structured array?)")?;
    let kind = kind.split('\'').next().unwrap_or_default().to_string();
    let fortran_order = match after_key(text, "fortran_order")? {
        rest if rest.starts_with("True") => true,
        rest if rest.starts_with("False") => false,
        _ => bail!("'fortran_order' is neither True nor False"),
    };
    let shape = after_key(text, "shape")?.strip_prefix('(').context("'shape' is no tuple")?;
    let (shape, _) = shape.split_once(')').context("'shape' is not closed")?;
    let sides = shape.split(',').map(str::trim).filter(|side| !side.is_empty());
    let shape = sides.map(|side| side.trim_end_matches('L').parse().context("'shape'"));
    Ok(Header { kind, fortran_order, shape: shape.collect::<Result<_>>()? })
}

/// What stands behind `'key':`.
fn after_key<'a>(text: &'a str, key: &str) -> Result<&'a str> {
    let quoted = format!("'{key}'");
    let (_, rest) = text.split_once(&quoted).with_context(|| format!("no {quoted}"))?;
    let rest =
        rest.trim_start().strip_prefix(':').with_context(|| format!("no colon after {quoted}"))?;
    Ok(rest.trim_start())
}
