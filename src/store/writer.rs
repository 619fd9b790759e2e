//! The writer of a stage: callers compress in their own threads, one thread owns the HDF5 file and
//! seals a segment whenever it is large or old enough, so that little is lost when a process dies.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::segment::{Draft, Item};
use super::{Identity, Record, Stage, StageSettings, Store, files};
use crate::Hint;

/// Items that wait for the thread; more make the callers wait.
const QUEUE: usize = 8;

/// When a segment is sealed: at the first limit that is reached.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Number of items.
    pub items: usize,
    /// Bytes of compressed maps; they are kept in memory until then.
    pub bytes: usize,
    /// Age of the first item.
    pub age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { items: 512, bytes: 64 << 20, age: Duration::from_secs(30) }
    }
}

enum Message {
    Item(Item),
    Finish,
}

/// Adds items to a stage. Dropped without [`Writer::finish`], it loses what is not yet sealed.
pub struct Writer<'store> {
    store: &'store Store,
    stage: Stage,
    sender: Option<Sender<Message>>,
    thread: Option<JoinHandle<()>>,
    failure: Arc<OnceLock<String>>,
}

impl<'store> Writer<'store> {
    pub(super) fn start(
        store: &'store Store,
        stage: Stage,
        settings: StageSettings,
        limits: Limits,
    ) -> Result<Self> {
        // What fails here would otherwise fail after minutes of computing.
        drop(files::lock(store.dir())?);
        files::clean(store.dir())?;
        let (sender, receiver) = bounded(QUEUE);
        let failure = Arc::new(OnceLock::new());
        let identity = store.identity().clone();
        let dir = store.dir().to_owned();
        let worker = Worker { dir, identity, stage, settings, limits, draft: None };
        let shared = Arc::clone(&failure);
        let thread = Builder::new().name("store".to_owned()).spawn(move || {
            if let Err(error) = worker.run(&receiver) {
                // Set before the receiver is dropped: who finds the channel closed finds the cause.
                let _ = shared.set(format!("{error:#}"));
            }
        })?;
        Ok(Self { store, stage, sender: Some(sender), thread: Some(thread), failure })
    }

    /// Adds an item; compresses it in the calling thread. An item that is there already is replaced.
    ///
    /// # Errors
    /// A name that can't be stored, or an earlier failure of the writing thread.
    pub fn put(&self, name: &str, record: &Record) -> Result<()> {
        let item = Item::new(name, record)
            .with_context(|| format!("failed to store item {name} of stage {}", self.stage))?;
        let sent = self.sender.as_ref().map(|sender| sender.send(Message::Item(item)));
        if matches!(sent, Some(Ok(()))) { Ok(()) } else { self.fail() }
    }

    /// Seals what is left and writes the master.
    ///
    /// # Errors
    /// A failure of the writing thread, or of writing the master.
    pub fn finish(mut self) -> Result<()> {
        let sent = self.sender.take().map(|sender| sender.send(Message::Finish));
        let joined = self.thread.take().map(JoinHandle::join);
        let complete = matches!((sent, joined), (Some(Ok(())), Some(Ok(()))));
        if !complete || self.failure.get().is_some() {
            return self.fail();
        }
        self.store.rebuild_master()
    }

    fn fail<T>(&self) -> Result<T> {
        let cause = self.failure.get().map_or("its thread has died", String::as_str);
        let dir = self.store.dir().display();
        Err(anyhow!("failed to write stage {} to {dir}: {cause}", self.stage)).hint(files::ADVICE)
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread that owns the file.
struct Worker {
    dir: PathBuf,
    identity: Identity,
    stage: Stage,
    settings: StageSettings,
    limits: Limits,
    draft: Option<Draft>,
}

impl Worker {
    /// Runs until it is told to finish; a channel that closes without that means: give up.
    fn run(mut self, receiver: &Receiver<Message>) -> Result<()> {
        loop {
            let message = match &self.draft {
                Some(draft) => receiver.recv_deadline(draft.started + self.limits.age),
                None => receiver.recv().map_err(RecvTimeoutError::from),
            };
            match message {
                Ok(Message::Item(item)) => self.add(item)?,
                Ok(Message::Finish) => return self.seal(),
                Err(RecvTimeoutError::Timeout) => self.seal()?,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn add(&mut self, item: Item) -> Result<()> {
        if self.draft.as_ref().is_some_and(|draft| draft.contains(&item.name)) {
            self.seal()?;
        }
        let draft = match self.draft.take() {
            Some(draft) => draft,
            None => Draft::new(self.stage, &self.identity, &self.settings)?,
        };
        let draft = self.draft.insert(draft);
        draft.add(item)?;
        let limits = &self.limits;
        let full = draft.len() >= limits.items || draft.bytes >= limits.bytes;
        if full || draft.started.elapsed() >= limits.age { self.seal() } else { Ok(()) }
    }

    fn seal(&mut self) -> Result<()> {
        match self.draft.take() {
            Some(draft) => draft.seal(&self.dir),
            None => Ok(()),
        }
    }
}
