//! Preparing the next pieces of work while the current one is used, in order and bounded.

use std::collections::VecDeque;

use anyhow::Result;
use crossbeam_channel::{Receiver, bounded};
use rayon::ThreadPool;

use crate::interrupt;

/// Calls `prepare` for the items on `pool`'s threads, at most `lookahead` ahead, and `consume` for
/// each result on the calling thread, in the order of the items.
///
/// What is computed does not depend on the number of threads. Stops with
/// [`interrupt::Interrupted`] between two items once the user asked for it.
///
/// # Errors
/// The first error of `consume`; errors of `prepare` are part of `P` and the caller's to judge.
pub fn overlapped<I, P, F, C>(
    pool: &ThreadPool,
    lookahead: usize,
    items: impl IntoIterator<Item = I>,
    prepare: F,
    mut consume: C,
) -> Result<()>
where
    I: Send,
    P: Send,
    F: Fn(I) -> P + Sync,
    C: FnMut(P) -> Result<()>,
{
    let prepare = &prepare;
    pool.in_place_scope(|scope| {
        let mut items = items.into_iter();
        let mut ahead: VecDeque<Receiver<P>> = VecDeque::new();
        loop {
            interrupt::check()?;
            while ahead.len() < lookahead.max(1) {
                let Some(item) = items.next() else { break };
                let (sender, receiver) = bounded(1);
                // The receiver is gone only when consuming failed; the result is then of no use.
                scope.spawn(move |_| drop(sender.send(prepare(item))));
                ahead.push_back(receiver);
            }
            let Some(next) = ahead.pop_front() else { return Ok(()) };
            match next.recv() {
                Ok(prepared) => consume(prepared)?,
                Err(_) => anyhow::bail!("a worker ended without a result (it panicked)"),
            }
        }
    })
}

/// A pool of `threads` workers of its own.
///
/// # Errors
/// When the system gives no threads.
pub fn pool(threads: usize) -> Result<ThreadPool> {
    Ok(rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept() {
        for threads in [1, 3] {
            let mut seen = Vec::new();
            let work = |i: usize| {
                std::thread::sleep(std::time::Duration::from_micros(((i * 7) % 5) as u64 * 100));
                i * i
            };
            let keep = |square| {
                seen.push(square);
                Ok(())
            };
            overlapped(&pool(threads).unwrap(), 4, 0..40, work, keep).unwrap();
            assert_eq!(seen, (0..40).map(|i| i * i).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_error_ends_it() {
        let mut count = 0;
        let fail_at_three = |i: usize| {
            count += 1;
            if i == 3 { anyhow::bail!("three") } else { Ok(()) }
        };
        assert!(overlapped(&pool(2).unwrap(), 2, 0..100, |i| i, fail_at_three).is_err());
        assert_eq!(count, 4);
    }
}
