//! Admission: how many calls run and wait, per caller, per tool and for the whole host.
//!
//! Owns the semaphores. A call beyond both bounds is rejected at once, so every queue is bounded. Must not know why a
//! call is made. To add a gate: a `Gate` in the module whose work it bounds, with its two bounds from the config or a
//! constant.

mod bulkhead;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use airlock_types::environment::{Environment, within};
pub(crate) use bulkhead::{Bulkhead, BulkheadSlot};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bounded admission: `run` slots, then up to `wait` waiters in FIFO order; further calls are rejected.
#[derive(Debug)]
pub(crate) struct Gate {
    run: u32,
    wait: u32,
    slots: Arc<Semaphore>,
    waiting: Arc<AtomicU32>,
}

/// Permission to run. Dropping it returns the slot to its gate.
#[derive(Debug)]
pub(crate) struct Slot(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// No slot came free before the deadline, or the queue of waiters is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rejected;

impl Gate {
    /// A gate of `run` slots and at most `wait` waiters. There is no constructor without bounds.
    pub(crate) fn new(run: u32, wait: u32) -> Gate {
        Gate { run, wait, slots: Arc::new(Semaphore::new(run as usize)), waiting: Arc::default() }
    }

    /// Whether the gate has exactly these bounds. A reload keeps the gate in that case, so held slots still count.
    pub(crate) fn is_of(&self, run: u32, wait: u32) -> bool {
        (self.run, self.wait) == (run, wait)
    }

    /// Takes a free slot, or waits for one until `until` on the environment's monotonic clock.
    ///
    /// # Errors
    /// `Rejected` when `wait` calls already wait, or when `until` passes first.
    pub(crate) async fn enter(
        &self,
        environment: &dyn Environment,
        until: Duration,
    ) -> Result<Slot, Rejected> {
        // First without counting a waiter: a gate with `wait = 0` still has its `run` slots.
        if let Ok(permit) = self.slots.clone().try_acquire_owned() {
            return Ok(Slot(permit));
        }
        let _waiting = Waiting::begin(&self.waiting, self.wait)?;
        // The semaphore is fair, so waiters are served in the order in which they came.
        let permit = within(environment, until, self.slots.clone().acquire_owned()).await;
        permit.and_then(Result::ok).map(Slot).ok_or(Rejected)
    }

    /// Slots that are taken now, for metrics.
    pub(crate) fn running(&self) -> u32 {
        self.run.saturating_sub(u32::try_from(self.slots.available_permits()).unwrap_or(u32::MAX))
    }

    /// Calls that wait for a slot now, for metrics.
    pub(crate) fn waiting(&self) -> u32 {
        // A call that is being rejected is counted for a moment, hence the bound.
        self.waiting.load(Ordering::Acquire).min(self.wait)
    }
}

/// One counted waiter. Dropping it uncounts it, also when the waiting call is cancelled.
struct Waiting(Arc<AtomicU32>);

impl Waiting {
    fn begin(count: &Arc<AtomicU32>, max: u32) -> Result<Waiting, Rejected> {
        // Made before the check, so that a rejected call is uncounted by the same drop.
        let waiting = Waiting(count.clone());
        if count.fetch_add(1, Ordering::AcqRel) < max { Ok(waiting) } else { Err(Rejected) }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::World;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn rejects_a_call_when_no_waiter_is_allowed() {
        let gate = Gate::new(1, 0);
        let held = gate.enter(&World::new(), SECOND).await.unwrap();
        assert_eq!(gate.enter(&World::new(), SECOND).await.unwrap_err(), Rejected);
        assert_eq!((gate.running(), gate.waiting()), (1, 0));
        drop(held);
        assert!(gate.enter(&World::new(), SECOND).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_with_the_deadline() {
        let gate = Gate::new(1, 4);
        let _held = gate.enter(&World::new(), SECOND).await.unwrap();
        assert_eq!(gate.enter(&World::new(), SECOND).await.unwrap_err(), Rejected);
        assert_eq!(gate.waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn serves_a_waiter_before_a_later_call() {
        let gate = Arc::new(Gate::new(1, 4));
        let held = gate.enter(&World::new(), SECOND).await.unwrap();
        let first = tokio::spawn({
            let gate = gate.clone();
            async move { gate.enter(&World::new(), SECOND).await }
        });
        tokio::task::yield_now().await;
        drop(held);
        // The permit went to the waiter; a call that comes now finds none.
        assert_eq!(gate.running(), 1);
        assert!(first.await.unwrap().is_ok());
    }
}
