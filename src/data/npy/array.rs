//! Typed arrays and their bytes.

use anyhow::{Context, Result, bail, ensure};
use ndarray::{ArrayD, IxDyn, ShapeBuilder};

use super::Value;

/// A NumPy array. Other element types are widened: small integers to `I64`, half to `F32`.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Array {
    F32(ArrayD<f32>),
    F64(ArrayD<f64>),
    I64(ArrayD<i64>),
    U8(ArrayD<u8>),
    Bool(ArrayD<bool>),
}

impl Array {
    /// Number of elements along each axis.
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::F32(array) => array.shape(),
            Self::F64(array) => array.shape(),
            Self::I64(array) => array.shape(),
            Self::U8(array) => array.shape(),
            Self::Bool(array) => array.shape(),
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape().iter().product()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values as f32, rounded where f64.
    pub fn to_f32(&self) -> ArrayD<f32> {
        match self {
            Self::F32(array) => array.clone(),
            Self::F64(array) => array.mapv(|v| v as f32),
            Self::I64(array) => array.mapv(|v| v as f32),
            Self::U8(array) => array.mapv(f32::from),
            Self::Bool(array) => array.mapv(|v| f32::from(u8::from(v))),
        }
    }

    /// The values as i64.
    ///
    /// # Errors
    /// Values that are no whole numbers.
    pub fn to_i64(&self) -> Result<ArrayD<i64>> {
        let whole = |v: f64| v.fract() == 0.0 && v.abs() < 9e15;
        match self {
            Self::I64(array) => Ok(array.clone()),
            Self::U8(array) => Ok(array.mapv(i64::from)),
            Self::Bool(array) => Ok(array.mapv(i64::from)),
            Self::F32(_) | Self::F64(_) => {
                let array = match self {
                    Self::F64(array) => array.clone(),
                    _ => self.to_f32().mapv(f64::from),
                };
                ensure!(array.iter().all(|&v| whole(v)), "whole numbers expected");
                Ok(array.mapv(|v| v as i64))
            }
        }
    }
}

/// Element type of an array as NumPy names it, without the byte order.
#[derive(Clone, Debug, PartialEq)]
pub struct Kind {
    /// `f`, `i`, `u`, `b`, `U`, `S` or `O`.
    pub letter: char,
    /// Bytes per element (characters for `U`).
    pub size: usize,
    pub big_endian: bool,
}

impl Kind {
    /// Reads `<f4`, `|b1`, `i8`, `U11`, `O` and the like.
    pub fn parse(text: &str) -> Result<Self> {
        let big_endian = text.starts_with('>');
        let name = text.trim_start_matches(['<', '>', '|', '=']);
        let mut letters = name.chars();
        let letter = letters.next().context("an element type without a name")?;
        let size = match letters.as_str() {
            "" => 1,
            digits => digits.parse().with_context(|| format!("element type {text}"))?,
        };
        let known = match letter {
            'f' => matches!(size, 2 | 4 | 8),
            'i' | 'u' => matches!(size, 1 | 2 | 4 | 8),
            'b' => size == 1,
            'U' | 'S' => size <= 1 << 16,
            'O' => true,
            _ => false,
        };
        ensure!(known, "element type {text} is not supported");
        Ok(Self { letter, size, big_endian })
    }

    /// Bytes one element takes in a file.
    fn bytes(&self) -> usize {
        if self.letter == 'U' { 4 * self.size } else { self.size }
    }
}

