//! Room: how many calls run and wait, for each tool and for the host as a whole.
//!
//! Owns the semaphores. Who finds no place is told at once; a queue never grows without end. Must not know
//! why a call is made.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places of one tool: so many run, so many wait in order, the next is turned away.
#[derive(Debug)]
pub(crate) struct Bulkhead {
    run: Arc<Semaphore>,
    wait_max: u32,
    waiting: Arc<AtomicU32>,
}

/// A place, held while a guest runs.
#[derive(Debug)]
pub(crate) struct Place {
    _tool: OwnedSemaphorePermit,
    _host: OwnedSemaphorePermit,
}

/// There is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRoom;

impl Bulkhead {
    pub(crate) fn new(run: u32, wait_max: u32) -> Bulkhead {
        Bulkhead { run: Arc::new(Semaphore::new(run as usize)), wait_max, waiting: Arc::default() }
    }

    /// A place for one attempt, first of the tool's, then of the host's; waiting counts against `within`.
    pub(crate) async fn enter(&self, host: &Arc<Semaphore>, within: Duration) -> Result<Place, NoRoom> {
        let _waiting = match self.run.try_acquire() {
            // The quick look found a place; it is taken below, in order.
            Ok(_) => None,
            Err(_) => Some(Waiting::begin(&self.waiting, self.wait_max)?),
        };
        let both = async {
            let tool = self.run.clone().acquire_owned().await.map_err(|_| NoRoom)?;
            let host = host.clone().acquire_owned().await.map_err(|_| NoRoom)?;
            Ok(Place { _tool: tool, _host: host })
        };
        tokio::time::timeout(within, both).await.unwrap_or(Err(NoRoom))
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

    #[tokio::test(start_paused = true)]
    async fn turns_away_who_finds_no_place_to_wait() {
        let host = Arc::new(Semaphore::new(4));
        let bulkhead = Bulkhead::new(1, 0);
        let held = bulkhead.enter(&host, Duration::from_secs(1)).await.unwrap();
        assert_eq!(bulkhead.enter(&host, Duration::from_secs(1)).await.unwrap_err(), NoRoom);
        drop(held);
        assert!(bulkhead.enter(&host, Duration::from_secs(1)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_with_the_deadline() {
        let host = Arc::new(Semaphore::new(1));
        let bulkhead = Bulkhead::new(4, 4);
        let _held = bulkhead.enter(&host, Duration::from_secs(1)).await.unwrap();
        assert_eq!(bulkhead.enter(&host, Duration::from_secs(1)).await.unwrap_err(), NoRoom);
        assert_eq!(bulkhead.waiting.load(Ordering::Acquire), 0);
    }
}
