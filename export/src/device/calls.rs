//! The functions of the driver's library that [`driver`](super::driver) calls, each with the type that it has in
//! `cuda.h`. All that is not safe about asking the driver is here.

use std::ffi::{CStr, c_char, c_int};
use std::path::Path;

use anyhow::{Result, anyhow};
use irn_models::error::Hint;
use libloading::Library;

use super::libraries::why;

/// The driver's answer where all is well.
const SUCCESS: c_int = 0;
/// Its answer where it sees no device.
pub(super) const NO_DEVICE: c_int = 100;
/// Attributes of a device: its compute capability.
const CAPABILITY: [c_int; 2] = [75, 76];

type Init = unsafe extern "C" fn(c_int) -> c_int;
type Out<T> = unsafe extern "C" fn(*mut T) -> c_int;
type OutOf<T> = unsafe extern "C" fn(*mut T, c_int) -> c_int;
type Name = unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int;
type Attribute = unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int;
type Explain = unsafe extern "C" fn(c_int, *mut *const c_char) -> c_int;

/// The library, opened.
pub(super) struct Calls(Library);

impl Calls {
    /// Opens the library; the linker's reason where it can't be.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        // SAFETY: the driver's library is made to be opened by any program at any time; what it runs when it is
        // opened does not depend on us.
        unsafe { Library::new(path) }.map(Self).map_err(why)
    }

    /// `cuInit`: to be called first.
    pub(super) fn init(&self) -> Result<()> {
        // SAFETY: the type is `cuda.h`'s; the flags must be 0.
        let code = unsafe { self.0.get::<Init>(b"cuInit")?(0) };
        self.said("cuInit", code)
    }

    /// The newest CUDA it runs, 1000 times the major version and 10 times the minor.
    pub(super) fn version(&self) -> Result<c_int> {
        // SAFETY: `cuDriverGetVersion(int *)`.
        unsafe { self.out("cuDriverGetVersion") }
    }

    /// Number of devices.
    pub(super) fn count(&self) -> Result<c_int> {
        // SAFETY: `cuDeviceGetCount(int *)`.
        unsafe { self.out("cuDeviceGetCount") }
    }

    /// The driver's handle of a device.
    pub(super) fn device(&self, number: c_int) -> Result<c_int> {
        // SAFETY: `cuDeviceGet(CUdevice *, int)`, where a `CUdevice` is an `int`.
        unsafe { self.out_of("cuDeviceGet", number) }
    }

    /// Bytes of a device's memory.
    pub(super) fn memory(&self, device: c_int) -> Result<usize> {
        // SAFETY: `cuDeviceTotalMem_v2(size_t *, CUdevice)`.
        unsafe { self.out_of("cuDeviceTotalMem_v2", device) }
    }

    pub(super) fn name(&self, device: c_int) -> Result<String> {
        let mut text = [0 as c_char; 256];
        // SAFETY: the type is `cuda.h`'s; the driver is told the buffer's length, less the 0 that ends it.
        let code = unsafe {
            let length = text.len() as c_int - 1;
            self.0.get::<Name>(b"cuDeviceGetName")?(text.as_mut_ptr(), length, device)
        };
        self.said("cuDeviceGetName", code)?;
        // SAFETY: the buffer ends with a 0.
        Ok(unsafe { CStr::from_ptr(text.as_ptr()) }.to_string_lossy().into_owned())
    }

    /// Major and minor compute capability.
    pub(super) fn capability(&self, device: c_int) -> Result<[c_int; 2]> {
        let mut capability = [0; 2];
        for (value, which) in capability.iter_mut().zip(CAPABILITY) {
            // SAFETY: the type is `cuda.h`'s; the pointer is to an `int`.
            let code =
                unsafe { self.0.get::<Attribute>(b"cuDeviceGetAttribute")?(value, which, device) };
            self.said("cuDeviceGetAttribute", code)?;
        }
        Ok(capability)
    }

    /// # Safety
    /// `name` has the type [`Out<T>`].
    unsafe fn out<T: Default>(&self, name: &str) -> Result<T> {
        let mut value = T::default();
        // SAFETY: the caller's.
        let code = unsafe { self.0.get::<Out<T>>(name)?(&mut value) };
        self.said(name, code).map(|()| value)
    }

    /// # Safety
    /// `name` has the type [`OutOf<T>`].
    unsafe fn out_of<T: Default>(&self, name: &str, of: c_int) -> Result<T> {
        let mut value = T::default();
        // SAFETY: the caller's.
        let code = unsafe { self.0.get::<OutOf<T>>(name)?(&mut value, of) };
        self.said(name, code).map(|()| value)
    }

    fn said(&self, call: &str, code: c_int) -> Result<()> {
        match code {
            SUCCESS => Ok(()),
            NO_DEVICE => no_device(),
            code => Err(anyhow!("the NVIDIA driver fails: {call}: {}", self.explained(code))).hint(
                "does `nvidia-smi` work? After an update of the driver the machine must restart",
            ),
        }
    }

    fn explained(&self, code: c_int) -> String {
        let mut text = std::ptr::null();
        // SAFETY: the type is `cuda.h`'s; the pointer is to a pointer.
        let asked =
            unsafe { self.0.get::<Explain>(b"cuGetErrorString").map(|f| f(code, &mut text)) };
        if asked.is_err() || text.is_null() {
            return format!("error {code}");
        }
        // SAFETY: not null; the driver's strings end with a 0 and live as long as its library.
        let text = unsafe { CStr::from_ptr(text) };
        format!("error {code}, {}", text.to_string_lossy())
    }
}

/// A driver without a device.
pub(super) fn no_device<T>() -> Result<T> {
    Err(anyhow!("the NVIDIA driver sees no device"))
        .hint("CUDA_VISIBLE_DEVICES may hide them; `nvidia-smi -L` lists those that there are")
}
