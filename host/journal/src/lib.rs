//! Records of calls, so that every reply's id can be looked up.
//!
//! Owns where records are kept (an SQLite database, or memory), their bound, and when a record is durable: queued for
//! calls that only read, committed before the reply for all others. Of a database, SQLite is the truth; one thread
//! writes, in groups. One that cannot be written to fills a bounded queue; then calls are told that they leave no
//! record. Must not know how stages decide.

// Every outcome is looked at wherever outcomes are told apart.
#![warn(clippy::wildcard_enum_match_arm)]

mod bound;
mod memory;
mod queue;
mod sqlite;
mod standing;
pub mod state;
mod store;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use airlock_types::json::Json;
use airlock_types::record::Record;
use memory::Memory;
use sqlite::Sqlite;
pub use standing::Standing;

/// What [`Journal::memory`] holds at most: some ten thousand calls.
const MEMORY_BYTES_MAX: u64 = 64 << 20;

/// The shortest beginning of an id that is taken for it.
const PREFIX_CHARS_MIN: usize = 8;

/// How long closing waits for the writer, unless it is told otherwise: longer than another process may hold the database
/// before that counts as trouble. A server says what is left of its drain time.
const CLOSE_WAIT: Duration = Duration::from_secs(8);

/// A journal, open.
#[derive(Debug)]
pub struct Journal {
    sink: Sink,
    close_wait_ms: AtomicU64,
}

/// Where records are kept. An enum and not a trait object: a call that waits for its commit allocates nothing for it.
#[derive(Debug)]
enum Sink {
    Sqlite(Sqlite),
    Memory(Memory),
}

/// A place for one record, held from before the record is made.
pub struct Place<'j>(PlaceIn<'j>);

enum PlaceIn<'j> {
    Queue(queue::Place<'j>),
    Memory(&'j Memory),
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
#[non_exhaustive]
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
    #[error(
        "`{0}` is not the beginning of exactly one record's id: give more of the id; records of the same minute share their \
         first eight characters"
    )]
    Ambiguous(String),
}

impl Journal {
    /// Opens the journal in a file, which is made where it is missing, readable by this user alone. It grows to
    /// `bytes_max`; then records of calls that only read go, the oldest first.
    ///
    /// # Errors
    /// When the folder is missing, the file is no journal, is open to others, or of a newer version; nothing is
    /// overwritten.
    pub fn open(path: &Path, bytes_max: u64) -> Result<Journal, JournalError> {
        Ok(Journal::of(Sink::Sqlite(Sqlite::open(path, bytes_max)?)))
    }

    /// A journal in memory, of 64 MiB at most: it is gone with the process. The rules are the same as for a file:
    /// records of calls that only read go, the oldest first; when calls with effects have taken all, no more of them
    /// begin.
    pub fn memory() -> Journal {
        Journal::memory_within(MEMORY_BYTES_MAX)
    }

    /// A journal in memory with a bound of its own. `journal.bytes_max` of a registry counts where it is smaller.
    pub fn memory_within(bytes_max: u64) -> Journal {
        Journal::of(Sink::Memory(Memory::new(bytes_max)))
    }

    fn of(sink: Sink) -> Journal {
        Journal { sink, close_wait_ms: AtomicU64::new(airlock_types::environment::ms(CLOSE_WAIT)) }
    }

    /// The file; none in memory.
    pub fn path(&self) -> Option<&Path> {
        match &self.sink {
            Sink::Sqlite(sqlite) => Some(sqlite.path()),
            Sink::Memory(_) => None,
        }
    }

