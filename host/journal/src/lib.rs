//! Records of calls, so that every reply's id can be looked up.
//!
//! Owns the file, its form, its bound, and when a record is durable: queued for calls that only read, committed before
//! the reply for all others. SQLite is the truth; one thread writes, in groups. A database that cannot be written to
//! fills a bounded queue; then calls are told that they leave no record. Must not know how stages decide.

// Every outcome is looked at wherever outcomes are told apart.
#![warn(clippy::wildcard_enum_match_arm)]

mod queue;
pub mod state;
mod store;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use airlock_types::json::Json;
use airlock_types::record::Record;
use queue::Message;
pub use queue::Place;
pub use queue::Standing;
use store::Store;
use writer::Writer;

/// The largest record: arguments and result at the largest caps that make sense for an agent, and logs.
const RECORD_BYTES_MAX: usize = 64 << 20;

/// The share of the bound, as a divisor, that one record and one group may have: what is removed for a group must be
/// far from all.
const RECORD_SHARE: u64 = 16;

/// How long closing waits for the writer, unless it is told otherwise: longer than another process may hold the database
/// before that counts as trouble. A server says what is left of its drain time.
const CLOSE_WAIT: Duration = Duration::from_secs(8);

/// The connection of look-ups; none until it is needed again. The writer takes it away before it opens the database
/// again, since SQLite has all connections of a process share what it knows of the log.
type Reader = Arc<Mutex<Option<Store>>>;

/// A journal, open.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    reader: Reader,
    writer: Writer,
    close_wait_ms: AtomicU64,
}

/// When a record is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Some milliseconds after it was queued; a crash may lose the last group, which shows as a gap. The oldest of
    /// these go when the journal has reached its bound.
    Queued,
    /// Before the answer: of a call that began and could have effects. It stays.
    Committed,
}

/// How a journal stands.
#[derive(Clone, Copy, Debug)]
pub struct JournalView {
    /// Whether it can be written to.
    pub standing: Standing,
    /// Records that are not committed yet.
    pub waiting: usize,
    /// Records that never will be, since the start.
    pub lost: u64,
    /// Records that were removed to stay within the bound, since the start.
    pub removed: u64,
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It cannot be opened.
    #[error("the journal `{}` cannot be opened: {reason}", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What is wrong, and how to mend it.
        reason: String,
    },
    /// It cannot be read.
    #[error("the journal cannot be read: {0}")]
    Read(String),
    /// It cannot be written.
    #[error("the journal cannot be written: {0}")]
    Write(String),
    /// It was not written in time; it may be later.
    #[error("the journal was not written in time")]
    Late,
    /// Calls with effects have taken all of it.
    #[error("the journal has reached `journal.bytes_max`, and holds nothing that may be removed")]
    Full,
    /// A record that can never be written.
    #[error(
        "the record has {bytes} bytes, and at most {most} are written: 64 MiB, or a 16th of `journal.bytes_max`"
    )]
    TooLarge {
        /// Of arguments, result and logs.
        bytes: usize,
        /// The limit.
        most: usize,
    },
    /// A prefix that several ids share, or one that is too short.
    #[error("`{0}` is not the beginning of one record's id: give at least eight characters, or more of them")]
    Ambiguous(String),
}

impl Journal {
    /// Opens the journal, which is made where it is missing, readable by this user alone. It grows to `bytes_max`;
    /// then records of calls that only read go, the oldest first.
    ///
    /// # Errors
    /// When the folder is missing, the file is no journal, is open to others, or of a newer version; nothing is
    /// overwritten.
    pub fn open(path: &Path, bytes_max: u64) -> Result<Journal, JournalError> {
        let failed = |reason: String| JournalError::Open { path: path.to_owned(), reason };
        let store = Store::open(path).map_err(failed)?;
        let reader = Reader::default();
        let writer = Writer::start(path.to_owned(), store, reader.clone(), bytes_max)
            .map_err(|err| failed(err.to_string()))?;
        let close_wait_ms = AtomicU64::new(airlock_types::environment::ms(CLOSE_WAIT));
        Ok(Journal { path: path.to_owned(), reader, writer, close_wait_ms })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts a call on record before it starts; for calls with effects.
    ///
    /// # Errors
    /// When it cannot be committed: the call must not start.
    pub async fn intend(&self, record: Record<Json>) -> Result<(), JournalError> {
        self.writer.queue.intend(record).await
    }

    /// Puts a call on record.
    ///
    /// # Errors
    /// When it cannot be queued or committed.
    pub async fn seal(&self, record: Record<Json>, durability: Durability) -> Result<(), JournalError> {
        self.place().await?.seal(Box::new(record), durability).await
    }

    /// Waits for a place in the queue, so that a record need not be given away before there is one.
    pub async fn place(&self) -> Result<Place<'_>, JournalError> {
        self.writer.queue.place().await
    }

    /// Whether there is no place in the queue at the moment, and it is worth waiting for one.
    pub fn is_full(&self) -> bool {
        self.writer.queue.is_full()
    }

    /// Queues the record of a call that was dropped, without waiting.
    pub fn seal_now(&self, record: Box<Record<Json>>, durability: Durability) {
        self.writer.queue.seal_now(record, durability);
    }

    /// Counts a record that was given up.
    pub fn lose(&self, why: &JournalError) {
        self.writer.shared.lose(1, &why.to_string());
    }

    /// How it stands.
    pub fn view(&self) -> JournalView {
        let shared = &self.writer.shared;
        JournalView {
            standing: shared.standing(),
            waiting: shared.waiting(),
            lost: shared.lost(),
            removed: shared.removed.load(Ordering::Acquire),
        }
    }

    /// Changes how large it may become.
    pub fn bound(&self, bytes_max: u64) {
        self.writer.shared.bytes_max.store(bytes_max, Ordering::Release);
        // A writer that is gone has nothing to bound.
        let _ = self.writer.queue.tell(Message::Bound);
    }

    /// Waits until everything that was put on record is written.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn flush(&self) -> Result<(), JournalError> {
        self.writer.flush()
    }

    /// The record whose id is this, or begins with it.
    ///
    /// # Errors
    /// When several do, the journal cannot be read, or the record may be one that is not written yet.
    pub fn find(&self, id: &str) -> Result<Option<Record>, JournalError> {
        let flushed = self.writer.flush();
        match self.read(|connection| store::find(connection, id))? {
            None => flushed.map(|()| None),
            found => Ok(found),
        }
    }

    /// The ids of calls that began and never ended: what a crash left behind.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn open_intents(&self) -> Result<Vec<String>, JournalError> {
        self.writer.flush()?;
        self.read(store::open_intents)
    }

    fn read<T>(
        &self,
        look: impl FnOnce(&rusqlite::Connection) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let store = match &mut *reader {
            Some(store) => store,
            none => none.insert(Store::open(&self.path).map_err(JournalError::Read)?),
        };
        if store.is_in_place() {
            return look(store.connection());
        }
        *reader = None;
        Err(JournalError::Read("its files were moved or removed; it is opened again".into()))
    }

    /// How long dropping the journal waits until everything is written.
    pub fn close_within(&self, wait: Duration) {
        self.close_wait_ms.store(airlock_types::environment::ms(wait), Ordering::Release);
    }

    /// Takes no more records, and waits until everything that was queued is written. Whether it was.
    pub fn close(&self) -> bool {
        self.writer.close(Duration::from_millis(self.close_wait_ms.load(Ordering::Acquire)))
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}
