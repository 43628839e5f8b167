//! Threads for work that may block, above all on file systems that do not answer.
//!
//! Owns how many threads such work may hold. A thread that is stuck in the kernel cannot be ended from outside, so its
//! permit is held until the thread returns, even when the caller has long given up. Must not know what the work is. To
//! bound another kind of work: one more [`Lanes`], whose total keeps the sum below [`THREADS_MAX`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinHandle};

/// Size of the runtime's pool of blocking threads. It exceeds the sum of all [`Lanes`] of a host, so that stuck file
/// systems never take the last thread.
pub const THREADS_MAX: usize = 512;

/// Bounds on threads: one bound per key, and one over all keys.
#[derive(Debug)]
pub struct Lanes {
    total: Arc<Semaphore>,
    each: usize,
    /// Weak references: an entry dies with the last [`Lane`] of its key and the last thread that holds its permit.
    by_key: Mutex<ByKey>,
}

#[derive(Debug, Default)]
struct ByKey {
    lanes: BTreeMap<String, Weak<Semaphore>>,
    /// The number of lanes that lived when dead entries were last removed.
    alive: usize,
}

/// So many more lanes than twice those that lived are kept before dead entries are removed.
const DEAD_MAX: usize = 16;

/// The threads of one key. Clones share the same permits.
#[derive(Clone, Debug)]
pub struct Lane {
    total: Arc<Semaphore>,
    own: Arc<Semaphore>,
}

/// Why blocking work has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Lost {
    /// The work panicked.
    #[error("the work panicked")]
    Panicked,
    /// The runtime ends, and the work was not begun.
    #[error("this process ends")]
    Ending,
    /// The work did not end in time, or got no thread because earlier work of the same key is stuck.
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
}

impl From<JoinError> for Lost {
    fn from(err: JoinError) -> Lost {
        if err.is_panic() { Lost::Panicked } else { Lost::Ending }
    }
}

/// The two permits of a running thread: its lane's and the total's. The thread drops them when it returns.
#[expect(dead_code, reason = "held for its drop")]
struct Permits(OwnedSemaphorePermit, OwnedSemaphorePermit);

impl Lanes {
    /// Lanes of `each` threads per key, and `total` threads over all keys.
    pub fn new(total: usize, each: usize) -> Lanes {
        Lanes { total: Arc::new(Semaphore::new(total)), each, by_key: Mutex::default() }
    }

    /// The lane of a key. The same lane is returned as long as a clone or a running thread of it exists, across
    /// reloads.
    pub fn of(&self, key: &str) -> Lane {
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        let ByKey { lanes, alive } = &mut *by_key;
        let known = lanes.get(key).and_then(Weak::upgrade);
        let own = known.unwrap_or_else(|| {
            // Not at each insertion: a registry of thousands of entries inserts them all.
            if lanes.len() >= *alive * 2 + DEAD_MAX {
                lanes.retain(|_, lane| lane.strong_count() > 0);
                *alive = lanes.len();
            }
            let fresh = Arc::new(Semaphore::new(self.each));
            lanes.insert(key.to_owned(), Arc::downgrade(&fresh));
            fresh
        });
        Lane { total: self.total.clone(), own }
    }
}

impl Lane {
    /// A lane of one thread that shares nothing with other lanes.
    pub fn single() -> Lane {
        Lanes::new(1, 1).of("")
    }

    /// Whether all threads of the lane are taken.
    pub fn is_busy(&self) -> bool {
        self.own.available_permits() == 0
    }

    /// Starts work on a blocking thread once both permits are free. The work goes on when the handle is dropped.
    pub async fn start<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<JoinHandle<T>, Lost> {
        // The lane's permit first: work that waits for a crowded lane must not hold a permit that other lanes could
        // use.
        let own = self.own.clone().acquire_owned().await.map_err(|_| Lost::Ending)?;
        let total = self.total.clone().acquire_owned().await.map_err(|_| Lost::Ending)?;
        let permits = Permits(own, total);
        // The permits move into the thread. Kept by the caller, they would come back while a stuck thread is still
        // held.
        Ok(tokio::task::spawn_blocking(move || {
            let _permits = permits;
            work()
        }))
    }

    /// Runs work on a blocking thread and waits for its result, however long it takes.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Lost> {
        Ok(self.start(work).await?.await?)
    }

    /// Runs work on a blocking thread and waits at most `limit`, which includes the wait for the permits.
    pub async fn run_within<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Lost> {
        tokio::time::timeout(limit, self.run(work)).await.unwrap_or(Err(Lost::TimedOut(limit)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures::FutureExt as _;

    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    /// Work that is stuck until the sender is dropped.
    fn stuck() -> (mpsc::Sender<()>, impl FnOnce() + Send + 'static) {
        let (release, wait) = mpsc::channel::<()>();
        (release, move || {
            let _ = wait.recv();
        })
    }

    async fn ended(lane: &Lane) {
        while lane.is_busy() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_stuck_thread_keeps_its_permit_after_the_caller_left() {
        let lanes = Lanes::new(8, 1);
        let lane = lanes.of("a");
        let (release, work) = stuck();
        drop(lane.start(work).await.unwrap());
        drop(lane);
        // The entry of the key lives while its thread is stuck, so the key cannot be used to get another thread.
        let again = lanes.of("a");
        assert!(again.is_busy());
        assert_eq!(lanes.of("b").run_within(LONG, || 7).await, Ok(7), "others go on");
        drop(release);
        ended(&again).await;
        assert_eq!(again.run_within(LONG, || 7).await, Ok(7));
    }

    #[tokio::test]
    async fn lanes_together_have_a_bound() {
        let lanes = Lanes::new(2, 2);
        let ((first, work), (second, more)) = (stuck(), stuck());
        drop(lanes.of("a").start(work).await.unwrap());
        drop(lanes.of("b").start(more).await.unwrap());
        let none = lanes.of("c").run_within(Duration::ZERO, || 7).await;
        assert_eq!(none, Err(Lost::TimedOut(Duration::ZERO)));
        drop((first, second));
        assert_eq!(lanes.of("c").run_within(LONG, || 7).await, Ok(7));
    }

    #[tokio::test]
    async fn a_key_is_forgotten_with_its_last_user() {
        let lanes = Lanes::new(2, 1);
        for key in 0..1_000 {
            lanes.of(&key.to_string()).run(|| ()).await.unwrap();
        }
        // Threads give their permits back a moment after their results.
        while lanes.total.available_permits() < 2 {
            tokio::task::yield_now().await;
        }
        let _kept = lanes.of("new");
        assert!(lanes.by_key.lock().unwrap().lanes.len() <= DEAD_MAX);
    }

    #[tokio::test]
    async fn work_that_panics_is_an_error() {
        assert_eq!(Lane::single().run(|| panic!("no")).await, Err::<(), _>(Lost::Panicked));
    }

    #[test]
    fn work_that_an_ending_runtime_does_not_begin_is_no_panic() {
        let (ended, lane) = {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            (runtime.handle().clone(), Lane::single())
        };
        // Its runtime has ended, so that the work is dropped.
        let _entered = ended.enter();
        assert_eq!(lane.run(|| ()).now_or_never(), Some(Err(Lost::Ending)));
    }
}
