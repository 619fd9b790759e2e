//! Where a feature map comes from: its name in the graph and its size relative to the photo.
//!
//! [`crate::Symbol`], which writes nodes, and [`crate::probe::Probe`], which computes, derive the same
//! names by the same rules, so that their values can be compared one by one.

#[cfg(feature = "graph")]
use irn_models::{ConvNorm, GroupNorm};

/// Height and width as `factor * ceil(photo / divisor)`: all that strides of 2 and enlargements give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Product of the strides so far.
    pub divisor: usize,
    /// Enlargement after them.
    pub factor: usize,
}

impl Extent {
    /// The photo's own size.
    pub const PHOTO: Self = Self { divisor: 1, factor: 1 };

    /// The height or width for a photo's.
    pub fn of(self, side: usize) -> usize {
        self.factor * side.div_ceil(self.divisor)
    }

    /// After a convolution or pooling with this stride, padded to keep every cell.
    pub fn stride(self, stride: usize) -> Self {
        debug_assert_eq!(self.factor, 1, "no network reduces what it enlarged");
        Self { divisor: self.divisor * stride, ..self }
    }
}

/// Name and size of a feature map.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Of the node that makes it.
    pub name: String,
    /// Its height and width.
    pub extent: Extent,
}

impl Trace {
    /// The photo.
    pub fn input(name: &str) -> Self {
        Self { name: name.into(), extent: Extent::PHOTO }
    }

    /// After the layer called `name`.
    pub fn layer(&self, name: &str, stride: usize) -> Self {
        Self { name: name.into(), extent: self.extent.stride(stride) }
    }

    /// After an operation without a name of its own.
    pub fn then(&self, operation: &str) -> Self {
        Self { name: format!("{}.{operation}", self.name), extent: self.extent }
    }

    /// After convolution, residual sum and ReLU.
    #[cfg(feature = "graph")]
    pub fn conv_norm(&self, layer: &ConvNorm, residual: bool) -> Self {
        let conv = self.layer(&layer.conv.name, layer.conv.stride);
        match (layer.relu, residual) {
            (true, _) => conv.then("relu"),
            (false, true) => conv.then("add"),
            (false, false) => conv,
        }
    }

    /// After group normalisation.
    #[cfg(feature = "graph")]
    pub fn group_norm(&self, layer: &GroupNorm) -> Self {
        self.layer(&layer.name, 1)
    }

    /// After the stem's pooling.
    pub fn max_pool(&self) -> Self {
        let pooled = self.then("max_pool");
        Self { extent: self.extent.stride(2), ..pooled }
    }

    /// After enlargement; the same map for a factor of 1.
    pub fn upsample(&self, factor: usize) -> Self {
        if factor == 1 {
            return self.clone();
        }
        let extent = Extent { factor: self.extent.factor * factor, ..self.extent };
        Self { extent, ..self.then(&format!("x{factor}")) }
    }

    /// After cutting to the size of `other`; the same map where the sizes agree for every photo.
    pub fn crop_like(&self, other: &Self) -> Self {
        if self.extent == other.extent {
            return self.clone();
        }
        Self { extent: other.extent, ..self.then("crop") }
    }

    /// After concatenation of this map, the first, with others.
    pub fn concat(&self) -> Self {
        self.then("concat")
    }
}
