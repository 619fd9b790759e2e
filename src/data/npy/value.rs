//! What a pickled `.npy` file holds.

use anyhow::{Context, Result, bail};

use super::Array;

/// A Python object of the kinds that label and CAM files consist of.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names are Python's")]
pub enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    Tuple(Vec<Value>),
    List(Vec<Value>),
    /// In the file's order.
    Dict(Vec<(Value, Value)>),
    Array(Array),
}

impl Value {
    /// The entries of a dict.
    ///
    /// # Errors
    /// Anything else.
    pub fn entries(&self) -> Result<&[(Value, Value)]> {
        match self {
            Self::Dict(entries) => Ok(entries),
            other => bail!("a dict expected, not {}", other.what()),
        }
    }

    /// The value of a text key of a dict, if there.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let Self::Dict(entries) = self else { return None };
        let is_key = |name: &Value| matches!(name, Self::Str(name) if name == key);
        entries.iter().find(|(name, _)| is_key(name)).map(|(_, value)| value)
    }

    /// The array under a text key of a dict.
    ///
    /// # Errors
    /// No such key, or no array there.
    pub fn array(&self, key: &str) -> Result<&Array> {
        match self.get(key).with_context(|| format!("no key \"{key}\""))? {
            Self::Array(array) => Ok(array),
            other => bail!("\"{key}\" is {}, not an array", other.what()),
        }
    }

    /// The kind of value, for messages.
    pub fn what(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a truth value",
            Self::Int(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Str(_) => "text",
            Self::Tuple(_) => "a tuple",
            Self::List(_) => "a list",
            Self::Dict(_) => "a dict",
            Self::Array(_) => "an array",
        }
    }
}
