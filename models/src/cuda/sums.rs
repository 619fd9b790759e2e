//! The sums of a gradient over the pixels, on their way to a shift's gradient.

use candle_core::Result;
use candle_core::cuda_backend::cudarc::driver::CudaSlice;

use super::engine::CudaEngine;
use super::map::Map;

/// Sums over tiles of rows of a gradient, `(tiles, channels)`.
pub struct Sums {
    values: Option<CudaSlice<u8>>,
    /// Their number, 0 where nobody wants them.
    pub tiles: usize,
    /// Rows of a tile.
    pub rows: usize,
}

impl Sums {
    /// Enough tiles to keep a GPU busy, and few enough to add up.
    pub fn new(engine: &CudaEngine, dy: &Map, wanted: bool) -> Result<Self> {
        let rows = dy.pixels().div_ceil(512).max(32);
        let tiles = if wanted { dy.pixels().div_ceil(rows) } else { 0 };
        let bytes = tiles * dy.shape[1] * size_of::<f32>();
        let values = wanted.then(|| engine.gpu.take(bytes)).transpose()?;
        Ok(Self { values, tiles, rows })
    }

    /// Where they are; null where there are none.
    pub fn address(&self, engine: &CudaEngine) -> u64 {
        self.values.as_ref().map_or(0, |values| engine.gpu.address(values))
    }
}
