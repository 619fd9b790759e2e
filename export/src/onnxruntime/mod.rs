//! ONNX Runtime: loaded once a process, and sessions on the two networks' files.
//!
//! | module | what it holds |
//! |---|---|
//! | [`environment`] | the library, loaded once |
//! | [`options`] | how a session computes; the CUDA provider's settings |
//! | [`session`] | a network ready to run |
//! | [`bound`] | inputs and outputs in memory that a device reads and writes itself |
//! | [`placement`] | the proof of what ran where, from ONNX Runtime's own profile |

pub mod bound;
pub mod environment;
pub mod options;
pub mod placement;
pub mod session;

pub(crate) use self::environment::plain;
pub use self::options::SessionOptions;
pub(crate) use self::options::builder;
pub use self::session::{Pixel, Session};
