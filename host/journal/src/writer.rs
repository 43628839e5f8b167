//! The handle of the writer thread: starts, flushes and closes it.

mod group;
mod put;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::beside::Beside;
use super::owner::Owner;
use super::queue::{Message, Queue, Shared};
use super::standing::Standing;
use super::store::{self, Store};
use super::{Interrupted, JournalError};
use group::Writing;

/// How long a look-up waits for earlier records. Longer than the writer tries before it reports a failure.
const FLUSH_WAIT: Duration = Duration::from_secs(6);

/// Handle of the writer thread.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) queue: Queue,
    pub(super) shared: Arc<Shared>,
    /// Set when `close` stops waiting. The thread then ends after its current try.
    abandoned: Arc<AtomicBool>,
    /// Disconnected when the thread has ended.
    ended: Mutex<Receiver<()>>,
}

impl Writer {
    /// Starts the thread. Without a `store` it opens the database as soon as that can be opened.
    pub(super) fn start(
        path: PathBuf,
        store: Option<Store>,
        beside: Arc<Beside>,
        bytes_max: u64,
    ) -> std::io::Result<Writer> {
        let standing = if store.is_some() { Standing::Writing } else { Standing::Failing };
        let shared = Arc::new(Shared::new(bytes_max, standing));
        let (queue, orders) = Queue::new(shared.clone());
        let abandoned = Arc::new(AtomicBool::new(false));
        // Nothing is ever sent. The thread owns the sender, so the channel disconnects however the thread ends.
        let (ending, ended) = sync_channel(0);
        let mut owner = Owner::new(&path, Arc::clone(&shared.owed));
        // Before the first record is queued, so that each one is counted. Whatever prevents it is met again at the first write.
        let _ = owner.id(0);
        let writing = Writing {
            owner,
            path,
            store,
            beside,
            orders,
            shared: shared.clone(),
            abandoned: abandoned.clone(),
            group: Vec::new(),
            flushes: Vec::new(),
            accounted: 0,
            told_lost: 0,
            failures: 0,
            is_restless: true,
            is_full: false,
            is_closing: false,
            _ending: ending,
        };
        std::thread::Builder::new().name("journal".into()).spawn(move || writing.run())?;
        Ok(Writer { queue, shared, abandoned, ended: Mutex::new(ended) })
    }

    /// Waits until everything queued before is written. Fails when that takes too long or the writer cannot write.
    pub(super) fn flush(&self) -> Result<(), JournalError> {
        let (done, answer) = sync_channel(1);
        self.queue.tell(Message::Flush(done))?;
        answer.recv_timeout(FLUSH_WAIT).map_err(|_| JournalError::Late)
    }

    /// Ends the intents of processes that are gone, and returns them. Fails when that takes too long or the writer cannot
    /// write.
    pub(super) fn settle(&self) -> Result<Vec<Interrupted>, JournalError> {
        let (done, answer) = sync_channel(1);
        self.queue.tell(Message::Settle(done))?;
        let settled = answer.recv_timeout(FLUSH_WAIT).map_err(|_| JournalError::Late)?;
        settled.map_err(JournalError::Write)
    }

    /// Ends the thread once all queued records are written, or gives up after `within`. Returns whether all were
    /// written.
    pub(super) fn close(&self, within: Duration) -> bool {
        // Before the message, so that losses during the close are noticed.
        let lost = self.shared.lost.count();
        // Fails only if the thread has ended, which the wait below notices.
        let _ = self.queue.tell(Message::Close);
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(within) {
            self.abandoned.store(true, Ordering::Release);
            // The thread counts lost records between two tries, each of which may wait for the database twice. A disk that
            // never returns is not waited for.
            let _ = ended.recv_timeout(12 * store::BUSY);
        }
        self.shared.waiting() == 0 && self.shared.lost.count() == lost
    }
}
