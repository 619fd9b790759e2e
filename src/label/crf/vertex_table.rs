//! The vertices of a lattice, numbered in order of their first use: an open-addressing hash table of
//! packed keys.

use super::simplex::Key;

/// A slot that holds no vertex.
const FREE: Slot = Slot { tag: 0, vertex: u32::MAX };

/// A vertex number and the upper half of its key's hash, which spares most looks at other keys.
#[derive(Clone, Copy)]
struct Slot {
    tag: u32,
    vertex: u32,
}

/// Keys that are looked up together.
const BLOCK: usize = 64;

/// Numbers packed vertex keys 0, 1, 2, ...
pub struct VertexTable {
    /// Keys by vertex number.
    keys: Vec<Key>,
    /// Vertex numbers by hash; a power of two of them, at most half in use.
    slots: Vec<Slot>,
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

    /// Calls `found(vertex, other)` for each vertex whose key plus `step` is another vertex's key.
    pub fn find_shifted(&self, step: Key, mut found: impl FnMut(u32, u32)) {
        let mask = self.slots.len() - 1;
        let (mut hashes, mut firsts) = ([0; BLOCK], [FREE; BLOCK]);
        for (block, keys) in self.keys.chunks(BLOCK).enumerate() {
            // Load a block of slots at once: these cache misses overlap. Those of one lookup after
            // the other don't, for whether a neighbour exists can't be predicted.
            for ((key, hashed), first) in keys.iter().zip(&mut hashes).zip(&mut firsts) {
                *hashed = hash(key.wrapping_add(step));
                *first = self.slots[*hashed as usize & mask];
            }
            for (i, key) in keys.iter().enumerate() {
                if firsts[i].vertex != FREE.vertex {
                    let slot = self.slots[self.slot_of(key.wrapping_add(step), hashes[i])];
                    if slot.vertex != FREE.vertex {
                        found((block * BLOCK + i) as u32, slot.vertex);
                    }
                }
            }
        }
    }

    /// The number of `key`, which becomes a vertex if it is none yet.
    pub fn find_or_add(&mut self, key: Key) -> u32 {
        let hash = hash(key);
        let slot = self.slot_of(key, hash);
        let found = self.slots[slot].vertex;
        if found != FREE.vertex {
            return found;
        }
        let vertex = self.keys.len() as u32;
        self.keys.push(key);
        self.slots[slot] = Slot { tag: tag(hash), vertex };
        if 2 * self.keys.len() > self.slots.len() {
            self.grow();
        }
        vertex
    }

    /// The slot of `key`, or the free one where it belongs (linear probing).
    fn slot_of(&self, key: Key, hash: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut index = hash as usize & mask;
        loop {
            let slot = self.slots[index];
            let same = || slot.tag == tag(hash) && self.keys[slot.vertex as usize] == key;
            if slot.vertex == FREE.vertex || same() {
                return index;
            }
            index = (index + 1) & mask;
        }
    }

    fn grow(&mut self) {
        self.slots = vec![FREE; 2 * self.slots.len()];
        for vertex in 0..self.keys.len() {
            let key = self.keys[vertex];
            let slot = self.slot_of(key, hash(key));
            self.slots[slot] = Slot { tag: tag(hash(key)), vertex: vertex as u32 };
        }
    }
}

fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
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
            assert_eq!(table.find_or_add(key), number as u32);
        }
        assert!(keys.iter().enumerate().all(|(n, &key)| table.find_or_add(key) == n as u32));
        assert_eq!(table.keys(), keys);
    }

    #[test]
    fn shifted_keys_are_found_where_they_exist() {
        let mut table = VertexTable::with_capacity(1);
        let keys: Vec<Key> = (0..500).map(|i| i * i).collect();
        keys.iter().for_each(|&key| _ = table.find_or_add(key));
        let mut pairs = Vec::new();
        table.find_shifted(9, |vertex, other| pairs.push((vertex, other)));
        // 0 + 9 = 3 * 3, 4 * 4 + 9 = 5 * 5.
        assert_eq!(pairs, [(0, 3), (4, 5)]);
    }
}
