//! The vertices of a lattice, numbered in order of their first use: an open-addressing hash table of
//! packed keys.

use super::simplex::Key;

/// A slot that holds no vertex.
const FREE: u32 = u32::MAX;

/// Numbers packed vertex keys 0, 1, 2, ...
pub struct VertexTable {
    /// Keys by vertex number.
    keys: Vec<Key>,
    /// Vertex numbers by hash; a power of two of them, at most half in use.
    slots: Vec<u32>,
}

impl VertexTable {
    /// An empty table with room for about `vertices` before it grows.
    pub fn with_capacity(vertices: usize) -> Self {
        let slots = (2 * vertices).next_power_of_two().max(16);
        Self { keys: Vec::with_capacity(vertices), slots: vec![FREE; slots] }
    }

    /// All keys, by vertex number.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The number of `key`, if it is a vertex.
    pub fn find(&self, key: Key) -> Option<u32> {
        let vertex = self.slots[self.slot_of(key)];
        (vertex != FREE).then_some(vertex)
    }

    /// The number of `key`, which becomes a vertex if it is none yet.
    pub fn find_or_add(&mut self, key: Key) -> u32 {
        let slot = self.slot_of(key);
        if self.slots[slot] != FREE {
            return self.slots[slot];
        }
        let vertex = self.keys.len() as u32;
        self.keys.push(key);
        self.slots[slot] = vertex;
        if 2 * self.keys.len() > self.slots.len() {
            self.grow();
        }
        vertex
    }

    /// The slot of `key`, or the free one where it belongs (linear probing).
    fn slot_of(&self, key: Key) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash(key) as usize & mask;
        loop {
            let vertex = self.slots[slot];
            if vertex == FREE || self.keys[vertex as usize] == key {
                return slot;
            }
            slot = (slot + 1) & mask;
        }
    }

    fn grow(&mut self) {
        self.slots = vec![FREE; 2 * self.slots.len()];
        for vertex in 0..self.keys.len() {
            let slot = self.slot_of(self.keys[vertex]);
            self.slots[slot] = vertex as u32;
        }
    }
}

/// Multiplies both halves and folds the product's upper bits down, where the mask looks.
fn hash(key: Key) -> u64 {
    let (low, high) = (key as u64, (key >> 64) as u64);
    let product = (low ^ high.rotate_left(29)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    product ^ (product >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_first_use_and_survive_growth() {
        let mut table = VertexTable::with_capacity(1);
        let keys: Vec<Key> = (0..1000).map(|i| (i * i) << 60 | i).collect();
        for (number, &key) in keys.iter().enumerate() {
            assert_eq!(table.find(key), None);
            assert_eq!(table.find_or_add(key), number as u32);
            assert_eq!(table.find_or_add(key), number as u32);
        }
        assert!(keys.iter().enumerate().all(|(n, &key)| table.find(key) == Some(n as u32)));
        assert_eq!(table.keys(), keys);
    }
}
