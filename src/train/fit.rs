//! The training loop: order, batches, step, log, checkpoint.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Result, anyhow};
use candle_core::backprop::GradStore;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::ThreadPool;

use super::machine::{Losses, Machine};
use super::optimizer::PolySgd;
use super::state;
use crate::config::OptimConfig;
use crate::data::augment::sample_rng;
use crate::error::Hint;
use crate::interrupt::{self, Interrupted};
use crate::log::{Entry, Log};
use crate::overlap::{self, overlapped};
use crate::progress::Progress;

/// What one training is about.
pub trait Task: Sync {
    /// One augmented image with its label.
    type Sample: Send;

    /// Name of the log and of the checkpoint: `cam` or `irn`.
    fn name(&self) -> &'static str;
    /// Number of training images.
    fn images(&self) -> usize;
    /// Name of image `index`, for messages.
    fn image_name(&self, index: usize) -> &str;
    /// Reads and augments image `index`; on loader threads.
    ///
    /// # Errors
    /// A photo or label that can't be read.
    fn sample(&self, index: usize, rng: &mut ChaCha8Rng) -> Result<Self::Sample>;
    /// Where it trains.
    fn machine(&self) -> &Machine;
    /// The losses of a batch, and the gradients of the parameters.
    ///
    /// # Errors
    /// Those of the network's operations.
    fn gradients(&self, batch: Vec<Self::Sample>) -> Result<(Losses, GradStore)>;
    /// The losses by name, for the log: first what is minimised.
    fn named(&self, losses: &[f32]) -> Vec<(&'static str, f32)>;
    /// The loss of the validation set after an epoch, if there is one.
    ///
    /// # Errors
    /// Those of the validation.
    fn validate(&self, _pool: &ThreadPool) -> Result<Option<f64>> {
        Ok(None)
    }
}

/// Surroundings of a training.
pub struct Setting<'a> {
    /// Batch size, epochs and rates.
    pub optim: &'a OptimConfig,
    /// Seed of order and augmentation.
    pub seed: u64,
    /// Loader threads.
    pub threads: usize,
    /// Directory of the log files.
    pub log_dir: PathBuf,
    /// The resumable checkpoint.
    pub state: state::StateFile,
}

/// Steps per epoch: images over batch size, the incomplete last batch dropped.
///
/// # Errors
/// Fewer images than a batch.
pub fn steps_per_epoch(name: &str, images: usize, optim: &OptimConfig) -> Result<usize> {
    match images / optim.batch {
        0 => Err(anyhow!("{images} training images are fewer than a batch of {}", optim.batch))
            .hint(format!("set {name}.train.batch={} or less", images.max(1))),
        steps => Ok(steps),
    }
}

/// Trains to the end, from the start or from where `setting.state` stands. Returns the names of images
/// that could not be used, with the reason; the next readable image of the list took their place.
///
/// # Errors
/// No readable image, a loss that is not finite, a log or checkpoint that can't be written, Ctrl-C.
pub fn fit<T: Task>(
    task: &T,
    optimizer: &mut PolySgd,
    setting: &Setting,
) -> Result<BTreeMap<String, String>> {
    let batch = setting.optim.batch;
    let per_epoch = steps_per_epoch(task.name(), task.images(), setting.optim)?;
    let total = per_epoch * setting.optim.epochs;
    setting.state.resume(optimizer)?;
    let mut journal = Journal::open(task, setting, optimizer.step, total)?;
    let pool = overlap::pool(setting.threads)?;
    let skipped = Mutex::new(BTreeMap::new());
    while optimizer.step < total {
        let epoch = optimizer.step / per_epoch;
        let order = order(setting.seed, epoch, task.images());
        let todo = &order[optimizer.step % per_epoch * batch..per_epoch * batch];
        let mut waiting = Instant::now();
        let mut samples = Vec::with_capacity(batch);
        let prepare = |index: usize| sample_or_next(task, index, setting.seed, epoch, &skipped);
        let run = overlapped(&pool, 2 * batch, todo.iter().copied(), prepare, |sample| {
            samples.push(sample?);
            if samples.len() < batch {
                return Ok(());
            }
            let wait = waiting.elapsed().as_secs_f64();
            let (losses, gradients) = task.gradients(std::mem::take(&mut samples))?;
            optimizer.step(&gradients, task.machine())?;
            let rate = optimizer.rates().first().copied().unwrap_or_default();
            journal.note(Launched { step: optimizer.step, epoch, rate, wait, losses })?;
            waiting = Instant::now();
            Ok(())
        });
        match run {
            Ok(()) => {}
            Err(error) if error.is::<Interrupted>() => {
                journal.settle()?;
                setting.state.save(optimizer)?;
                return Err(error);
            }
            Err(error) => return Err(error),
        }
        journal.settle()?;
        setting.state.save(optimizer)?;
        if let Some(loss) = task.validate(&pool)? {
            journal.validated(optimizer, epoch, loss)?;
        }
        interrupt::check()?;
    }
    journal.progress.finish();
    Ok(skipped.into_inner().unwrap_or_default())
}

