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

pub use cam::train_cam;
pub use irn::train_irn;
pub use network::calibrate_to as calibrate;
