//! Maps from and to f32 tensors, and from one layout to another.

use candle_core::{Result, Tensor};

use super::engine::{CudaEngine, lines};
use super::gpu::{Argument, Grid};
use super::map::Map;
use crate::tape::Shape;

impl CudaEngine {
    /// The map of f32 values `(batch, channels, height, width)` that lie at `address` on the GPU.
    pub(super) fn map_of(&self, address: u64, shape: Shape) -> Result<Map> {
        self.map_with(address, shape, shape[1])
    }

    /// The same of photos, made up to as many channels as a matrix unit takes.
    pub(super) fn photo_map(&self, address: u64, shape: Shape) -> Result<Map> {
        self.map_with(address, shape, shape[1].next_multiple_of(self.kind.channels()))
    }

    fn map_with(&self, address: u64, shape: Shape, stored: usize) -> Result<Map> {
        let [images, channels, height, width] = shape;
        let map = Map::with_channels(&self.gpu, shape, stored, self.kind)?;
        let mut arguments = [
            Argument::Address(address),
            map.argument(&self.gpu),
            Argument::int(images)?,
            Argument::int(channels)?,
            Argument::int(height * width)?,
            Argument::int(stored)?,
        ];
        self.gpu.launch(&map.kernel("to_map"), Grid::over(map.pixels()), &mut arguments)?;
        Ok(map)
    }

    /// The values of a map as a tensor on the GPU, f32 `(batch, channels, height, width)`.
    pub(super) fn tensor_of(&self, map: &Map) -> Result<(Tensor, u64)> {
        map.compact()?;
        let [images, channels, ..] = map.shape;
        let (tensor, address) = self.gpu.tensor(map.shape.to_vec())?;
        let mut arguments = [
            map.argument(&self.gpu),
            Argument::Address(address),
            Argument::int(images)?,
            Argument::int(channels)?,
            Argument::int(map.plane())?,
        ];
        self.gpu.launch(&map.kernel("from_map"), Grid::over(map.pixels()), &mut arguments)?;
        Ok((tensor, address))
    }

    /// Copies what `from` and `to` have in common: `shape` of both, `to` from channel `start` on (where
    /// `into`), or `from` from there on.
    pub(super) fn copy(
        &self,
        from: &Map,
        to: &Map,
        shape: Shape,
        [skip, start]: [usize; 2],
    ) -> Result<()> {
        let [images, channels, height, width] = shape;
        let bytes = from.kind.bytes();
        let at = |map: &Map, channel: usize| {
            Argument::Address(map.address(&self.gpu) + (channel * bytes) as u64)
        };
        let mut arguments = vec![at(from, skip), at(to, start)];
        arguments.extend([
            Argument::int(images)?,
            Argument::int(height)?,
            Argument::int(width)?,
            Argument::int(channels)?,
        ]);
        arguments.extend(from.strides());
        arguments.extend(to.strides());
        self.gpu.launch(&from.kernel("copy"), lines(images * height), &mut arguments)
    }

    /// The first `channels` channels of `map`.
    pub(super) fn first_channels(&self, map: &Map, channels: usize) -> Result<Map> {
        let [images, _, height, width] = map.shape;
        let shape = [images, channels, height, width];
        let first = Map::new(&self.gpu, shape, map.kind)?;
        self.copy(map, &first, shape, [0, 0])?;
        Ok(first)
    }

    /// `map` with channels of zeros after its own, `channels` in all.
    pub(super) fn with_zeros(&self, map: &Map, channels: usize) -> Result<Map> {
        let [images, _, height, width] = map.shape;
        let all = Map::zeros(&self.gpu, [images, channels, height, width], map.kind)?;
        self.copy(map, &all, map.shape, [0, 0])?;
        Ok(all)
    }
}
