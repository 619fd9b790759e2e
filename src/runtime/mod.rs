//! The two exported networks, run by ONNX Runtime.
//!
//! A model is opened once a worker (running needs `&mut`) and takes batches of normalised photos,
//! `(batch, 3, height, width)`. What surrounds the networks in upstream's inference, mirror images and
//! padding, stands beside them: [`cam_pair`], [`irn_pair`].

mod cam;
mod irn;

pub use self::cam::{CamModel, cam_pair, cam_pair_and_logits, mirror_pair};
pub use self::irn::{IrnModel, Padding, Relations, irn_pair};
pub use irn_export::ModelInfo;
