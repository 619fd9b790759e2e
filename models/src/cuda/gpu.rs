//! One GPU: its stream, its memory and our kernels on it.
//!
//! Everything of a training step runs on Candle's one stream, in the order in which it is launched, and memory
//! is taken and given back in the same order: nothing needs to wait for anything. Only photos come by a stream
//! of their own ([`super::photos`]), which the first stream waits for.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::Arc;

use super::profile::Profile;
use candle_core::cuda_backend::cudarc::driver::{
    CudaFunction, CudaModule, CudaSlice, CudaStream, DevicePtr, DeviceRepr, result, sys,
};
use candle_core::cuda_backend::cudarc::nvrtc::Ptx;
use candle_core::op::BackpropOp;
use candle_core::{CudaDevice, CudaStorage, Error, Result, Shape, Storage, Tensor, bail};

/// Our kernels for every architecture since Turing (compute capability 7.5), compiled by `build.rs`: the
/// machine needs a driver and no compiler.
static KERNELS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/kernels.fatbin"));

/// A kernel's argument.
#[derive(Clone, Copy, Debug)]
pub enum Argument {
    /// An address in the GPU's memory; 0 is null.
    Address(u64),
    /// `int`.
    Int(i32),
    /// `long long`.
    Long(i64),
    /// `float`.
    Float(f32),
}

impl Argument {
    /// A size as `int`.
    ///
    /// # Errors
    /// A size beyond 2^31.
    pub fn int(size: usize) -> Result<Self> {
        match i32::try_from(size) {
            Ok(size) => Ok(Self::Int(size)),
            Err(_) => bail!("{size} is too much for a kernel"),
        }
    }

    /// A size as `long long`.
    pub fn long(size: usize) -> Self {
        Self::Long(size as i64)
    }

    fn pointer(&mut self) -> *mut c_void {
        match self {
            Self::Address(value) => std::ptr::from_mut(value).cast(),
            Self::Int(value) => std::ptr::from_mut(value).cast(),
            Self::Long(value) => std::ptr::from_mut(value).cast(),
            Self::Float(value) => std::ptr::from_mut(value).cast(),
        }
    }
}

/// How many threads run a kernel.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    /// Blocks along x, y, z.
    pub blocks: [usize; 3],
    /// Threads of a block.
    pub threads: u32,
}

impl Grid {
    /// A thread for each of `count` items, or fewer threads that go on to further ones.
    pub fn over(count: usize) -> Self {
        const THREADS: usize = 256;
        const MOST: usize = 1 << 16;
        Self { blocks: [count.div_ceil(THREADS).clamp(1, MOST), 1, 1], threads: THREADS as u32 }
    }

    /// Blocks of 256 threads.
    pub fn blocks(blocks: [usize; 3]) -> Self {
        Self { blocks, threads: 256 }
    }
}

/// A GPU as a training step uses it.
pub struct Gpu {
    device: CudaDevice,
    stream: Arc<CudaStream>,
    module: Arc<CudaModule>,
    functions: RefCell<HashMap<String, CudaFunction>>,
    pub(super) profile: Profile,
}

impl Gpu {
    /// Loads the kernels onto `device`.
    ///
    /// # Errors
    /// A driver that refuses them: one older than the program, or a GPU before Turing.
    pub fn new(device: &CudaDevice) -> Result<Self> {
        let stream = device.cuda_stream();
        // SAFETY: all memory is taken, used and given back on this one stream; what comes by another is waited
        // for by an event of its own. Tracking every use of every buffer would be two events a buffer.
        unsafe { stream.context().disable_event_tracking() };
        keep_freed_memory(&stream);
        let module = stream.context().load_module(Ptx::from_binary(KERNELS.to_vec()));
        let module = module.map_err(Error::wrap)?;
        let (functions, profile) = Default::default();
        Ok(Self { device: device.clone(), stream, module, functions, profile })
    }

    /// The stream on which everything happens.
    pub fn stream(&self) -> &Arc<CudaStream> {
        &self.stream
    }

    /// Memory for `bytes` bytes, not written yet.
    pub fn take(&self, bytes: usize) -> Result<CudaSlice<u8>> {
        // SAFETY: whoever takes memory has a kernel write all of it before one reads it.
        unsafe { self.stream.alloc(bytes.max(1)) }.map_err(Error::wrap)
    }

    /// Memory for `bytes` zeros.
    pub fn zeros(&self, bytes: usize) -> Result<CudaSlice<u8>> {
        self.stream.alloc_zeros(bytes.max(1)).map_err(Error::wrap)
    }

