//! Several sessions on one model, so that several photos pass through the network at once.
//!
//! A session with two threads waits at the end of every operation for the slower one; two sessions with one
//! thread each, on photos of their own, do not, and whatever surrounds the network is hidden behind the other
//! photo's network. What is computed is the same. Every session has its own copy of the weights and its own
//! working memory, so there are at most [`MOST`]; beyond that each gets more threads. On GPUs there are as many
//! as the settings say for each device; who is idle takes the next photo.

use std::ops::{Deref, DerefMut};

use anyhow::Result;
use crossbeam_channel::{Receiver, Sender, bounded};
use irn_export::SessionOptions;

/// Most sessions on one model.
pub const MOST: usize = 4;

/// Open models, lent to one user at a time each.
pub struct Workers<M> {
    put_back: Sender<M>,
    idle: Receiver<M>,
}

impl<M> Workers<M> {
    /// Opens as many models as `threads` can keep busy; `open` is told the threads of one.
    ///
    /// # Errors
    /// The first error of `open`.
    pub fn open(threads: usize, open: impl Fn(usize) -> Result<M>) -> Result<Self> {
        Self::holding(shares(threads).map(open).collect::<Result<Vec<M>>>()?)
    }

    /// Opens a model for each of `sessions`.
    ///
    /// # Errors
    /// The first error of `open`.
    pub fn open_each(
        sessions: &[SessionOptions],
        open: impl Fn(&SessionOptions) -> Result<M>,
    ) -> Result<Self> {
        Self::holding(sessions.iter().map(open).collect::<Result<Vec<M>>>()?)
    }

    fn holding(models: Vec<M>) -> Result<Self> {
        let (put_back, idle) = bounded(models.len());
        for model in models {
            // There is room for all of them.
            drop(put_back.send(model));
        }
        Ok(Self { put_back, idle })
    }

    /// An idle model; waits for one. To be held no longer than the network runs: who waits inside for
    /// work of the pool may be given a photo that needs a model, too.
    pub fn lend(&self) -> Lent<'_, M> {
        let model = self.idle.recv().expect("the workers themselves hold a sender");
        Lent { model: Some(model), owner: self }
    }
}

/// The threads of each session that `threads` can keep busy on the processor.
pub fn shares(threads: usize) -> impl Iterator<Item = usize> {
    let count = threads.clamp(1, MOST);
    let share = move |worker| threads / count + usize::from(worker < threads % count);
    (0..count).map(move |worker| share(worker).max(1))
}

/// A model that goes back to its owner in the end.
pub struct Lent<'a, M> {
    model: Option<M>,
    owner: &'a Workers<M>,
}

impl<M> Deref for Lent<'_, M> {
    type Target = M;

    fn deref(&self) -> &M {
        self.model.as_ref().expect("there until dropped")
    }
}

impl<M> DerefMut for Lent<'_, M> {
    fn deref_mut(&mut self) -> &mut M {
        self.model.as_mut().expect("there until dropped")
    }
}

impl<M> Drop for Lent<'_, M> {
    fn drop(&mut self) {
        if let Some(model) = self.model.take() {
            // The channel has room for all models and lives as long as the owner.
            drop(self.owner.put_back.send(model));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_shared_out() {
        for (threads, expected) in
            [(0, vec![1]), (1, vec![1]), (2, vec![1, 1]), (7, vec![2, 2, 2, 1])]
        {
            let workers = Workers::open(threads, Ok).unwrap();
            let mut lent: Vec<_> = (0..expected.len()).map(|_| workers.lend()).collect();
            assert_eq!(lent.iter().map(|model| **model).collect::<Vec<_>>(), expected);
            *lent[0] = 9;
            drop(lent);
            assert_eq!(*workers.lend(), 9, "the first that came back");
        }
    }

    #[test]
    fn a_panic_gives_the_model_back() {
        let workers = Workers::open(1, Ok).unwrap();
        let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _held = workers.lend();
            panic!("on purpose");
        }));
        assert!(broken.is_err());
        assert_eq!(*workers.lend(), 1);
    }
}
