//! The two exported networks, run by ONNX Runtime.
//!
//! A model is opened once a worker (running needs `&mut`, see [`Workers`]) and takes batches of normalised photos,
//! `(batch, 3, height, width)`. What surrounds the networks in upstream's inference, mirror images and
//! padding, stands beside them: [`cam_maps`], [`irn_relations`].

mod cam;
mod canvas;
mod irn;
mod workers;

pub use self::cam::{CamModel, cam_maps, cam_pair, mirror_pair};
pub use self::canvas::canvas;
pub use self::irn::{IrnModel, Padding, Relations, irn_pair, irn_relations};
pub use self::workers::{Lent, Workers, shares};
pub use irn_export::{ModelInfo, SessionOptions};