/// A step whose losses may be on their way yet.
struct Launched {
    step: usize,
    epoch: usize,
    rate: f64,
    wait: f64,
    losses: Losses,
}

/// What is told of a training, to the log and to whoever looks on.
struct Journal<'a, T> {
    task: &'a T,
    log: Log,
    progress: Progress,
    batch: usize,
    first: usize,
    started: Instant,
    pending: Option<Launched>,
}

impl<'a, T: Task> Journal<'a, T> {
    /// Begins after `first` of `total` steps.
    fn open(task: &'a T, setting: &Setting, first: usize, total: usize) -> Result<Self> {
        let batch = setting.optim.batch;
        let log = Log::open(&setting.log_dir, task.name(), first)?;
        let title = format!("train {}", task.name());
        let mut progress = Progress::new(&title, total * batch, "images");
        progress.advance(first * batch);
        Ok(Self { task, log, progress, batch, first, started: Instant::now(), pending: None })
    }

    /// Notes a step: at once if its losses are known, otherwise when the next one is on its way, so that a GPU
    /// has something to do while they are waited for.
    fn note(&mut self, launched: Launched) -> Result<()> {
        let known = launched.losses.known();
        if let Some(before) = self.pending.replace(launched) {
            self.write(before)?;
        }
        if known { self.settle() } else { Ok(()) }
    }

    /// Notes what is still to come, and puts the log on disk.
    fn settle(&mut self) -> Result<()> {
        if let Some(last) = self.pending.take() {
            self.write(last)?;
        }
        self.log.flush()
    }

    fn write(&mut self, Launched { step, epoch, rate, wait, losses }: Launched) -> Result<()> {
        let losses = self.task.named(&self.task.machine().arrived(losses)?);
        let total = losses[0].1;
        if !total.is_finite() {
            return Err(anyhow!("the loss is {total} at step {}", step - 1))
                .hint(format!("lower {}.train.rate", self.task.name()));
        }
        let done = ((step - self.first) * self.batch) as f64;
        let images_per_second = done / self.started.elapsed().as_secs_f64();
        self.progress.message(format!("loss {total:.4} rate {rate:.4}"));
        self.progress.advance(self.batch);
        let losses =
            losses.into_iter().map(|(name, loss)| (name.to_string(), f64::from(loss))).collect();
        self.log.write(&Entry { step, epoch, losses, rate, images_per_second, wait })
    }

    fn validated(&mut self, optimizer: &PolySgd, epoch: usize, loss: f64) -> Result<()> {
        self.progress.message(format!("validation loss {loss:.4}"));
        let losses = vec![("validation".to_string(), loss)];
        let rate = optimizer.rates().first().copied().unwrap_or_default();
        let step = optimizer.step;
        self.log.write(&Entry { step, epoch, losses, rate, images_per_second: 0.0, wait: 0.0 })
    }
}

/// The order of the images in an epoch: a permutation of its own for each.
fn order(seed: u64, epoch: usize, images: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..images).collect();
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&(epoch as u64).to_le_bytes());
    order.shuffle(&mut ChaCha8Rng::from_seed(bytes));
    order
}

/// The sample of `index`, or of the next image that can be used; whatever could not is noted.
fn sample_or_next<T: Task>(
    task: &T,
    index: usize,
    seed: u64,
    epoch: usize,
    skipped: &Mutex<BTreeMap<String, String>>,
) -> Result<T::Sample> {
    for shift in 0..task.images() {
        let other = (index + shift) % task.images();
        match task.sample(other, &mut sample_rng(seed, epoch as u64, index as u64)) {
            Ok(sample) => return Ok(sample),
            Err(error) => {
                let reason = format!("{error:#}");
                let mut skipped =
                    skipped.lock().map_err(|_| anyhow!("a loader thread panicked"))?;
                skipped.insert(task.image_name(other).to_string(), reason);
            }
        }
    }
    Err(anyhow!("none of the {} training images can be read", task.images()))
        .hint("look at data.root and data.train_list")
}
