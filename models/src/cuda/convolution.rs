//! Convolutions by cuDNN: forward, gradient of the input, gradient of the filter.
//!
//! How to compute one is chosen once for each shape, by cuDNN's own estimate, which tries nothing out: among the
//! ways that give the same bits every time (cuDNN has one for every shape so far), the fastest whose working memory
//! fits. The working memory is shared
//! by all, as they come one after the other.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_void;

use candle_core::cuda_backend::cudarc::cudnn::{result, sys};
use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::{Error, Result, bail};

use super::descriptors::{Descriptors, Handle, Kind};
use super::gpu::Gpu;
use crate::ops::Geometry;

/// Most working memory of a convolution, bytes.
const MOST: usize = 1 << 30;

/// What is computed from what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pass {
    /// Output from input and filter.
    Forward,
    /// The input's gradient from filter and the output's gradient.
    Input,
    /// The filter's gradient from input and the output's gradient.
    Filter,
}

/// A way to compute a pass: cuDNN's number for it, and its working memory in bytes.
#[derive(Clone, Copy)]
enum Way {
    Forward(sys::cudnnConvolutionFwdAlgo_t),
    Input(sys::cudnnConvolutionBwdDataAlgo_t),
    Filter(sys::cudnnConvolutionBwdFilterAlgo_t),
}

struct Plan {
    descriptors: Descriptors,
    way: Way,
    memory: usize,
}

/// cuDNN with what it has chosen so far.
pub struct Convolutions {
    handle: Handle,
    tf32: bool,
    plans: RefCell<HashMap<(Geometry, Kind, Pass), Plan>>,
    memory: RefCell<Option<CudaSlice<u8>>>,
}

/// The addresses of input, filter and output, or of their gradients.
#[derive(Clone, Copy)]
pub struct Operands {
    /// Input `(images, height, width, c_in)`.
    pub x: u64,
    /// Filter `(c_out, kernel, kernel, c_in)`.
    pub w: u64,
    /// Output `(images, rows, columns, c_out)`.
    pub y: u64,
}

impl Convolutions {
    /// Starts cuDNN on the GPU's stream.
    ///
    /// # Errors
    /// cuDNN is missing.
    pub fn new(gpu: &Gpu, tf32: bool) -> Result<Self> {
        let handle = Handle::new(gpu.stream())?;
        Ok(Self { handle, tf32, plans: RefCell::default(), memory: RefCell::default() })
    }

    /// Launches `pass` of `g` on values of `kind`; one of the operands is written, the others are read.
    ///
    /// # Errors
    /// A shape for which cuDNN knows no way, or too little memory.
    pub fn run(
        &self,
        gpu: &Gpu,
        g: &Geometry,
        kind: Kind,
        pass: Pass,
        operands: Operands,
    ) -> Result<()> {
        let key = (*g, kind, pass);
        if !self.plans.borrow().contains_key(&key) {
            let plan = self.plan(g, kind, pass)?;
            self.plans.borrow_mut().insert(key, plan);
        }
        let plans = self.plans.borrow();
        let plan = &plans[&key];
        let memory = self.memory(gpu, plan.memory)?;
        let name = format!("convolution {} {kind:?}", format!("{pass:?}").to_lowercase());
        let done = gpu.profile.timed(gpu.stream(), &name, || {
            // SAFETY: the operands' buffers have the sizes that `g` says (each caller takes them so), and live
            // until given back in the stream's order.
            unsafe { plan.launch(&self.handle, operands, memory) }.map_err(Error::wrap)
        });
        match done {
            Ok(()) => Ok(()),
            Err(error) => bail!("cuDNN failed on {pass:?} of {g:?} in {kind:?}: {error}"),
        }
    }

    /// The address of at least `bytes` bytes.
    fn memory(&self, gpu: &Gpu, bytes: usize) -> Result<u64> {
        let mut memory = self.memory.borrow_mut();
        if memory.as_ref().is_none_or(|memory| memory.len() < bytes) {
            *memory = None;
            *memory = Some(gpu.take(bytes)?);
        }
        Ok(memory.as_ref().map_or(0, |memory| gpu.address(memory)))
    }

