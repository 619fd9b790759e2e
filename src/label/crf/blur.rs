//! The blur of a lattice along one axis, in place.
//!
//! Along an axis the vertices form chains of neighbours, most of them short, and each vertex is in one
//! chain. Walking a chain needs every value once; a vertex without neighbours stays as it is and is in
//! no list.

use rayon::prelude::*;

use super::vertex_table::NONE;

/// Vertices that one task blurs, about; fixed, though nothing depends on it.
const VERTICES_PER_TASK: usize = 1 << 13;
/// Marks the first vertex of a chain.
const FIRST: u32 = 1 << 31;

/// The chains of neighbours along one axis.
pub struct Chains {
    /// The vertices of chain after chain, the first of each marked; a marked one more at the end.
    links: Vec<u32>,
    /// Where tasks begin and the last one ends: always between chains.
    cuts: Vec<usize>,
    /// Vertices of the lattice, all above those in `links`.
    vertices: usize,
}

impl Chains {
    /// Chains from the next neighbour of every vertex, [`NONE`] where there is none.
    ///
    /// # Panics
    /// If a vertex is the next one of two, or there are 2^31 or more.
    pub fn new(next: &[u32]) -> Self {
        assert!(next.len() < FIRST as usize, "vertex numbers leave a bit for the mark");
        let mut inner = vec![false; next.len()];
        for &vertex in next.iter().filter(|&&vertex| vertex != NONE) {
            let taken = std::mem::replace(&mut inner[vertex as usize], true);
            assert!(!taken, "a vertex is in one chain only");
        }
        let (mut links, mut cuts) = (Vec::with_capacity(next.len() + 1), vec![0]);
        for head in 0..next.len() {
            if inner[head] || next[head] == NONE {
                continue;
            }
            if links.len() - cuts[cuts.len() - 1] >= VERTICES_PER_TASK {
                cuts.push(links.len());
            }
            links.push(head as u32 | FIRST);
            let mut vertex = next[head];
            while vertex != NONE {
                links.push(vertex);
                vertex = next[vertex as usize];
            }
        }
        cuts.push(links.len());
        Self { links, cuts, vertices: next.len() }
    }

    /// Adds to each vertex half of both neighbours' values before the blur. `values` are by vertex, by
    /// group of channels.
    pub fn blur<const L: usize>(&self, values: &mut [[f32; L]], groups: usize) {
        assert_eq!(values.len(), self.vertices * groups, "values of all vertices");
        let values = &Shared(values.as_mut_ptr());
        self.cuts.par_windows(2).for_each(|cut| {
            let (links, values) = (&self.links[cut[0]..cut[1]], *values);
            for group in 0..groups {
                // SAFETY: `new` put only numbers below `vertices` into `links`, each of them once: all
                // places are in bounds, and none is another task's.
                unsafe { blur_links(links, move |vertex| values.at(vertex * groups + group)) };
            }
        });
    }
}

/// Values that tasks change at different places.
#[derive(Clone, Copy)]
struct Shared<T>(*mut T);

// SAFETY: the pointer is only used by `Chains::blur`, which sees to it that tasks share no place.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// # Safety
    /// `index` is one of the values that the pointer stands for.
    #[inline(always)]
    unsafe fn at(self, index: usize) -> *mut T {
        // SAFETY: passed on.
        unsafe { self.0.add(index) }
    }
}

/// Blurs chain after chain.
///
/// # Safety
/// `place` gives a valid address for each link's vertex, another for each, used by nobody else.
#[inline(always)]
unsafe fn blur_links<const L: usize>(links: &[u32], place: impl Fn(usize) -> *mut [f32; L]) {
    let Some(&last) = links.last() else { return };
    let place = |link: u32| place((link & !FIRST) as usize);
    // SAFETY: as the caller vouches.
    unsafe {
        let (mut left, mut centre) = ([0.0; L], *place(links[0]));
        for pair in links.windows(2) {
            let ahead = *place(pair[1]);
            // A chain ends where the next one begins; without a branch, for chains are short.
            let keep = ((pair[1] & FIRST) >> 31).wrapping_sub(1);
            let masked = |value: f32| f32::from_bits(value.to_bits() & keep);
            *place(pair[0]) = blurred(left, centre, ahead.map(masked));
            left = centre.map(masked);
            centre = ahead;
        }
        *place(last) = blurred(left, centre, [0.0; L]);
    }
}

#[inline(always)]
fn blurred<const L: usize>(left: [f32; L], centre: [f32; L], right: [f32; L]) -> [f32; L] {
    std::array::from_fn(|lane| centre[lane] + 0.5 * (left[lane] + right[lane]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: u32 = NONE;

    /// The definition, one lane.
    fn by_definition(next: &[u32], values: &[f32]) -> Vec<f32> {
        let mut sums = values.to_vec();
        for (vertex, &other) in next.iter().enumerate().filter(|(_, other)| **other != N) {
            sums[vertex] += 0.5 * values[other as usize];
            sums[other as usize] += 0.5 * values[vertex];
        }
        sums
    }

    fn check(next: &[u32], groups: usize) {
        let number = |i: usize, lane: usize| ((i * 37 + lane * 11) % 64) as f32;
        let count = next.len() * groups;
        let mut values: Vec<[f32; 4]> =
            (0..count).map(|i| std::array::from_fn(|lane| number(i, lane))).collect();
        Chains::new(next).blur(&mut values, groups);
        for channel in 0..4 * groups {
            let (group, lane) = (channel / 4, channel % 4);
            let old: Vec<f32> = (0..next.len()).map(|v| number(v * groups + group, lane)).collect();
            let new = values.as_flattened().iter().skip(channel).step_by(4 * groups).copied();
            assert_eq!(new.collect::<Vec<_>>(), by_definition(next, &old));
        }
    }

    #[test]
    fn chains_are_blurred_as_defined() {
        check(&[], 1);
        check(&[N], 1);
        check(&[N, N, N], 2);
        check(&[2, N, 1, 4, N], 1);
        check(&[1, 2, 3, 4, N], 3);
        check(&[N, 0, N, 1, 3, N, 5], 2);
    }

    #[test]
    fn chains_of_several_tasks_are_blurred_as_defined() {
        let vertices = 5 * VERTICES_PER_TASK as u32;
        // Chains 0, 7, 14, ... of all lengths from 1 on, among others of three.
        let next = |v: u32| match v % 7 {
            0 if !v.is_multiple_of(11) && v + 7 < vertices => v + 7,
            1 | 2 if v + 1 < vertices => v + 1,
            _ => N,
        };
        let next: Vec<u32> = (0..vertices).map(next).collect();
        assert!(Chains::new(&next).cuts.len() > 2);
        check(&next, 1);
    }

    #[test]
    #[should_panic(expected = "one chain only")]
    fn a_vertex_cannot_follow_two_others() {
        Chains::new(&[2, 2, N]);
    }

    #[test]
    #[should_panic(expected = "index out of bounds")]
    fn a_vertex_that_is_none_is_refused() {
        Chains::new(&[7]);
    }
}
