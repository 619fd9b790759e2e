//! Types of the values that PyTorch stores.

use anyhow::{Context, Result};

/// Type of the values of a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Element {
    F16,
    Bf16,
    F32,
    F64,
    U8,
    I8,
    I16,
    I32,
    I64,
    Bool,
    Complex64,
    Complex128,
}

impl Element {
    /// That of a storage class, `FloatStorage` say.
    ///
    /// # Errors
    /// A class that is none of PyTorch's typed storages.
    pub fn of(class: &str) -> Result<Self> {
        let found = STORAGES.iter().find(|(name, _)| *name == class);
        Ok(found.with_context(|| format!("unknown storage type {class}"))?.1)
    }

    /// Bytes of one value.
    pub fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::F32 | Self::I32 => 4,
            Self::F64 | Self::I64 | Self::Complex64 => 8,
            Self::Complex128 => 16,
        }
    }

    /// Name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::Bool => "bool",
            Self::Complex64 => "complex64",
            Self::Complex128 => "complex128",
        }
    }
}

const STORAGES: [(&str, Element); 12] = [
    ("FloatStorage", Element::F32),
    ("DoubleStorage", Element::F64),
    ("HalfStorage", Element::F16),
    ("BFloat16Storage", Element::Bf16),
    ("LongStorage", Element::I64),
    ("IntStorage", Element::I32),
    ("ShortStorage", Element::I16),
    ("CharStorage", Element::I8),
    ("ByteStorage", Element::U8),
    ("BoolStorage", Element::Bool),
    ("ComplexFloatStorage", Element::Complex64),
    ("ComplexDoubleStorage", Element::Complex128),
];
