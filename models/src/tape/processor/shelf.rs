//! Maps in main memory, whose buffers are used again: asking the system for fresh pages would cost more than
//! some of the layers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::ops::slices;
use crate::tape::Shape;

/// Buffers nobody uses now, by their length.
#[derive(Debug, Default)]
pub struct Shelf {
    free: Mutex<BTreeMap<usize, Vec<Vec<f32>>>>,
}

impl Shelf {
    /// A buffer of at least `len` values, of unspecified content: the shortest there is, unless much longer.
    fn take(&self, len: usize) -> Vec<f32> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fitting = free.range_mut(len..=len + len / 2);
        if let Some(buffer) = fitting.find_map(|(_, buffers)| buffers.pop()) {
            return buffer;
        }
        drop(free);
        // SAFETY: whoever makes a map writes all of it.
        unsafe { slices::uninitialised(len) }
    }

    fn put(&self, buffer: Vec<f32>) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.entry(buffer.len()).or_default().push(buffer);
    }
}

/// A buffer that goes back to its shelf.
#[derive(Debug)]
struct Buffer {
    values: Vec<f32>,
    shelf: Arc<Shelf>,
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.shelf.put(std::mem::take(&mut self.values));
    }
}

/// A map of `(batch, channels, height, width)`; clones share the values.
#[derive(Clone, Debug)]
pub struct Map {
    buffer: Arc<Buffer>,
    shape: Shape,
}

impl Map {
    /// A map that `fill` writes, all of it.
    pub(super) fn made(shelf: &Arc<Shelf>, shape: Shape, fill: impl FnOnce(&mut [f32])) -> Self {
        let len = shape.iter().product();
        let mut values = shelf.take(len);
        fill(&mut values[..len]);
        Self { buffer: Arc::new(Buffer { values, shelf: Arc::clone(shelf) }), shape }
    }

    /// `(batch, channels, height, width)`.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Rows and columns.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.shape[2], self.shape[3])
    }

    /// The values, in this order.
    pub fn values(&self) -> &[f32] {
        &self.buffer.values[..self.shape.iter().product()]
    }

    /// The values to change: the map's own, or a copy where another shares them.
    pub(super) fn own(&mut self) -> &mut [f32] {
        if Arc::get_mut(&mut self.buffer).is_none() {
            let values = self.values();
            *self = Self::made(&self.buffer.shelf, self.shape, |copy| copy.copy_from_slice(values));
        }
        let len = self.shape.iter().product();
        let buffer = Arc::get_mut(&mut self.buffer).expect("nobody else has a new buffer");
        &mut buffer.values[..len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_used_again_and_shared_ones_are_not_changed() {
        let shelf = Arc::new(Shelf::default());
        let mut map = Map::made(&shelf, [1, 2, 3, 4], |values| values.fill(1.0));
        let other = map.clone();
        map.own().fill(2.0);
        assert!(other.values().iter().all(|&value| value == 1.0));
        let address = other.values().as_ptr();
        drop(other);
        let next = Map::made(&shelf, [1, 2, 3, 3], |values| values.fill(3.0));
        assert_eq!((next.values().as_ptr(), next.values().len()), (address, 18));
        assert!(map.values().iter().all(|&value| value == 2.0));
    }
}