    /// Puts a call on record before it starts; for calls with effects.
    ///
    /// # Errors
    /// When it cannot be committed: the call must not start.
    pub async fn intend(&self, record: Record<Json>) -> Result<(), JournalError> {
        match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.writer.queue.intend(record).await,
            Sink::Memory(memory) => memory.intend(&record),
        }
    }

    /// Puts a call on record.
    ///
    /// # Errors
    /// When it cannot be queued or committed.
    pub async fn seal(&self, record: Record<Json>, durability: Durability) -> Result<(), JournalError> {
        self.place().await?.seal(Box::new(record), durability).await
    }

    /// Waits for a place in the queue, so that a record need not be given away before there is one. In memory there
    /// is always one.
    ///
    /// # Errors
    /// When waiting cannot help.
    pub async fn place(&self) -> Result<Place<'_>, JournalError> {
        match &self.sink {
            Sink::Sqlite(sqlite) => {
                sqlite.writer.queue.place().await.map(|place| Place(PlaceIn::Queue(place)))
            }
            Sink::Memory(memory) => memory.check_open().map(|()| Place(PlaceIn::Memory(memory))),
        }
    }

    /// Whether there is no place in the queue at the moment, and it is worth waiting for one.
    pub fn is_full(&self) -> bool {
        match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.writer.queue.is_full(),
            Sink::Memory(_) => false,
        }
    }

    /// Queues the record of a call that was dropped, without waiting.
    pub fn seal_now(&self, record: Box<Record<Json>>, durability: Durability) {
        match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.writer.queue.seal_now(record, durability),
            Sink::Memory(memory) => memory.seal_now(&record, durability),
        }
    }

    /// Counts a record that was given up.
    pub fn lose(&self, why: &JournalError) {
        match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.writer.shared.lost.add(1, &why.to_string()),
            Sink::Memory(memory) => memory.lose(&why.to_string()),
        }
    }

    /// How it stands.
    pub fn view(&self) -> JournalView {
        match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.view(),
            Sink::Memory(memory) => memory.view(),
        }
    }

    /// Changes how large it may become.
    pub fn bound(&self, bytes_max: u64) {
        match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.bound(bytes_max),
            Sink::Memory(memory) => memory.bound(bytes_max),
        }
    }

    /// Waits until everything that was put on record is written.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn flush(&self) -> Result<(), JournalError> {
        match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.writer.flush(),
            Sink::Memory(memory) => memory.check_open(),
        }
    }

    /// The record whose id is this, or begins with it.
    ///
    /// # Errors
    /// When several do, the journal cannot be read, or the record may be one that is not written yet.
    pub fn find(&self, id: &str) -> Result<Option<Record>, JournalError> {
        if id.chars().count() < PREFIX_CHARS_MIN {
            return Err(JournalError::Ambiguous(id.into()));
        }
        match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.find(id),
            Sink::Memory(memory) => memory.find(id),
        }
    }

    /// The ids of calls that began and never ended: what a crash left behind.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn open_intents(&self) -> Result<Vec<String>, JournalError> {
        match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.open_intents(),
            Sink::Memory(memory) => Ok(memory.open_intents()),
        }
    }

    /// How long dropping the journal waits until everything is written.
    pub fn close_within(&self, wait: Duration) {
        self.close_wait_ms.store(airlock_types::environment::ms(wait), Ordering::Release);
    }

    /// Takes no more records, and waits until everything that was queued is written. Whether it was.
    pub fn close(&self) -> bool {
        let within = Duration::from_millis(self.close_wait_ms.load(Ordering::Acquire));
        match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.writer.close(within),
            Sink::Memory(memory) => {
                memory.close();
                true
            }
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}

impl<'j> Place<'j> {
    /// Puts a call on record. The record is queued by the call itself, whether or not the future is awaited. On any error
    /// but [`JournalError::Late`] it will never be written.
    pub fn seal(
        self,
        record: Box<Record<Json>>,
        durability: Durability,
    ) -> impl Future<Output = Result<(), JournalError>> + use<'j> {
        let sent = match self.0 {
            PlaceIn::Queue(place) => place.seal(record, durability).map(Some),
            PlaceIn::Memory(memory) => memory.seal(&record, durability).map(|()| None),
        };
        async move {
            match sent? {
                Some(sent) => sent.committed().await,
                None => Ok(()),
            }
        }
    }
}
