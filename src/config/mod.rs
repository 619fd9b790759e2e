//! Settings: the paper's values in code, a YAML file that says only what differs, and
//! `key.path=value` overrides last. An unknown key is refused by its full path.

mod method;
mod resolve;
mod types;

pub use method::{Method, Preset, described};
pub use resolve::{load, to_yaml};
pub use types::*;
