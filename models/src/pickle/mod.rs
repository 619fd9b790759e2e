//! Python's pickles, read without Python: the part of the language that NumPy's and PyTorch's files are
//! written in, shared by `.npy` files and checkpoints.
//!
//! Nothing is imported and nothing is called. A name must be on the reader's closed list, everything else
//! is refused by its name; a call stays a call, which the reader of the file makes sense of. Objects
//! refer to each other by number, so that neither depth nor cycles matter while they are read, and each
//! instruction adds at most one, so that memory is bounded by the input.

mod element;
mod input;
pub mod legacy;
mod machine;
mod plain;
mod stack;
pub mod torch;
mod tree;

pub use self::input::Input;
pub use self::machine::{Allowed, Machine};
pub use self::tree::{Call, Global, Id, Node, Tree};
