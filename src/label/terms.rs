//! What a product is made of and what becomes of it; see [`banded`](super::banded).

/// Where a pixel's neighbours are, relative to it, in vectors.
#[derive(Clone, Debug)]
pub struct Terms {
    /// In the weights and in the maps.
    places: Vec<(isize, isize)>,
    weights: (isize, isize),
    maps: (isize, isize),
}

impl Terms {
    /// Of neighbours at these places.
    pub fn new(places: Vec<(isize, isize)>) -> Self {
        let ends = |value: fn(&(isize, isize)) -> isize| {
            let values = || places.iter().map(value);
            (values().min().unwrap_or(0), values().max().unwrap_or(0))
        };
        Self { weights: ends(|place| place.0), maps: ends(|place| place.1), places }
    }

    /// `(in the weights, in the maps)`.
    pub fn places(&self) -> &[(isize, isize)] {
        &self.places
    }

    /// The first and the last place in the weights.
    pub fn weights(&self) -> (isize, isize) {
        self.weights
    }

    /// The first and the last place in the maps.
    pub fn maps(&self) -> (isize, isize) {
        self.maps
    }
}

/// What is done with a product: `out = scale product - minus out`, `sum += weight out`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Factor of the product.
    pub scale: f32,
    /// Factor of what stood there before.
    pub minus: f32,
    /// Factor in the sum.
    pub weight: f32,
}
