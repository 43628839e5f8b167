//! The writer's thread, from outside: started, flushed, closed.

mod group;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::JournalError;
use super::queue::{Message, Queue, Shared};
use super::store::{self, Store};
use group::Writing;

/// How long a look-up waits for what was queued before it: longer than the writer tries before it says that it cannot.
const FLUSH_WAIT: Duration = Duration::from_secs(6);

/// The connection of look-ups; none until it is needed again. The writer takes it away before it opens the database
/// again, since SQLite has all connections of a process share what it knows of the log.
pub(super) type Reader = Arc<Mutex<Option<Store>>>;

/// The thread's handle.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) queue: Queue,
    pub(super) shared: Arc<Shared>,
    /// Set when the closer stops waiting.
    abandoned: Arc<AtomicBool>,
    /// Closed when the thread has ended.
    ended: Mutex<Receiver<()>>,
}

impl Writer {
    pub(super) fn start(
        path: PathBuf,
        store: Store,
        reader: Reader,
        bytes_max: u64,
    ) -> std::io::Result<Writer> {
        let shared = Arc::new(Shared::new(bytes_max));
        let (queue, orders) = Queue::new(shared.clone());
        let abandoned = Arc::new(AtomicBool::new(false));
        let (ending, ended) = sync_channel(0);
        let writing = Writing {
            path,
            store: Some(store),
            reader,
            orders,
            shared: shared.clone(),
            abandoned: abandoned.clone(),
            group: Vec::new(),
            flushes: Vec::new(),
            failures: 0,
            is_restless: true,
            is_full: false,
            is_closing: false,
            _ending: ending,
        };
        std::thread::Builder::new().name("journal".into()).spawn(move || writing.run())?;
        Ok(Writer { queue, shared, abandoned, ended: Mutex::new(ended) })
    }

    /// Waits until everything that was queued is written, unless it cannot be.
    pub(super) fn flush(&self) -> Result<(), JournalError> {
        let (done, answer) = sync_channel(1);
        self.queue.tell(Message::Flush(done))?;
        answer.recv_timeout(FLUSH_WAIT).map_err(|_| JournalError::Late)
    }

    /// Ends the thread once everything that was queued is written, or gives up after so long. Whether all was written.
    pub(super) fn close(&self, within: Duration) -> bool {
        let lost = self.shared.lost.count();
        let _ = self.queue.tell(Message::Close);
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(within) {
            self.abandoned.store(true, Ordering::Release);
            // It counts what is lost between two tries; a disk that never answers is not waited for.
            let _ = ended.recv_timeout(2 * store::BUSY);
        }
        self.shared.waiting() == 0 && self.shared.lost.count() == lost
    }
}
