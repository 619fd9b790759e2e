//! Where a step's time goes on the GPU: the time from before to after everything that is launched, by name.

use std::cell::RefCell;
use std::collections::BTreeMap;

use candle_core::cuda_backend::cudarc::driver::{CudaEvent, CudaStream, sys};
use candle_core::{Error, Result};

use super::engine::CudaEngine;

/// The milliseconds of all launches of a name, and their number.
pub type Times = BTreeMap<String, (f64, usize)>;

/// A name, and the events before and after what was launched.
type Span = (String, CudaEvent, CudaEvent);

/// What was launched since somebody began to ask.
#[derive(Default)]
pub struct Profile(RefCell<Option<Vec<Span>>>);

impl Profile {
    /// Launches something, and notes its time if somebody asks for it.
    ///
    /// # Errors
    /// Those of `launch`, and of the driver.
    pub fn timed<R>(
        &self,
        stream: &CudaStream,
        name: &str,
        launch: impl FnOnce() -> Result<R>,
    ) -> Result<R> {
        if self.0.borrow().is_none() {
            return launch();
        }
        let now = || {
            let flags = Some(sys::CUevent_flags::CU_EVENT_DEFAULT);
            stream.record_event(flags).map_err(Error::wrap)
        };
        let before = now()?;
        let result = launch()?;
        let span = (name.to_string(), before, now()?);
        self.0.borrow_mut().get_or_insert_default().push(span);
        Ok(result)
    }
}

impl CudaEngine {
    /// Runs `step` to its end and says where its time went. What this adds to the time of every launch is some
    /// microseconds.
    ///
    /// # Errors
    /// Those of `step`, and of the driver.
    pub fn profiled<R>(&self, step: impl FnOnce() -> Result<R>) -> Result<(R, Times)> {
        *self.gpu.profile.0.borrow_mut() = Some(Vec::new());
        let result = step();
        let spans = self.gpu.profile.0.take().unwrap_or_default();
        let result = result?;
        self.wait()?;
        let mut times = Times::new();
        for (name, before, after) in spans {
            let milliseconds = before.elapsed_ms(&after).map_err(Error::wrap)?;
            let (sum, count) = times.entry(name).or_default();
            *sum += f64::from(milliseconds);
            *count += 1;
        }
        Ok((result, times))
    }

    /// The most memory that was taken at any one time, bytes; none where the driver does not count.
    pub fn peak(&self) -> Option<u64> {
        self.gpu.peak()
    }

    /// Waits for everything that was launched.
    ///
    /// # Errors
    /// What went wrong on the GPU since it was last waited for.
    pub fn wait(&self) -> Result<()> {
        self.gpu.stream().synchronize().map_err(Error::wrap)
    }
}
