//! What a training step asks of the machine that computes it: every operation of [`FeatureMap`] forward, and
//! what each hands back.
//!
//! [`FeatureMap`]: crate::FeatureMap

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var};

use crate::layers::{Conv, ConvNorm, GroupNorm};

/// `(batch, channels, height, width)`.
pub type Shape = [usize; 4];

/// What a backward pass is to give besides the parameters' gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The input's gradient.
    pub input: bool,
    /// That of what was added.
    pub residual: bool,
}

/// The gradients that were [`Wanted`].
#[derive(Clone, Debug)]
pub struct Inputs<M> {
    /// Of the input.
    pub input: Option<M>,
    /// Of what was added.
    pub residual: Option<M>,
}

/// Where maps live and are computed.
///
/// In the backward operations `x` is what the forward operation was given, `y` what it gave and `dy` the
/// gradient of that, which is given away. The gradients of parameters that train go to `gradients`
/// (see [`put`]); the others are not computed. A layer that does not train keeps its values while an engine
/// lives; those of one that trains may change between a backward pass and the next forward pass.
pub trait Engine {
    /// A map; clones share the values.
    type Map: Clone;

    /// The map of a tensor of four dimensions in main memory.
    fn load(&self, values: &Tensor) -> Result<Self::Map>;
    /// A map's values as a tensor in main memory.
    fn read(&self, map: &Self::Map) -> Result<Tensor>;
    /// A map's shape.
    fn shape(&self, map: &Self::Map) -> Shape;

    /// See [`FeatureMap::conv_norm`](crate::FeatureMap::conv_norm).
    fn conv_norm(
        &self,
        layer: &ConvNorm,
        x: &Self::Map,
        residual: Option<&Self::Map>,
    ) -> Result<Self::Map>;
    /// See [`FeatureMap::conv`](crate::FeatureMap::conv).
    fn conv(&self, layer: &Conv, x: &Self::Map) -> Result<Self::Map>;
    /// See [`FeatureMap::group_norm`](crate::FeatureMap::group_norm).
    fn group_norm(&self, layer: &GroupNorm, x: &Self::Map) -> Result<Self::Map>;
    /// The positive part.
    fn relu(&self, x: &Self::Map) -> Result<Self::Map>;
    /// Concatenates along the channels; there is at least one map.
    fn concat(&self, maps: &[&Self::Map]) -> Result<Self::Map>;
    /// See [`FeatureMap::max_pool`](crate::FeatureMap::max_pool).
    fn max_pool(&self, x: &Self::Map) -> Result<Self::Map>;
    /// See [`FeatureMap::upsample`](crate::FeatureMap::upsample).
    fn upsample(&self, x: &Self::Map, factor: usize) -> Result<Self::Map>;
    /// The first rows and columns of `x`, as many as given.
    fn crop(&self, x: &Self::Map, size: (usize, usize)) -> Result<Self::Map>;

    /// Backwards through [`Engine::conv_norm`].
    fn conv_norm_gradient(
        &self,
        layer: &ConvNorm,
        x: &Self::Map,
        y: &Self::Map,
        dy: Self::Map,
        wanted: Wanted,
        gradients: &mut GradStore,
    ) -> Result<Inputs<Self::Map>>;
    /// Backwards through [`Engine::conv`]; the input's gradient if it is wanted.
    fn conv_gradient(
        &self,
        layer: &Conv,
        x: &Self::Map,
        dy: Self::Map,
        wanted: bool,
        gradients: &mut GradStore,
    ) -> Result<Option<Self::Map>>;
    /// Backwards through [`Engine::group_norm`]; the input's gradient if it is wanted.
    fn group_norm_gradient(
        &self,
        layer: &GroupNorm,
        x: &Self::Map,
        dy: Self::Map,
        wanted: bool,
        gradients: &mut GradStore,
    ) -> Result<Option<Self::Map>>;
    /// Backwards through [`Engine::relu`]: 0 where `y` is 0.
    fn relu_gradient(&self, y: &Self::Map, dy: Self::Map) -> Result<Self::Map>;
    /// Backwards through [`Engine::concat`] of maps of so many channels each.
    fn concat_gradient(&self, channels: &[usize], dy: Self::Map) -> Result<Vec<Self::Map>>;
    /// Backwards through [`Engine::max_pool`]: to the first maximum of a window, in raster order.
    fn max_pool_gradient(&self, x: &Self::Map, y: &Self::Map, dy: Self::Map) -> Result<Self::Map>;
    /// Backwards through [`Engine::upsample`] of a map of shape `x`.
    fn upsample_gradient(&self, x: Shape, factor: usize, dy: Self::Map) -> Result<Self::Map>;
    /// Backwards through [`Engine::crop`] of a map of shape `x`: zeros where it was cut off.
    fn crop_gradient(&self, x: Shape, dy: Self::Map) -> Result<Self::Map>;
    /// The sum of two gradients, in the place of the first where nobody else holds it.
    fn add(&self, sum: Self::Map, other: &Self::Map) -> Result<Self::Map>;
}

/// Stores the gradient of `var`, or adds it to that of the same variable elsewhere.
///
/// # Errors
/// Gradients of different shapes.
pub fn put(gradients: &mut GradStore, var: &Var, gradient: Tensor) -> Result<()> {
    let gradient = match gradients.remove(var) {
        Some(sum) => (sum + gradient)?,
        None => gradient,
    };
    gradients.insert(var, gradient);
    Ok(())
}
