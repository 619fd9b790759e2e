//! Pixels whose displacements lead to the same place form one cluster (upstream's
//! `cluster_centroids`).

use ndarray::{Array2, ArrayView2, ArrayView3, Axis};

use super::components::components;

/// Upstream's limit, in pixels of the map, under which a displacement is weak.
pub const WEAK: f32 = 2.5;

/// A partition of the pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clusters {
    /// `[h,w]`: cluster number, from 0.
    pub map: Array2<usize>,
    /// How many there are; every number below occurs.
    pub count: usize,
}

/// Components `[h,w]`, from 1, of the region whose displacement `dp` `[2,h,w]` is shorter than
/// `limit`; 0 elsewhere.
pub fn weak_components(dp: ArrayView3<f32>, limit: f32) -> Array2<u32> {
    let (down, right) = (dp.index_axis(Axis(0), 0), dp.index_axis(Axis(0), 1));
    let weak = ndarray::Zip::from(down)
        .and(right)
        .map_collect(|down, right| u32::from((right * right + down * down).sqrt() < limit));
    components(weak.view()).map
}

/// Clusters of pixels by the component in which their target `ends` `[2,h,w]` lies.
///
/// The strong region between the components counts as one of them where it is somebody's target.
pub fn clusters(ends: ArrayView3<usize>, components: ArrayView2<u32>) -> Clusters {
    let (rows, columns) = (ends.index_axis(Axis(0), 0), ends.index_axis(Axis(0), 1));
    let targets = ndarray::Zip::from(rows).and(columns).map_collect(|&y, &x| components[[y, x]]);
    let mut numbers: Vec<u32> = targets.iter().copied().collect();
    numbers.sort_unstable();
    numbers.dedup();
    let rank = |number: &u32| numbers.binary_search(number).expect("taken from the same map");
    Clusters { map: targets.map(rank), count: numbers.len() }
}

#[cfg(test)]
mod tests {
    use ndarray::{array, stack};

    use super::*;

    #[test]
    fn numbers_are_ranks_of_the_components_that_are_reached() {
        let components = array![[1, 0, 2, 3]];
        let columns = array![[3usize, 3, 1, 0]];
        let ends = stack![Axis(0), Array2::zeros((1, 4)), columns];
        let found = clusters(ends.view(), components.view());
        assert_eq!(found.map, array![[2, 2, 0, 1]]);
        assert_eq!(found.count, 3);
    }

    #[test]
    fn the_limit_itself_is_strong() {
        let dp = array![[[1.5f32, 0.0, 2.4]], [[2.0, 2.4, 0.0]]];
        assert_eq!(weak_components(dp.view(), WEAK), array![[0, 1, 1]]);
    }
}
