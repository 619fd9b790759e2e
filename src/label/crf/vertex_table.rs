//! The vertices of one kind, numbered in order of their first use: a hash table of keys, small enough
//! to stay in the cache while it is in use.
//!
//! Keys lie in buckets of eight, which are compared all at once. Whether a neighbour exists can't be
//! predicted; so a lookup has no branch that depends on it.

/// A number that is no vertex.
pub const NONE: u32 = u32::MAX;

/// Keys in a bucket.
const WIDTH: usize = 8;
/// Keys for each bucket, on average, at which the table grows.
const CROWDED: usize = 5;

/// The key of a vertex: half as wide where that is enough, for the cache.
pub trait Key: Copy + Default + Eq + Send + Sync {
    /// The key of these digits; those of a narrow one must fit.
    fn of(wide: u64) -> Self;
    /// The key `step` further, wrapping.
    fn plus(self, step: u64) -> Self;
    /// Depends on all bits of the key; its upper ones are the best.
    fn hash(self) -> u64;
}

macro_rules! key {
    ($type:ty) => {
        impl Key for $type {
            #[inline(always)]
            fn of(wide: u64) -> Self {
                wide as $type
            }

            #[inline(always)]
            fn plus(self, step: u64) -> Self {
                self.wrapping_add(step as $type)
            }

            #[inline(always)]
            fn hash(self) -> u64 {
                (self as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
            }
        }
    };
}

key!(u32);
key!(u64);

/// Keys and their vertices; those in use come first, the others are [`NONE`].
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Bucket<K> {
    keys: [K; WIDTH],
    vertices: [u32; WIDTH],
}

impl<K: Key> Bucket<K> {
    /// The number of `key`, or [`NONE`].
    #[inline(always)]
    fn find(&self, key: K) -> u32 {
        // A bit for each equal key: the lowest is the one in use, if any.
        let mut equal = 0;
        for (i, other) in self.keys.iter().enumerate() {
            equal |= u32::from(*other == key) << i;
        }
        let found = self.vertices[equal.trailing_zeros() as usize % WIDTH];
        if equal == 0 { NONE } else { found }
    }

    #[inline(always)]
    fn is_full(&self) -> bool {
        self.vertices[WIDTH - 1] != NONE
    }
}

/// Numbers vertex keys 0, 1, 2, ...
pub struct VertexTable<K> {
    /// Keys by vertex number.
    keys: Vec<K>,
    /// A power of two of them; what does not fit in a bucket is in the next one.
    buckets: Vec<Bucket<K>>,
    /// Turns a hash into a bucket.
    shift: u32,
}

impl<K: Key> VertexTable<K> {
    /// An empty table with room for `vertices` before it grows.
    pub fn with_capacity(vertices: usize) -> Self {
        let mut table = Self { keys: Vec::with_capacity(vertices), buckets: Vec::new(), shift: 0 };
        table.empty_buckets((vertices / CROWDED + 1).next_power_of_two().max(2));
        table
    }

    fn empty_buckets(&mut self, count: usize) {
        let empty = Bucket { keys: [K::default(); WIDTH], vertices: [NONE; WIDTH] };
        self.buckets = vec![empty; count];
        self.shift = 64 - count.trailing_zeros();
    }

    /// All keys, by vertex number.
    pub fn keys(&self) -> &[K] {
        &self.keys
    }

    /// The number of `key`, or [`NONE`].
    #[inline(always)]
    pub fn find(&self, key: K) -> u32 {
        self.look(key).1
    }

    /// Loads what a lookup of `key` will look at first. In a loop before the lookups, for then the waits
    /// for the memory overlap.
    #[inline(always)]
    pub fn fetch(&self, key: K) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let bucket: *const Bucket<K> = &self.buckets[self.bucket_of(key)];
            // SAFETY: a prefetch reads nothing.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(bucket.cast()) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = key;
    }

    /// The number of `key`, which becomes a vertex if it is none yet.
    #[inline(always)]
    pub fn find_or_add(&mut self, key: K) -> u32 {
        let (bucket, found) = self.look(key);
        if found != NONE {
            return found;
        }
        let vertex = self.keys.len() as u32;
        self.keys.push(key);
        self.put(bucket, key, vertex);
        if self.keys.len() > CROWDED * self.buckets.len() {
            self.grow();
        }
        vertex
    }

    /// The bucket where `key` belongs.
    #[inline(always)]
    fn bucket_of(&self, key: K) -> usize {
        (key.hash() >> self.shift) as usize & (self.buckets.len() - 1)
    }

    /// The bucket of `key` and its number there, or the bucket with room for it and [`NONE`].
    #[inline(always)]
    fn look(&self, key: K) -> (usize, u32) {
        let mut index = self.bucket_of(key);
        loop {
            let bucket = &self.buckets[index];
            let found = bucket.find(key);
            if (found != NONE) | !bucket.is_full() {
                return (index, found);
            }
            index = (index + 1) & (self.buckets.len() - 1);
        }
    }

    #[inline(always)]
    fn put(&mut self, bucket: usize, key: K, vertex: u32) {
        let bucket = &mut self.buckets[bucket];
        let used = bucket.vertices.iter().filter(|&&vertex| vertex != NONE).count();
        bucket.keys[used] = key;
        bucket.vertices[used] = vertex;
    }

    #[cold]
    fn grow(&mut self) {
        self.empty_buckets(2 * self.buckets.len());
        for vertex in 0..self.keys.len() {
            let key = self.keys[vertex];
            let (bucket, _) = self.look(key);
            self.put(bucket, key, vertex as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers_follow_first_use<K: Key>(key: impl Fn(u64) -> K) {
        let mut table = VertexTable::with_capacity(1);
        let keys: Vec<K> = (0..5000).map(|i| key(i * i)).collect();
        for (number, &key) in keys.iter().enumerate() {
            assert_eq!(table.find(key), NONE);
            assert_eq!(table.find_or_add(key), number as u32);
        }
        assert!(keys.iter().enumerate().all(|(n, &key)| table.find_or_add(key) == n as u32));
        assert!(keys.iter().enumerate().all(|(n, &key)| table.find(key) == n as u32));
        assert!(table.keys() == keys);
        assert_eq!(table.find(key(2)), NONE);
    }

    #[test]
    fn numbers_follow_first_use_and_survive_growth() {
        numbers_follow_first_use(|i| i as u32);
        numbers_follow_first_use(|i| i << 36 | i);
    }

    #[test]
    fn steps_wrap() {
        assert_eq!(5u32.plus(3u64.wrapping_sub(4)), 4);
        assert_eq!(5u64.plus(3u64.wrapping_sub(4)), 4);
    }
}