    /// A copy of `values`, which may go at once.
    pub fn upload<T: DeviceRepr>(&self, values: &[T]) -> Result<CudaSlice<u8>> {
        // SAFETY: the values of a `DeviceRepr` are plain bytes.
        let bytes = unsafe {
            std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), size_of_val(values))
        };
        let buffer = self.take(bytes.len())?;
        self.stream.context().bind_to_thread().map_err(Error::wrap)?;
        // SAFETY: as much room as there are bytes; memory that may be paged out is read before this returns.
        unsafe { result::memcpy_htod_async(self.address(&buffer), bytes, self.stream.cu_stream()) }
            .map_err(Error::wrap)?;
        Ok(buffer)
    }

    /// The address of a buffer of ours.
    pub fn address(&self, buffer: &CudaSlice<u8>) -> u64 {
        buffer.device_ptr(&self.stream).0
    }

    /// The address of a contiguous f32 tensor's values on this GPU.
    ///
    /// The tensor must outlive the launch; memory given back later is given back in the stream's order.
    pub fn address_of(&self, tensor: &Tensor) -> Result<u64> {
        let (storage, layout) = tensor.storage_and_layout();
        let (Storage::Cuda(storage), Some((start, _))) = (&*storage, layout.contiguous_offsets())
        else {
            bail!("a tensor that is not contiguous on the GPU: {:?}", tensor.shape())
        };
        let slice = storage.as_cuda_slice::<f32>()?;
        Ok(slice.device_ptr(&self.stream).0 + (start * size_of::<f32>()) as u64)
    }

    /// An f32 tensor of `shape` that nobody has written yet, and its address.
    pub fn tensor(&self, shape: impl Into<Shape>) -> Result<(Tensor, u64)> {
        let shape = shape.into();
        // SAFETY: as in `take`.
        let values = unsafe { self.stream.alloc::<f32>(shape.elem_count().max(1)) };
        let values = values.map_err(Error::wrap)?;
        let address = values.device_ptr(&self.stream).0;
        let storage = Storage::Cuda(CudaStorage::wrap_cuda_slice(values, self.device.clone()));
        Ok((Tensor::from_storage(storage, shape, BackpropOp::none(), false), address))
    }

    /// Runs the kernel called `name`.
    ///
    /// # Errors
    /// A kernel that does not exist, a launch that the driver refuses.
    pub fn launch(&self, name: &str, grid: Grid, arguments: &mut [Argument]) -> Result<()> {
        if !self.functions.borrow().contains_key(name) {
            let function = self.module.load_function(name).map_err(Error::wrap)?;
            self.functions.borrow_mut().insert(name.to_string(), function);
        }
        let functions = self.functions.borrow();
        let [x, y, z] = grid.blocks.map(|blocks| blocks as u32);
        let mut pointers: Vec<*mut c_void> = arguments.iter_mut().map(Argument::pointer).collect();
        self.stream.context().bind_to_thread().map_err(Error::wrap)?;
        let launched = self.profile.timed(&self.stream, name, || {
            let (blocks, threads) = ((x, y, z), (grid.threads, 1, 1));
            let (function, stream) = (functions[name].cu_function(), self.stream.cu_stream());
            // SAFETY: the arguments are those of the kernel's signature (each call has a test against the
            // operation's twin on the processor) and live until the driver has copied them.
            unsafe { result::launch_kernel(function, blocks, threads, 0, stream, &mut pointers) }
                .map_err(Error::wrap)
        });
        match launched {
            Ok(()) => Ok(()),
            Err(error) => bail!("kernel {name} on {grid:?}: {error}"),
        }
    }
}

impl Gpu {
    /// The most memory that was taken at any one time, bytes; none where the driver does not count.
    pub fn peak(&self) -> Option<u64> {
        let attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH;
        let mut peak = 0u64;
        // SAFETY: the context's own device; the attribute is a u64.
        let asked = unsafe {
            let pool = result::device::get_default_mem_pool(self.stream.context().cu_device());
            let value = std::ptr::from_mut(&mut peak).cast();
            pool.and_then(|pool| result::mem_pool::get_attribute(pool, attribute, value))
        };
        asked.ok().map(|()| peak)
    }
}

/// Memory that is given back stays with the process: else every synchronisation would give it to the
/// driver, and the next step would take it anew.
fn keep_freed_memory(stream: &CudaStream) {
    let threshold = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    let mut most = u64::MAX;
    // SAFETY: the context's own device; the attribute is a u64. A driver without memory pools says so, which
    // costs time and nothing else.
    unsafe {
        if let Ok(pool) = result::device::get_default_mem_pool(stream.context().cu_device()) {
            let value = std::ptr::from_mut(&mut most).cast();
            let _ = result::mem_pool::set_attribute(pool, threshold, value);
        }
    }
}
