//! Memory that a thread keeps from one tile to the next: asking the system for fresh pages every time
//! would cost more than some of the products.

use std::cell::RefCell;

use super::tiles::{Line, Sums};

/// What a tile needs besides its result.
pub struct Scratch {
    /// A tile's copy of the input.
    pub columns: Vec<f32>,
    /// Its left operand.
    pub left: Vec<Line>,
    /// Its right operand.
    pub right: Vec<Line>,
    /// The blocks of the product.
    pub sums: Vec<Sums>,
}

/// Calls `f` with the thread's scratch, of unspecified content.
pub fn with<R>(f: impl FnOnce(&mut Scratch) -> R) -> R {
    thread_local! {
        static SCRATCH: RefCell<Scratch> = const {
            RefCell::new(Scratch {
                columns: Vec::new(),
                left: Vec::new(),
                right: Vec::new(),
                sums: Vec::new(),
            })
        };
    }
    SCRATCH.with_borrow_mut(f)
}

/// The first `len` values of `buffer`, which grows where it must.
pub fn part<T: Clone>(buffer: &mut Vec<T>, len: usize, empty: T) -> &mut [T] {
    if buffer.len() < len {
        buffer.resize(len, empty);
    }
    &mut buffer[..len]
}
