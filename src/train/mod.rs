//! Training of both networks: the original's optimizer, samples and loop (ALGORITHMS section 5).
//!
//! One visible loop ([`fit`]) serves both; what differs is a [`fit::Task`].

pub mod cam;
pub mod fit;
pub mod irn;
pub mod machine;

pub mod network;
pub mod optimizer;
pub mod samples;
pub mod state;

use std::collections::BTreeMap;

pub use cam::train_cam;
pub use irn::train_irn;
pub use network::calibrate_to as calibrate;

/// What came of a training.
#[derive(Debug, Default)]
pub struct Trained {
    /// The images that could not be used, with reasons.
    pub skipped: BTreeMap<String, String>,
    /// What it ran on; nothing where it was finished before.
    pub device: String,
}
