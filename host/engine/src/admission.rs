//! Admission: how many calls run and wait, for each caller, for each tool and for the host as a whole.
//!
//! Owns the semaphores. A call beyond both bounds is rejected at once, so no queue grows without end. Must not know
//! why a call is made.

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

/// A slot, held until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// No slot came free in time, or too many calls wait for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rejected;

impl Gate {
    pub(crate) fn new(run: u32, wait: u32) -> Gate {
        Gate { run, wait, slots: Arc::new(Semaphore::new(run as usize)), waiting: Arc::default() }
    }

    /// Whether it has these bounds.
    pub(crate) fn is_of(&self, run: u32, wait: u32) -> bool {
        (self.run, self.wait) == (run, wait)
    }

    /// Takes a slot at once, or waits for one until `until` on the environment's monotonic clock.
    pub(crate) async fn enter(
        &self,
        environment: &dyn Environment,
        until: Duration,
    ) -> Result<Slot, Rejected> {
        if let Ok(permit) = self.slots.clone().try_acquire_owned() {
            return Ok(Slot(permit));
        }
        let _waiting = Waiting::begin(&self.waiting, self.wait)?;
        let permit = within(environment, until, self.slots.clone().acquire_owned()).await;
        permit.and_then(Result::ok).map(Slot).ok_or(Rejected)
    }

    /// Slots that are taken.
    pub(crate) fn running(&self) -> u32 {
        self.run.saturating_sub(u32::try_from(self.slots.available_permits()).unwrap_or(u32::MAX))
    }

    /// Calls that wait for a slot.
    pub(crate) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Acquire).min(self.wait)
    }
}

/// Counts a waiter until it is dropped.
struct Waiting(Arc<AtomicU32>);

impl Waiting {
    fn begin(count: &Arc<AtomicU32>, max: u32) -> Result<Waiting, Rejected> {
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
    async fn turns_away_who_finds_no_place_to_wait() {
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
    async fn who_waits_comes_before_who_comes_later() {
        let gate = Arc::new(Gate::new(1, 4));
        let held = gate.enter(&World::new(), SECOND).await.unwrap();
        let first = tokio::spawn({
            let gate = gate.clone();
            async move { gate.enter(&World::new(), SECOND).await }
        });
        tokio::task::yield_now().await;
        drop(held);
        // The permit went to the one who waited; whoever comes now finds none.
        assert_eq!(gate.running(), 1);
        assert!(first.await.unwrap().is_ok());
    }
}
