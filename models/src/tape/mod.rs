//! A tape for training steps: what a forward pass did, layer by layer, and the way back.
//!
//! Candle's own starts every gradient as a map of zeros and adds to it, computes what is thrown away, and
//! keeps all maps until the end. Here a gradient is handed from an operation to the one before (only where
//! paths join is there a sum), and an operation's maps go as soon as it has been passed backwards. Where the
//! maps live is the [`Engine`]'s business.

mod engine;
mod processor;
mod record;

pub use self::engine::{Engine, Inputs, Shape, Wanted, put};
pub use self::processor::{Map, Processor};
pub use self::record::{Recorded, Tape};
