//! Instance and semantic masks from image-level labels: IRNet (Ahn, Cho, Kwak, CVPR 2019).
//!
//! The rooms, in the order the data passes them:
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | settings: defaults in code, YAML files, `key.path=value` overrides |
//! | [`data`] | data sets, photos, resizing, normalisation, augmentation, `.npy` files, demo scenes |
//! | [`train`] | the two training loops (feature `train`) |
//! | [`runtime`] | ONNX Runtime sessions of the two exported networks |
//! | [`label`] | the label engine: CRF, random walk, instances; arrays in, arrays out |
//! | [`store`] | the HDF5 store between the stages |
//! | [`stage`] | one file a stage: cam, ir_label, irn, sem_seg, ins_seg, eval |
//! | [`eval`] | mIoU, instance AP, COCO annotations |
//! | [`view`] | pictures and the report page |

pub mod cli;
pub mod config;
pub mod data;
pub mod eval;
pub mod label;
pub mod runtime;
pub mod stage;
pub mod store;
#[cfg(feature = "train")]
pub mod train;
pub mod view;

pub mod error;
pub mod interrupt;
pub mod log;
pub mod overlap;
#[cfg(feature = "train")]
pub mod pipeline;
pub mod progress;
pub mod timings;
mod vectors;

pub use error::Hint;
