//! A record: what one stage knows of one image, as named arrays and short texts.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use half::f16;
use ndarray::{Array, ArrayD, Dimension};

use super::names::check_key;

/// The type of the elements of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 32-bit floating point.
    F32,
    /// 16-bit floating point.
    F16,
    /// Bytes: labels.
    U8,
    /// Truth values: masks.
    Bool,
    /// 64-bit integers: classes.
    I64,
}

/// An array of one of the types that the store keeps.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// 32-bit floating point.
    F32(ArrayD<f32>),
    /// 16-bit floating point.
    F16(ArrayD<f16>),
    /// Bytes: labels.
    U8(ArrayD<u8>),
    /// Truth values: masks.
    Bool(ArrayD<bool>),
    /// 64-bit integers: classes.
    I64(ArrayD<i64>),
}

impl Data {
    /// The type of the elements.
    pub fn kind(&self) -> Kind {
        match self {
            Self::F32(_) => Kind::F32,
            Self::F16(_) => Kind::F16,
            Self::U8(_) => Kind::U8,
            Self::Bool(_) => Kind::Bool,
            Self::I64(_) => Kind::I64,
        }
    }

    /// The extents.
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::F32(array) => array.shape(),
            Self::F16(array) => array.shape(),
            Self::U8(array) => array.shape(),
            Self::Bool(array) => array.shape(),
            Self::I64(array) => array.shape(),
        }
    }
}

macro_rules! from_array {
    ($($element:ty => $variant:ident),*) => {$(
        impl<D: Dimension> From<Array<$element, D>> for Data {
            fn from(array: Array<$element, D>) -> Self {
                Self::$variant(array.into_dyn())
            }
        }
    )*};
}
from_array!(f32 => F32, f16 => F16, u8 => U8, bool => Bool, i64 => I64);

/// Named arrays and short texts of one item.
#[derive(Clone, Debug, Default)]
pub struct Record {
    maps: BTreeMap<String, Data>,
    texts: BTreeMap<String, String>,
    /// Where it was read, for error messages.
    pub(super) origin: String,
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        self.maps == other.maps && self.texts == other.texts
    }
}

impl Record {
    /// An empty record.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an array, in the manner of a builder.
    pub fn with(mut self, key: &str, data: impl Into<Data>) -> Self {
        self.insert(key, data);
        self
    }

    /// Adds or replaces an array.
    pub fn insert(&mut self, key: &str, data: impl Into<Data>) {
        self.maps.insert(key.to_owned(), data.into());
    }

    /// Adds or replaces a short text, an attribute of the item in the file.
    pub fn insert_text(&mut self, key: &str, text: impl Into<String>) {
        self.texts.insert(key.to_owned(), text.into());
    }

    /// The arrays in the order of their names.
    pub fn maps(&self) -> &BTreeMap<String, Data> {
        &self.maps
    }

    /// The texts in the order of their names.
    pub fn texts(&self) -> &BTreeMap<String, String> {
        &self.texts
    }

    /// An array of any type.
    ///
    /// # Errors
    /// The record has none of this name.
    pub fn data(&self, key: &str) -> Result<&Data> {
        self.maps.get(key).with_context(|| {
            let known: Vec<&str> = self.maps.keys().map(String::as_str).collect();
            format!("{}no map `{key}`, only [{}]", self.place(), known.join(", "))
        })
    }

    /// A text.
    ///
    /// # Errors
    /// The record has none of this name.
    pub fn text(&self, key: &str) -> Result<&str> {
        let text = self.texts.get(key).map(String::as_str);
        text.with_context(|| format!("{}no text `{key}`", self.place()))
    }

    /// Floating point of either width, as 32 bits.
    ///
    /// # Errors
    /// No such map, another type, or another number of dimensions than `D`.
    pub fn f32<D: Dimension>(&self, key: &str) -> Result<Array<f32, D>> {
        match self.data(key)? {
            Data::F32(array) => self.fit(key, array.clone()),
            Data::F16(array) => self.fit(key, array.mapv(f32::from)),
            other => self.mismatch(key, other, "floating point"),
        }
    }

    /// Bytes.
    ///
    /// # Errors
    /// No such map, another type, or another number of dimensions than `D`.
    pub fn u8<D: Dimension>(&self, key: &str) -> Result<Array<u8, D>> {
        match self.data(key)? {
            Data::U8(array) => self.fit(key, array.clone()),
            other => self.mismatch(key, other, "bytes"),
        }
    }

    /// Truth values.
    ///
    /// # Errors
    /// No such map, another type, or another number of dimensions than `D`.
    pub fn bool<D: Dimension>(&self, key: &str) -> Result<Array<bool, D>> {
        match self.data(key)? {
            Data::Bool(array) => self.fit(key, array.clone()),
            other => self.mismatch(key, other, "truth values"),
        }
    }

    /// 64-bit integers.
    ///
    /// # Errors
    /// No such map, another type, or another number of dimensions than `D`.
    pub fn i64<D: Dimension>(&self, key: &str) -> Result<Array<i64, D>> {
        match self.data(key)? {
            Data::I64(array) => self.fit(key, array.clone()),
            other => self.mismatch(key, other, "64-bit integers"),
        }
    }

    /// Checks that every name can be written.
    ///
    /// # Errors
    /// See [`check_key`]; a text with a zero byte.
    pub(super) fn check(&self) -> Result<()> {
        self.maps.keys().chain(self.texts.keys()).try_for_each(|key| check_key(key))?;
        match self.texts.iter().find(|(_, text)| text.contains('\0')) {
            Some((key, _)) => bail!("the text `{key}` holds a zero byte"),
            None => Ok(()),
        }
    }

    fn fit<T, D: Dimension>(&self, key: &str, array: ArrayD<T>) -> Result<Array<T, D>> {
        let shape = array.shape().to_vec();
        array
            .into_dimensionality()
            .with_context(|| format!("{}map `{key}` has the shape {shape:?}", self.place()))
    }

    fn mismatch<T>(&self, key: &str, found: &Data, wanted: &str) -> Result<T> {
        bail!("{}map `{key}` holds {:?}, {wanted} needed", self.place(), found.kind())
    }

    fn place(&self) -> String {
        if self.origin.is_empty() { String::new() } else { format!("{}: ", self.origin) }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2, Array3, array};

    use super::*;

    #[test]
    fn getters_convert_and_name_what_they_miss() {
        let record = Record::new()
            .with("cam", Array3::from_elem((1, 2, 3), f16::from_f32(0.5)))
            .with("keys", array![3_i64]);
        let cam: Array3<f32> = record.f32("cam").unwrap();
        assert_eq!(cam, Array3::from_elem((1, 2, 3), 0.5));
        let keys: Array1<i64> = record.i64("keys").unwrap();
        assert_eq!(keys, array![3]);
        let error = record.data("kam").unwrap_err().to_string();
        assert_eq!(error, "no map `kam`, only [cam, keys]");
        assert!(record.f32::<ndarray::Ix1>("keys").unwrap_err().to_string().contains("I64"));
        let flat: Result<Array2<f32>> = record.f32("cam");
        assert!(flat.unwrap_err().to_string().contains("[1, 2, 3]"));
    }
}