/// Turns the bytes of an array into values; text arrays become (lists of) strings.
pub fn decode(kind: &Kind, shape: &[usize], fortran_order: bool, data: &[u8]) -> Result<Value> {
    let count = shape.iter().try_fold(1usize, |n, &side| n.checked_mul(side));
    let expected = count.and_then(|count| count.checked_mul(kind.bytes()));
    let expected = expected.with_context(|| format!("shape {shape:?} is too large"))?;
    let data = data.get(..expected).with_context(|| {
        format!("truncated: shape {shape:?} takes {expected} bytes, the file has {}", data.len())
    })?;
    // With no bytes behind it a shape such as (0, 2^62) costs nothing but may overflow later.
    ensure!(shape.len() <= 32 && shape.iter().all(|&side| side < 1 << 40), "shape {shape:?}");
    let reader = Reader { kind, shape, fortran_order, data };
    Ok(match (kind.letter, kind.size) {
        ('f', 2) => Value::Array(Array::F32(
            reader.array(|b: [u8; 2]| half::f16::from_bits(u16::from_le_bytes(b)).to_f32())?,
        )),
        ('f', 4) => Value::Array(Array::F32(reader.array(f32::from_le_bytes)?)),
        ('f', 8) => Value::Array(Array::F64(reader.array(f64::from_le_bytes)?)),
        ('b', 1) => Value::Array(Array::Bool(reader.array(|[b]: [u8; 1]| b != 0)?)),
        ('u', 1) => Value::Array(Array::U8(reader.array(|[b]: [u8; 1]| b)?)),
        ('i' | 'u', _) => Value::Array(Array::I64(integers(&reader)?)),
        ('U' | 'S', _) => texts(kind, shape, data),
        _ => bail!("element type {}{} holds no numbers", kind.letter, kind.size),
    })
}

fn integers(reader: &Reader) -> Result<ArrayD<i64>> {
    match (reader.kind.letter, reader.kind.size) {
        ('i', 1) => reader.array(|b| i64::from(i8::from_le_bytes(b))),
        ('i', 2) => reader.array(|b| i64::from(i16::from_le_bytes(b))),
        ('i', 4) => reader.array(|b| i64::from(i32::from_le_bytes(b))),
        ('i', 8) => reader.array(i64::from_le_bytes),
        ('u', 2) => reader.array(|b| i64::from(u16::from_le_bytes(b))),
        ('u', 4) => reader.array(|b| i64::from(u32::from_le_bytes(b))),
        _ => {
            let values = reader.array(u64::from_le_bytes)?;
            let fits = values.iter().all(|&v| i64::try_from(v).is_ok());
            ensure!(fits, "an unsigned number above 2^63");
            Ok(values.mapv(|v| v as i64))
        }
    }
}

/// A single string for shape (), else a flat list.
fn texts(kind: &Kind, shape: &[usize], data: &[u8]) -> Value {
    let one = |bytes: &[u8]| {
        let text: String = match kind.letter {
            'U' => bytes.as_chunks::<4>().0.iter().map(|b| code_point(*b, kind)).collect(),
            _ => String::from_utf8_lossy(bytes).into_owned(),
        };
        Value::Str(text.trim_end_matches('\0').to_string())
    };
    match shape {
        [] => one(data),
        _ => Value::List(data.chunks_exact(kind.bytes().max(1)).map(one).collect()),
    }
}

fn code_point(bytes: [u8; 4], kind: &Kind) -> char {
    let code = match kind.big_endian {
        true => u32::from_be_bytes(bytes),
        false => u32::from_le_bytes(bytes),
    };
    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
}

struct Reader<'a> {
    kind: &'a Kind,
    shape: &'a [usize],
    fortran_order: bool,
    data: &'a [u8],
}

impl Reader<'_> {
    fn array<T: Clone, const N: usize>(&self, decode: impl Fn([u8; N]) -> T) -> Result<ArrayD<T>> {
        let in_order = |mut bytes: [u8; N]| {
            if self.kind.big_endian {
                bytes.reverse();
            }
            decode(bytes)
        };
        let values = self.data.as_chunks::<N>().0.iter().map(|bytes| in_order(*bytes)).collect();
        let shape = IxDyn(self.shape).set_f(self.fortran_order);
        let array = ArrayD::from_shape_vec(shape, values)?;
        // Callers index and iterate row by row.
        Ok(if self.fortran_order { array.as_standard_layout().into_owned() } else { array })
    }
}
