//! Room: how many calls run and wait, for each caller, for each tool and for the host as a whole.
//!
//! Owns the semaphores. Who finds no place is told at once; a queue never grows without end. Must not know
//! why a call is made.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many are in, so many wait in order, the next is turned away.
#[derive(Debug)]
pub(crate) struct Gate {
    run: u32,
    wait: u32,
    places: Arc<Semaphore>,
    waiting: Arc<AtomicU32>,
}

/// One who is in, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Entered(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// There is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRoom;

impl Gate {
    pub(crate) fn new(run: u32, wait: u32) -> Gate {
        Gate { run, wait, places: Arc::new(Semaphore::new(run as usize)), waiting: Arc::default() }
    }

    /// Whether it has these bounds.
    pub(crate) fn is_of(&self, run: u32, wait: u32) -> bool {
        (self.run, self.wait) == (run, wait)
    }

    /// A place, at once or in turn; waiting counts against `within`.
    pub(crate) async fn enter(&self, within: Duration) -> Result<Entered, NoRoom> {
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return Ok(Entered(place));
        }
        let _waiting = Waiting::begin(&self.waiting, self.wait)?;
        let place = tokio::time::timeout(within, self.places.clone().acquire_owned()).await;
        place.ok().and_then(Result::ok).map(Entered).ok_or(NoRoom)
    }

    /// How many are in.
    pub(crate) fn running(&self) -> u32 {
        self.run.saturating_sub(u32::try_from(self.places.available_permits()).unwrap_or(u32::MAX))
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Acquire).min(self.wait)
    }
}

/// Counts one who waits, for as long as it lives.
struct Waiting(Arc<AtomicU32>);

impl Waiting {
    fn begin(count: &Arc<AtomicU32>, max: u32) -> Result<Waiting, NoRoom> {
        let waiting = Waiting(count.clone());
        if count.fetch_add(1, Ordering::AcqRel) < max { Ok(waiting) } else { Err(NoRoom) }
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

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn turns_away_who_finds_no_place_to_wait() {
        let gate = Gate::new(1, 0);
        let held = gate.enter(SECOND).await.unwrap();
        assert_eq!(gate.enter(SECOND).await.unwrap_err(), NoRoom);
        assert_eq!((gate.running(), gate.waiting()), (1, 0));
        drop(held);
        assert!(gate.enter(SECOND).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_with_the_deadline() {
        let gate = Gate::new(1, 4);
        let _held = gate.enter(SECOND).await.unwrap();
        assert_eq!(gate.enter(SECOND).await.unwrap_err(), NoRoom);
        assert_eq!(gate.waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_comes_before_who_comes_later() {
        let gate = Arc::new(Gate::new(1, 4));
        let held = gate.enter(SECOND).await.unwrap();
        let first = tokio::spawn({
            let gate = gate.clone();
            async move { gate.enter(SECOND).await }
        });
        tokio::task::yield_now().await;
        drop(held);
        // The permit went to the one who waited; whoever comes now finds none.
        assert_eq!(gate.running(), 1);
        assert!(first.await.unwrap().is_ok());
    }
}
