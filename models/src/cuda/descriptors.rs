//! cuDNN's handle and descriptors, freed when dropped.

use std::sync::Arc;

use candle_core::cuda_backend::cudarc::cudnn::{result, sys};
use candle_core::cuda_backend::cudarc::driver::CudaStream;
use candle_core::{Error, Result};

use crate::ops::Geometry;

/// What the values of a map are on the GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 32-bit floating point.
    F32,
    /// Its upper 16 bits.
    Bf16,
}

impl Kind {
    /// Bytes of a value.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }

    /// How the kernels for such values end.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }

    /// What the channels of a convolution are made up to a multiple of: 16 bytes, as a matrix unit takes them.
    pub fn channels(self) -> usize {
        16 / self.bytes()
    }

    fn of_cudnn(self) -> sys::cudnnDataType_t {
        match self {
            Self::F32 => sys::cudnnDataType_t::CUDNN_DATA_FLOAT,
            Self::Bf16 => sys::cudnnDataType_t::CUDNN_DATA_BFLOAT16,
        }
    }
}

/// A cuDNN handle on a stream.
pub struct Handle(sys::cudnnHandle_t);

// SAFETY: cuDNN's handles may be used by any thread, by one at a time; nothing here shares a `&Handle` between
// threads, as `Handle` is not `Sync`.
unsafe impl Send for Handle {}

impl Handle {
    /// A handle whose work goes to `stream`.
    ///
    /// # Errors
    /// cuDNN is missing or too old for the driver.
    pub fn new(stream: &Arc<CudaStream>) -> Result<Self> {
        stream.context().bind_to_thread().map_err(Error::wrap)?;
        let handle = Self(result::create_handle().map_err(Error::wrap)?);
        // SAFETY: a handle just made; the stream outlives it in `Gpu`. Both crates call the same type by
        // names of their own.
        unsafe { result::set_stream(handle.0, stream.cu_stream() as *mut _) }
            .map_err(Error::wrap)?;
        Ok(handle)
    }

    /// The handle itself.
    pub fn raw(&self) -> sys::cudnnHandle_t {
        self.0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the handle is ours and is not used again.
        let _ = unsafe { result::destroy_handle(self.0) };
    }
}

/// The descriptors of a convolution: its input, filter, output and how they meet. Channels are innermost.
pub struct Descriptors {
    /// `(images, c_in, height, width)`.
    pub x: sys::cudnnTensorDescriptor_t,
    /// `(c_out, c_in, kernel, kernel)`.
    pub w: sys::cudnnFilterDescriptor_t,
    /// `(images, c_out, rows, columns)`.
    pub y: sys::cudnnTensorDescriptor_t,
    /// Padding, stride, what it computes in.
    pub conv: sys::cudnnConvolutionDescriptor_t,
}

// SAFETY: plain data behind pointers that cuDNN only reads while one thread uses them.
unsafe impl Send for Descriptors {}

impl Descriptors {
    /// Those of `g` on maps of `kind`; with `tf32` f32 products may round their factors to 10 bits.
    ///
    /// # Errors
    /// Sizes that cuDNN refuses.
    pub fn new(g: &Geometry, kind: Kind, tf32: bool) -> Result<Self> {
        Self::described(g, kind, tf32).map_err(Error::wrap)
    }

    fn described(
        g: &Geometry,
        kind: Kind,
        tf32: bool,
    ) -> std::result::Result<Self, result::CudnnError> {
        let null = std::ptr::null_mut();
        let mut made = Self { x: null as _, w: null as _, y: null as _, conv: null as _ };
        made.x = result::create_tensor_descriptor()?;
        made.w = result::create_filter_descriptor()?;
        made.y = result::create_tensor_descriptor()?;
        made.conv = result::create_convolution_descriptor()?;
        let channels_last = sys::cudnnTensorFormat_t::CUDNN_TENSOR_NHWC;
        let values = kind.of_cudnn();
        let x = [g.images, g.c_in, g.height, g.width].map(|size| size as i32);
        let w = [g.c_out, g.c_in, g.kernel, g.kernel].map(|size| size as i32);
        let y = [g.images, g.c_out, g.rows_out(), g.columns_out()].map(|size| size as i32);
        let [padding, stride] = [g.padding, g.stride].map(|size| size as i32);
        let math = if kind == Kind::F32 && !tf32 {
            sys::cudnnMathType_t::CUDNN_FMA_MATH
        } else {
            sys::cudnnMathType_t::CUDNN_TENSOR_OP_MATH
        };
        // SAFETY: descriptors just made, of the kinds that the functions want.
        unsafe {
            result::set_tensor4d_descriptor(made.x, channels_last, values, x)?;
            result::set_filter4d_descriptor(made.w, values, channels_last, w)?;
            result::set_tensor4d_descriptor(made.y, channels_last, values, y)?;
            result::set_convolution2d_descriptor(
                made.conv,
                padding,
                padding,
                stride,
                stride,
                1,
                1,
                sys::cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION,
                // Sums are f32 whatever the values are.
                sys::cudnnDataType_t::CUDNN_DATA_FLOAT,
            )?;
            result::set_convolution_math_type(made.conv, math)?;
        }
        Ok(made)
    }
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        // SAFETY: the descriptors are ours, and those that were made are freed once.
        unsafe {
            if !self.x.is_null() {
                let _ = result::destroy_tensor_descriptor(self.x);
            }
            if !self.w.is_null() {
                let _ = result::destroy_filter_descriptor(self.w);
            }
            if !self.y.is_null() {
                let _ = result::destroy_tensor_descriptor(self.y);
            }
            if !self.conv.is_null() {
                let _ = result::destroy_convolution_descriptor(self.conv);
            }
        }
    }
}
