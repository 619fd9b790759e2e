//! The [`Engine`] of an NVIDIA GPU.

use std::cell::RefCell;
use std::collections::HashMap;

use candle_core::backprop::GradStore;
use candle_core::cuda_backend::cudarc::driver::PinnedHostSlice;
use candle_core::{CudaDevice, DType, Device, Result, Tensor, TensorId, bail};

use super::convolution::Convolutions;
use super::convolve::Folded;
use super::descriptors::Kind;
use super::gpu::{Argument, Gpu, Grid};
use super::map::Map;
use super::photos::Photos;
use crate::layers::{Conv, ConvNorm, GroupNorm};
use crate::tape::{Engine, Inputs, Shape, Wanted};

/// In what products are computed. Sums, norms, losses and the parameters themselves are f32 in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floating point throughout.
    #[default]
    F32,
    /// f32 maps, whose products round their factors to 10 bits of mantissa.
    Tf32,
    /// Maps and filters in bfloat16.
    Bf16,
}

/// A GPU with all that a training step keeps from one step to the next.
pub struct CudaEngine {
    pub(super) gpu: Gpu,
    pub(super) convolutions: Convolutions,
    /// By the filter's tensor: networks on one engine may call theirs the same.
    pub(super) folded: RefCell<HashMap<TensorId, Folded>>,
    pub(super) photos: Photos,
    /// Memory for losses that nobody waits for.
    pub(super) spare: RefCell<Vec<PinnedHostSlice<f32>>>,
    pub(super) kind: Kind,
}

impl CudaEngine {
    /// Starts on `device`, which must be the one that the parameters are on.
    ///
    /// # Errors
    /// A driver too old for the kernels, cuDNN is missing.
    pub fn new(device: &CudaDevice, precision: Precision) -> Result<Self> {
        let gpu = Gpu::new(device)?;
        let convolutions = Convolutions::new(&gpu, precision == Precision::Tf32)?;
        let kind = if precision == Precision::Bf16 { Kind::Bf16 } else { Kind::F32 };
        let (photos, spare) = (Photos::new(&gpu)?, RefCell::default());
        Ok(Self { gpu, convolutions, folded: RefCell::default(), photos, spare, kind })
    }

    /// A kernel with one map in and one of `shape` out, and sizes after them.
    fn simple(
        &self,
        kernel: &str,
        [x, y]: [&Map; 2],
        grid: Grid,
        sizes: impl IntoIterator<Item = Argument>,
    ) -> Result<()> {
        let mut arguments = vec![x.argument(&self.gpu), y.argument(&self.gpu)];
        arguments.extend(sizes);
        self.gpu.launch(&x.kernel(kernel), grid, &mut arguments)
    }
}

/// A block per line of a map, or fewer that go on to further ones.
pub(super) fn lines(count: usize) -> Grid {
    Grid::blocks([count.clamp(1, 1 << 16), 1, 1])
}

/// A thread for 16 bytes of `map`.
fn over(map: &Map) -> Grid {
    Grid::over(map.count() * map.kind.bytes() / 16)
}

impl Engine for CudaEngine {
    type Map = Map;

    fn load(&self, values: &Tensor) -> Result<Map> {
        let (n, c, h, w) = values.dims4()?;
        if values.dtype() != DType::F32 {
            bail!("a map of {:?}", values.dtype());
        }
        match values.device() {
            Device::Cuda(_) => self.map_of(self.gpu.address_of(values)?, [n, c, h, w]),
            _ => {
                let values = values.flatten_all()?.to_vec1::<f32>()?;
                let values = self.gpu.upload(&values)?;
                self.map_of(self.gpu.address(&values), [n, c, h, w])
            }
        }
    }

    fn read(&self, map: &Map) -> Result<Tensor> {
        self.tensor_of(map)?.0.to_device(&Device::Cpu)
    }

    fn shape(&self, map: &Map) -> Shape {
        map.shape
    }

    fn conv_norm(&self, layer: &ConvNorm, x: &Map, residual: Option<&Map>) -> Result<Map> {
        self.convolve(layer.into(), x, residual)
    }

    fn conv(&self, layer: &Conv, x: &Map) -> Result<Map> {
        self.convolve(layer.into(), x, None)
    }

    fn group_norm(&self, layer: &GroupNorm, x: &Map) -> Result<Map> {
        self.normalise(layer, x)
    }

    fn relu(&self, x: &Map) -> Result<Map> {
        let y = Map::new(&self.gpu, x.shape, x.kind)?;
        self.simple("relu", [x, &y], over(x), [Argument::long(x.count())])?;
        Ok(y)
    }

    fn concat(&self, maps: &[&Map]) -> Result<Map> {
        let [images, _, height, width] = maps[0].shape;
        let channels = maps.iter().map(|map| map.shape[1]).sum();
        let all = Map::new(&self.gpu, [images, channels, height, width], maps[0].kind)?;
        let mut start = 0;
        for map in maps {
            self.copy(map, &all, map.shape, [0, start])?;
            start += map.shape[1];
        }
        Ok(all)
    }

