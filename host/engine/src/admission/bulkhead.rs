//! The slots of one tool, the last of which is kept for callers that hold none.
//!
//! Otherwise one caller could hold all slots of a tool for as long as its calls may last, and every other caller of the
//! tool would wait. A bulkhead of one slot keeps none back, because no other slot would be left. Owns these slots and
//! the count of each caller's calls. Must not know tools.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use super::{Rejected, Waiting};
use airlock_types::caller::Caller;
use airlock_types::environment::{Environment, within};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// Bounded admission to one tool: `run` slots, then up to `wait` waiters in FIFO order; further calls are rejected.
#[derive(Debug)]
pub(crate) struct Bulkhead {
    run: u32,
    wait: u32,
    slots: Arc<Semaphore>,
    /// The last slot. Without permits in a bulkhead of one slot.
    kept: Arc<Semaphore>,
    waiting: Arc<AtomicU32>,
    callers: Arc<Callers>,
}

/// Calls of each caller that hold a slot or wait for one. There are at most as many entries as such calls.
#[derive(Debug, Default)]
struct Callers(Mutex<BTreeMap<Caller, u32>>);

/// A slot, held until it is dropped.
#[derive(Debug)]
#[expect(dead_code, reason = "held for its drop")]
pub(crate) struct BulkheadSlot(OwnedSemaphorePermit, Counted);

impl Bulkhead {
    pub(crate) fn new(run: u32, wait: u32) -> Bulkhead {
        let kept = u32::from(run > 1);
        Bulkhead {
            run,
            wait,
            slots: Arc::new(Semaphore::new((run - kept) as usize)),
            kept: Arc::new(Semaphore::new(kept as usize)),
            waiting: Arc::default(),
            callers: Arc::default(),
        }
    }

    /// Whether the bulkhead has exactly these bounds. A reload keeps it in that case, so held slots still count.
    pub(crate) fn is_of(&self, run: u32, wait: u32) -> bool {
        (self.run, self.wait) == (run, wait)
    }

    /// Takes a free slot, or waits for one until `until` on the environment's monotonic clock. With `is_shared` the
    /// last slot is kept for callers that hold none.
    ///
    /// # Errors
    /// `Rejected` when `wait` calls already wait, or when `until` passes first.
    pub(crate) async fn enter(
        &self,
        who: &Caller,
        is_shared: bool,
        environment: &dyn Environment,
        until: Duration,
    ) -> Result<BulkheadSlot, Rejected> {
        // Counted before a slot is taken, so that of two calls that come together only one counts as the first.
        let (counted, is_first) = Counted::begin(&self.callers, who);
        let may_take_last = is_first || !is_shared;
        if let Ok(permit) = self.slots.clone().try_acquire_owned() {
            return Ok(BulkheadSlot(permit, counted));
        }
        // The kept slot second: while others are free it stays free for other callers.
        if may_take_last && let Ok(permit) = self.kept.clone().try_acquire_owned() {
            return Ok(BulkheadSlot(permit, counted));
        }
        // Dropped when the wait ends in any way, which makes space for another waiter.
        let _waiting = Waiting::begin(&self.waiting, self.wait)?;
        let permit = within(environment, until, self.either(may_take_last)).await;
        permit.and_then(Result::ok).map(|permit| BulkheadSlot(permit, counted)).ok_or(Rejected)
    }

    /// The first slot that comes free, of those that the call may take.
    async fn either(&self, may_take_last: bool) -> Result<OwnedSemaphorePermit, AcquireError> {
        let mut slot = pin!(self.slots.clone().acquire_owned());
        let mut last = pin!(self.kept.clone().acquire_owned());
        // Both are queued for at once where both may be taken. The future that loses is dropped and leaves its queue.
        poll_fn(|context| match slot.as_mut().poll(context) {
            Poll::Pending if may_take_last => last.as_mut().poll(context),
            polled => polled,
        })
        .await
    }

    /// Slots that are taken now, for metrics.
    pub(crate) fn running(&self) -> u32 {
        let free = self.slots.available_permits() + self.kept.available_permits();
        self.run.saturating_sub(u32::try_from(free).unwrap_or(u32::MAX))
    }

    /// Calls that wait for a slot now, for metrics.
    pub(crate) fn waiting(&self) -> u32 {
        // A call that is being rejected is counted for a moment, hence the bound.
        self.waiting.load(Ordering::Acquire).min(self.wait)
    }
}

/// Counts a call of a caller until it is dropped.
#[derive(Debug)]
struct Counted {
    callers: Arc<Callers>,
    who: Caller,
}

impl Counted {
    /// Counts a call. The flag is true if it is the only call of its caller.
    fn begin(callers: &Arc<Callers>, who: &Caller) -> (Counted, bool) {
        let mut counts = callers.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(who.clone()).or_default();
        *count += 1;
        (Counted { callers: callers.clone(), who: who.clone() }, *count == 1)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.callers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.who) {
            *count -= 1;
            if *count == 0 {
                // Callers without calls are forgotten, so that the map is bounded by the slots and the waiters.
                counts.remove(&self.who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::World;

    const SECOND: Duration = Duration::from_secs(1);

    async fn enter(bulkhead: &Bulkhead, who: &str, is_shared: bool) -> Result<BulkheadSlot, Rejected> {
        bulkhead.enter(&Caller::named(who), is_shared, &World::new(), SECOND).await
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_slot_is_kept_for_a_caller_that_holds_none() {
        let bulkhead = Bulkhead::new(3, 0);
        let _held =
            (enter(&bulkhead, "ann", true).await.unwrap(), enter(&bulkhead, "ann", true).await.unwrap());
        assert_eq!(enter(&bulkhead, "ann", true).await.unwrap_err(), Rejected);
        let bob = enter(&bulkhead, "bob", true).await.unwrap();
        assert_eq!(bulkhead.running(), 3);
        assert_eq!(enter(&bulkhead, "cid", true).await.unwrap_err(), Rejected);
        drop(bob);
        assert!(enter(&bulkhead, "cid", true).await.is_ok());
        assert!(bulkhead.callers.0.lock().unwrap().len() == 1, "callers that left are forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_alone_has_all_slots() {
        let bulkhead = Bulkhead::new(2, 0);
        let _held =
            (enter(&bulkhead, "ann", false).await.unwrap(), enter(&bulkhead, "ann", false).await.unwrap());
        let one = Bulkhead::new(1, 0);
        let _only = enter(&one, "ann", true).await.unwrap();
        assert_eq!(enter(&one, "bob", true).await.unwrap_err(), Rejected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_takes_whichever_slot_comes_free() {
        let bulkhead = Arc::new(Bulkhead::new(2, 4));
        let (ann, _bob) = (enter(&bulkhead, "ann", true).await.unwrap(), enter(&bulkhead, "bob", true).await);
        let waiter = tokio::spawn({
            let bulkhead = bulkhead.clone();
            async move { enter(&bulkhead, "cid", true).await }
        });
        tokio::task::yield_now().await;
        drop(ann);
        assert!(waiter.await.unwrap().is_ok());
    }
}
