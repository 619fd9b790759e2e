//! Inputs and outputs that stay where they are from run to run.
//!
//! A session that is handed a photo in ordinary memory and asked for its outputs copies each twice: once into
//! memory that the device can reach, once over the bus. Bound, the photo is written straight into page-locked
//! memory, and the device writes its outputs into such memory; both are kept as long as the photos' shape is the
//! same. What is computed is the same, bit by bit; with ordinary memory it works on the processor, too, which is
//! how it is tested.

use anyhow::{Context, Result, ensure};
use irn_models::error::Hint;
use ndarray::{ArrayD, ArrayView4, ArrayViewD, ArrayViewMut4};
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{IoBinding, Session};
use ort::value::{DynTensor, Tensor, TensorValueType};

use super::environment::plain;
use super::session::Pixel;
use crate::device::Place;

/// The memory bound to one session.
pub(crate) struct Bound {
    binding: IoBinding,
    /// The photos' shape, and their memory.
    input: Option<(Vec<usize>, DynTensor)>,
    allocator: Allocator,
    memory: MemoryInfo<'static>,
}

impl Bound {
    /// Nothing bound yet.
    pub(crate) fn new(session: &Session, place: Place) -> Result<Self> {
        let binding = session.create_binding().map_err(plain)?;
        let (memory, allocator) = match place {
            Place::Cpu => (memory(AllocationDevice::CPU, 0)?, Allocator::default()),
            Place::Cuda(number) => page_locked(session, number)
                .context("no page-locked memory")
                .hint("infer.pinned=false does without")?,
        };
        Ok(Self { binding, input: None, allocator, memory })
    }

    /// Runs the session; the outputs in the order of `outputs`.
    pub(crate) fn run<T: Pixel>(
        &mut self,
        session: &mut Session,
        input: &str,
        outputs: &[String],
        photos: ArrayView4<'_, T>,
    ) -> Result<Vec<ArrayD<f32>>> {
        if !self.fits::<T>(photos.shape()) {
            self.bind::<T>(photos.shape(), outputs)?;
        }
        let (_, tensor) = self.input.as_mut().context("the photos' memory is bound")?;
        within_reach(tensor.memory_info())?;
        // SAFETY: the tensor was made with this shape and element type, row by row, lies within the processor's
        // reach, and nothing else uses it: the last run is over.
        unsafe {
            ArrayViewMut4::from_shape_ptr(photos.raw_dim(), tensor.data_ptr_mut().cast::<T>())
        }
        .assign(&photos);
        // Binding is what starts the copy to the device.
        self.binding.bind_input(input, tensor).map_err(plain)?;
        self.binding.synchronize_inputs().map_err(plain)?;
        let mut values = session.run_binding(&self.binding).map_err(plain)?;
        self.binding.synchronize_outputs().map_err(plain)?;
        let mut next = |name: &String| {
            let value = values.remove(name).with_context(|| format!("no output `{name}`"))?;
            read(&value.downcast::<TensorValueType<f32>>().map_err(plain)?)
        };
        outputs.iter().map(&mut next).collect()
    }

    fn fits<T: Pixel>(&self, shape: &[usize]) -> bool {
        self.input.as_ref().is_some_and(|(known, tensor)| {
            known == shape && *tensor.data_type() == T::into_tensor_element_type()
        })
    }

    /// Memory for photos of another shape. ONNX Runtime allocates that of the outputs in the next run and
    /// keeps it until they are bound anew.
    fn bind<T: Pixel>(&mut self, shape: &[usize], outputs: &[String]) -> Result<()> {
        self.binding.clear();
        let tensor = Tensor::<T>::new(&self.allocator, shape.to_vec()).map_err(plain)?;
        self.input = Some((shape.to_vec(), tensor.upcast()));
        for output in outputs {
            self.binding.bind_output_to_device(output, &self.memory).map_err(plain)?;
        }
        Ok(())
    }
}

/// A copy of an output.
fn read(tensor: &Tensor<f32>) -> Result<ArrayD<f32>> {
    within_reach(tensor.memory_info())?;
    let shape: Result<Vec<usize>, _> = tensor.shape().iter().map(|&size| size.try_into()).collect();
    // SAFETY: it holds f32 of this shape, row by row, lies within the processor's reach, and the device is done
    // with it.
    Ok(unsafe { ArrayViewD::from_shape_ptr(shape?, tensor.data_ptr().cast::<f32>()) }.to_owned())
}

/// Whether the processor may read and write there. `ort` refuses page-locked memory from ONNX Runtime 1.23 on, which
/// calls it the device's, though it is the processor's as well: hence the pointers.
fn within_reach(memory: &MemoryInfo) -> Result<()> {
    let device = memory.allocation_device();
    let known = [AllocationDevice::CPU, AllocationDevice::CUDA_PINNED].contains(&device);
    ensure!(known, "memory of {} is out of reach", device.as_str());
    Ok(())
}

/// Memory that both the processor and the device reach. Versions of ONNX Runtime differ in whether they know it
/// by the device's number or, as it is the processor's, by 0.
fn page_locked(session: &Session, number: u32) -> Result<(MemoryInfo<'static>, Allocator)> {
    let of = |number| {
        let device = || memory(AllocationDevice::CUDA_PINNED, number);
        Ok((device()?, Allocator::new(session, device()?).map_err(plain)?))
    };
    of(i32::try_from(number)?).or_else(|_| of(0))
}

fn memory(device: AllocationDevice<'static>, number: i32) -> Result<MemoryInfo<'static>> {
    let kind = if device == AllocationDevice::CPU { MemoryType::Default } else { MemoryType::CPU };
    MemoryInfo::new(device, number, AllocatorType::Device, kind).map_err(plain)
}
