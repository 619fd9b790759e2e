//! Group normalisation.

use candle_core::backprop::GradStore;
use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::{Result, bail};

use super::engine::CudaEngine;
use super::gpu::{Argument, Grid};
use super::map::Map;
use crate::layers::GroupNorm;
use crate::tape::put;

/// Pixels of an image that a block sums up.
const TILE: usize = 256;

/// The sizes that the kernels ask for.
struct Sizes {
    images: usize,
    groups: usize,
    tiles: usize,
    plane: Argument,
    channels: Argument,
    group: Argument,
}

impl Sizes {
    fn new(x: &Map, layer: &GroupNorm) -> Result<Self> {
        x.compact()?;
        let [images, channels, ..] = x.shape;
        if channels % layer.groups != 0 || x.plane() == 0 {
            bail!("{} groups of {:?}", layer.groups, x.shape);
        }
        Ok(Self {
            images,
            groups: layer.groups,
            tiles: x.plane().div_ceil(TILE),
            plane: Argument::int(x.plane())?,
            channels: Argument::int(channels)?,
            group: Argument::int(layer.groups)?,
        })
    }

    /// A block per tile and image.
    fn tiles(&self) -> Grid {
        Grid::blocks([self.tiles, self.images, 1])
    }

    /// A block per group and image.
    fn groups(&self) -> Grid {
        Grid::blocks([self.groups, self.images, 1])
    }

    /// A thread for 16 bytes of an image.
    fn apply(&self, x: &Map) -> Grid {
        let image = Grid::over(x.count() / self.images.max(1) * x.kind.bytes() / 16);
        Grid { blocks: [image.blocks[0], self.images, 1], ..image }
    }
}

impl CudaEngine {
    fn floats(&self, count: usize) -> Result<(CudaSlice<u8>, Argument)> {
        let values = self.gpu.take(count * size_of::<f32>())?;
        let address = Argument::Address(self.gpu.address(&values));
        Ok((values, address))
    }

    /// Mean and reciprocal deviation of every image and group.
    fn statistics(
        &self,
        layer: &GroupNorm,
        x: &Map,
        sizes: &Sizes,
    ) -> Result<(CudaSlice<u8>, Argument)> {
        let (_partial, partial) = self.floats(sizes.images * sizes.tiles * x.stored * 2)?;
        let tile = Argument::int(TILE)?;
        let mut arguments = [x.argument(&self.gpu), partial, sizes.plane, sizes.channels, tile];
        self.gpu.launch(&x.kernel("group_partials"), sizes.tiles(), &mut arguments)?;
        let (statistics, address) = self.floats(sizes.images * sizes.groups * 2)?;
        let eps = Argument::Float(layer.eps as f32);
        let mut arguments = [partial, address, sizes.plane, sizes.channels, sizes.group, tile, eps];
        self.gpu.launch("group_statistics", sizes.groups(), &mut arguments)?;
        Ok((statistics, address))
    }

    /// The forward pass.
    pub(super) fn normalise(&self, layer: &GroupNorm, x: &Map) -> Result<Map> {
        let sizes = Sizes::new(x, layer)?;
        let (_statistics, statistics) = self.statistics(layer, x, &sizes)?;
        let y = Map::new(&self.gpu, x.shape, x.kind)?;
        let [gamma, beta] = [&layer.weight, &layer.bias]
            .map(|param| self.gpu.address_of(param.var().as_tensor()).map(Argument::Address));
        let mut arguments = [
            x.argument(&self.gpu),
            statistics,
            gamma?,
            beta?,
            y.argument(&self.gpu),
            sizes.plane,
            sizes.channels,
            sizes.group,
            Argument::Int(0),
        ];
        self.gpu.launch(&x.kernel("group_norm"), sizes.apply(x), &mut arguments)?;
        Ok(y)
    }

    /// The backward pass.
    pub(super) fn normalise_back(
        &self,
        layer: &GroupNorm,
        x: &Map,
        dy: Map,
        wanted: bool,
        gradients: &mut GradStore,
    ) -> Result<Option<Map>> {
        let sizes = Sizes::new(x, layer)?;
        let (_statistics, statistics) = self.statistics(layer, x, &sizes)?;
        let (_partial, partial) = self.floats(sizes.images * sizes.tiles * x.stored * 2)?;
        let (input, d_output) = (x.argument(&self.gpu), dy.argument(&self.gpu));
        let [plane, channels, group] = [sizes.plane, sizes.channels, sizes.group];
        let tile = Argument::int(TILE)?;
        let mut arguments = [input, d_output, statistics, partial, plane, channels, group, tile];
        self.gpu.launch(&x.kernel("group_norm_sums"), sizes.tiles(), &mut arguments)?;

        let (_sums, sums) = self.floats(sizes.images * x.stored * 2)?;
        let (_levels, levels) = self.floats(sizes.images * sizes.groups * 2)?;
        let gamma = Argument::Address(self.gpu.address_of(layer.weight.var().as_tensor())?);
        let tiles = Argument::int(sizes.tiles)?;
        let mut arguments = [partial, gamma, sums, levels, plane, channels, group, tiles];
        self.gpu.launch("group_norm_totals", sizes.groups(), &mut arguments)?;
        self.affine_gradients(layer, &sizes, sums, gradients)?;
        if !wanted {
            return Ok(None);
        }
        let dx = dy.reused(&self.gpu)?;
        let into = dx.argument(&self.gpu);
        let mut arguments =
            [input, d_output, statistics, levels, gamma, into, plane, channels, group];
        self.gpu.launch(&x.kernel("group_norm_gradient"), sizes.apply(x), &mut arguments)?;
        Ok(Some(dx))
    }

    fn affine_gradients(
        &self,
        layer: &GroupNorm,
        sizes: &Sizes,
        sums: Argument,
        gradients: &mut GradStore,
    ) -> Result<()> {
        let channels = layer.weight.var().elem_count();
        let (d_gamma, gamma) = self.gpu.tensor(channels)?;
        let (d_beta, beta) = self.gpu.tensor(channels)?;
        let images = Argument::int(sizes.images)?;
        let mut arguments =
            [sums, Argument::Address(gamma), Argument::Address(beta), images, sizes.channels];
        self.gpu.launch("group_norm_parameters", Grid::over(channels), &mut arguments)?;
        for (param, gradient) in [(&layer.weight, d_gamma), (&layer.bias, d_beta)] {
            if param.trainable() {
                put(gradients, param.var(), gradient)?;
            }
        }
        Ok(())
    }
}