    fn max_pool(&self, x: &Map) -> Result<Map> {
        x.compact()?;
        let [images, channels, height, width] = x.shape;
        let (rows, columns) = (height.div_ceil(2), width.div_ceil(2));
        let y = Map::new(&self.gpu, [images, channels, rows, columns], x.kind)?;
        self.simple("max_pool", [x, &y], lines(images * rows), x.sizes()?)?;
        Ok(y)
    }

    fn upsample(&self, x: &Map, factor: usize) -> Result<Map> {
        x.compact()?;
        let [images, channels, height, width] = x.shape;
        let shape = [images, channels, height * factor, width * factor];
        let y = Map::new(&self.gpu, shape, x.kind)?;
        let sizes = x.sizes()?.into_iter().chain([Argument::int(factor)?, Argument::Int(0)]);
        self.simple("upsample", [x, &y], lines(images * height * factor), sizes)?;
        Ok(y)
    }

    fn crop(&self, x: &Map, (height, width): (usize, usize)) -> Result<Map> {
        let [images, channels, ..] = x.shape;
        let shape = [images, channels, height, width];
        let y = Map::new(&self.gpu, shape, x.kind)?;
        self.copy(x, &y, shape, [0, 0])?;
        Ok(y)
    }

    fn conv_norm_gradient(
        &self,
        layer: &ConvNorm,
        x: &Map,
        y: &Map,
        dy: Map,
        wanted: Wanted,
        gradients: &mut GradStore,
    ) -> Result<Inputs<Map>> {
        self.convolve_back(layer.into(), (x, Some(y), dy), wanted, gradients)
    }

    fn conv_gradient(
        &self,
        layer: &Conv,
        x: &Map,
        dy: Map,
        wanted: bool,
        gradients: &mut GradStore,
    ) -> Result<Option<Map>> {
        let wanted = Wanted { input: wanted, residual: false };
        Ok(self.convolve_back(layer.into(), (x, None, dy), wanted, gradients)?.input)
    }

    fn group_norm_gradient(
        &self,
        layer: &GroupNorm,
        x: &Map,
        dy: Map,
        wanted: bool,
        gradients: &mut GradStore,
    ) -> Result<Option<Map>> {
        self.normalise_back(layer, x, dy, wanted, gradients)
    }

    fn relu_gradient(&self, y: &Map, dy: Map) -> Result<Map> {
        let dx = dy.reused(&self.gpu)?;
        let rows = 32;
        let mut arguments = [
            y.argument(&self.gpu),
            dy.argument(&self.gpu),
            dx.argument(&self.gpu),
            Argument::Address(0),
            Argument::long(y.pixels()),
            Argument::int(y.shape[1])?,
            Argument::int(rows)?,
        ];
        let grid = Grid::blocks([y.pixels().div_ceil(rows).max(1), 1, 1]);
        self.gpu.launch(&y.kernel("finish_gradient"), grid, &mut arguments)?;
        Ok(dx)
    }

    fn concat_gradient(&self, channels: &[usize], dy: Map) -> Result<Vec<Map>> {
        let [images, _, height, width] = dy.shape;
        let mut start = 0;
        let each = channels.iter().map(|&channels| {
            let shape = [images, channels, height, width];
            let dx = Map::new(&self.gpu, shape, dy.kind)?;
            self.copy(&dy, &dx, shape, [start, 0])?;
            start += channels;
            Ok(dx)
        });
        each.collect()
    }

    fn max_pool_gradient(&self, x: &Map, _y: &Map, dy: Map) -> Result<Map> {
        let [images, _, height, _] = x.shape;
        let dx = Map::new(&self.gpu, x.shape, x.kind)?;
        let into = std::iter::once(dx.argument(&self.gpu));
        let sizes = into.chain(x.sizes()?);
        self.simple("max_pool_gradient", [x, &dy], lines(images * height), sizes)?;
        Ok(dx)
    }

    fn upsample_gradient(&self, x: Shape, factor: usize, dy: Map) -> Result<Map> {
        let dx = Map::new(&self.gpu, x, dy.kind)?;
        let sizes = dx.sizes()?.into_iter().chain([Argument::int(factor)?]);
        self.simple("upsample_gradient", [&dy, &dx], lines(x[0] * x[2]), sizes)?;
        Ok(dx)
    }

    fn crop_gradient(&self, x: Shape, dy: Map) -> Result<Map> {
        let dx = Map::zeros(&self.gpu, x, dy.kind)?;
        self.copy(&dy, &dx, dy.shape, [0, 0])?;
        Ok(dx)
    }

    fn add(&self, sum: Map, other: &Map) -> Result<Map> {
        let all = sum.reused(&self.gpu)?;
        if all.address(&self.gpu) != sum.address(&self.gpu) {
            self.copy(&sum, &all, sum.shape, [0, 0])?;
        }
        self.simple("add", [&all, other], over(&all), [Argument::long(all.count())])?;
        Ok(all)
    }
}