    fn plan(&self, g: &Geometry, kind: Kind, pass: Pass) -> Result<Plan> {
        let descriptors = Descriptors::new(g, kind, self.tf32)?;
        // SAFETY: descriptors of this geometry, a live handle.
        let chosen = unsafe { choose(&self.handle, &descriptors, pass) }.map_err(Error::wrap)?;
        match chosen {
            Some((way, memory)) => Ok(Plan { descriptors, way, memory }),
            None => bail!("cuDNN knows no way to compute {pass:?} of {g:?} in {kind:?}"),
        }
    }
}

/// The first of the estimated ways, fastest first, that works, fits and repeats itself; one that does not repeat
/// itself where there is no other.
macro_rules! first_fit {
    ($results:expr, $count:expr, $way:path) => {{
        let fit = |repeats: bool| {
            let same = sys::cudnnDeterminism_t::CUDNN_DETERMINISTIC;
            let mut found = $results[..$count as usize].iter();
            found.find(|found| {
                let works = found.status == sys::cudnnStatus_t::CUDNN_STATUS_SUCCESS;
                works && found.memory <= MOST && (found.determinism == same || !repeats)
            })
        };
        fit(true).or_else(|| fit(false)).map(|found| ($way(found.algo), found.memory))
    }};
}

/// # Safety
/// Live descriptors of one convolution, a live handle.
unsafe fn choose(
    handle: &Handle,
    d: &Descriptors,
    pass: Pass,
) -> std::result::Result<Option<(Way, usize)>, result::CudnnError> {
    const MANY: usize = 16;
    let (handle, mut count) = (handle.raw(), 0i32);
    let found = &raw mut count;
    // SAFETY: room for as many results as are asked for; all of them are plain numbers, for which zeros will do.
    unsafe {
        Ok(match pass {
            Pass::Forward => {
                let mut results = [std::mem::zeroed(); MANY];
                let list = results.as_mut_ptr();
                result::get_convolution_forward_algorithm(
                    handle,
                    d.x,
                    d.w,
                    d.conv,
                    d.y,
                    MANY as i32,
                    found,
                    list,
                )?;
                first_fit!(results, count, Way::Forward)
            }
            Pass::Input => {
                let mut results = [std::mem::zeroed(); MANY];
                let list = results.as_mut_ptr();
                result::get_convolution_backward_data_algorithm(
                    handle,
                    d.w,
                    d.y,
                    d.conv,
                    d.x,
                    MANY as i32,
                    found,
                    list,
                )?;
                first_fit!(results, count, Way::Input)
            }
            Pass::Filter => {
                let mut results = [std::mem::zeroed(); MANY];
                let list = results.as_mut_ptr();
                result::get_convolution_backward_filter_algorithm(
                    handle,
                    d.x,
                    d.y,
                    d.conv,
                    d.w,
                    MANY as i32,
                    found,
                    list,
                )?;
                first_fit!(results, count, Way::Filter)
            }
        })
    }
}

impl Plan {
    /// # Safety
    /// Operands and working memory of the sizes that the descriptors say.
    unsafe fn launch(
        &self,
        handle: &Handle,
        Operands { x, w, y }: Operands,
        memory: u64,
    ) -> std::result::Result<(), result::CudnnError> {
        let (one, zero) = (1f32, 0f32);
        let one = std::ptr::from_ref(&one).cast::<c_void>();
        let zero = std::ptr::from_ref(&zero).cast::<c_void>();
        let [x, w, y, memory] = [x, w, y, memory].map(|address| address as *mut c_void);
        let (handle, d, size) = (handle.raw(), &self.descriptors, self.memory);
        // SAFETY: the caller's promise.
        unsafe {
            match self.way {
                Way::Forward(way) => result::convolution_forward(
                    handle, one, d.x, x, d.w, w, d.conv, way, memory, size, zero, d.y, y,
                ),
                Way::Input(way) => result::convolution_backward_data(
                    handle, one, d.w, w, d.y, y, d.conv, way, memory, size, zero, d.x, x,
                ),
                Way::Filter(way) => result::convolution_backward_filter(
                    handle, one, d.x, x, d.y, y, d.conv, way, memory, size, zero, d.w, w,
                ),
            }
        }
    }
}
