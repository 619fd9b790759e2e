//! Settings: the paper's values in code, a YAML file that says only what differs, and
//! `key.path=value` overrides last. An unknown key is refused by its full path.

mod data;
mod infer;
mod method;
mod network;
mod resolve;
mod run;
mod stages;
mod types;

pub use method::{Method, Preset, described};
pub use resolve::{load, to_yaml};
pub use types::*;
