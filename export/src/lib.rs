//! The networks as ONNX files, and ONNX Runtime to run them.
//!
//! | module | what it holds |
//! |---|---|
//! | [`form`] | operator set, sizes, precision, input |
//! | [`external`] | weights in a file beside the model |
//! | [`info`] | what a model says about itself, sealed by a hash |
//! | [`device`] | CPU or GPU: what is wished, what is there, what came of it |
//! | [`locate`], [`onnxruntime`] | the shared library found and loaded; sessions |
//! | [`padded`] | the CAM network on a canvas larger than the photo |
//! | [`label_model`] | the graph from photo to mask, run |
//! | [`onnx`] | the messages of the file format |
//! | `graph`, `symbol`, `export` | a forward pass written down as a graph (feature `graph`, as all below) |
//! | `labels` | one graph from photo to mask |
//! | `quantize` | 8-bit models |
//! | `probe`, `verify` | Candle and ONNX Runtime compared; the first diverging node |
//! | `runtime_report` | what ONNX Runtime did with a model |
//! | `checkpoint`, `network`, `settings`, `cli` | the program `irn-export` |

pub mod device;
pub mod external;
pub mod form;
pub mod info;
pub mod label_model;
pub mod locate;
pub mod onnx;
pub mod onnxruntime;
pub mod padded;

#[cfg(feature = "graph")]
pub mod checkpoint;
#[cfg(feature = "graph")]
pub mod cli;
#[cfg(feature = "graph")]
pub mod export;
#[cfg(feature = "graph")]
mod folding;
#[cfg(feature = "graph")]
pub mod graph;
#[cfg(feature = "graph")]
pub mod labels;
#[cfg(feature = "graph")]
pub mod network;
#[cfg(feature = "graph")]
pub mod probe;
#[cfg(feature = "graph")]
pub mod quantize;
#[cfg(feature = "graph")]
pub mod runtime_report;
#[cfg(feature = "graph")]
pub mod settings;
#[cfg(feature = "graph")]
pub mod symbol;
pub mod trace;
#[cfg(feature = "graph")]
pub mod verify;

pub use self::{
    device::{Device, Place},
    info::{ModelInfo, NetworkKind},
    label_model::LabelModel,
    onnxruntime::{Session, SessionOptions},
};
#[cfg(feature = "graph")]
pub use self::{
    export::{export_cam, export_irn},
    symbol::Symbol,
};
