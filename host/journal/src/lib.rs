//! Records of calls, so that every reply's id can be looked up.
//!
//! Owns where records are kept (an SQLite database, or memory), their bound, and when a record is durable: queued for
//! calls that only read, committed before the reply for all others. One thread writes to the database, in groups. While
//! the database cannot be written, the bounded queue fills; then calls fail with an error that says that they leave no
//! record. `keyvalue` has what tools keep, `answers` what they answered, and `keys` which call came with which key, each in
//! a file of its own. `telling` puts a record into words. Must not know how stages decide.

// A match on outcomes must name every variant, so that a new one is a compile error.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod answers;
mod beside;
mod bound;
pub mod database;
mod error;
pub mod evidence;
pub mod grade;
pub mod holds;
pub mod keys;
pub mod keyvalue;
pub mod listing;
pub mod log;
mod logged;
mod memory;
mod open;
mod owner;
mod process;
mod queue;
pub mod retention;
mod sqlite;
mod standing;
pub mod state;
mod store;
pub mod telling;
#[cfg(test)]
mod tests;
mod writer;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use airlock_types::json::Json;
use airlock_types::record::Record;
pub use error::JournalError;
use memory::Memory;
pub use open::{Interrupted, OpenCall};
use retention::{By, Pruned, Rules};
use sqlite::Sqlite;
pub use standing::Standing;
pub use store::REWRITE_BYTES_MAX;

/// Bound of [`Journal::memory`] in bytes: about ten thousand calls.
const MEMORY_BYTES_MAX: u64 = 64 << 20;

/// Default time that closing waits for the writer. Longer than another process may hold the database before that counts
/// as a failure. A server sets the rest of its drain time instead.
const CLOSE_WAIT: Duration = Duration::from_secs(8);

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    sink: Sink,
    /// Time in milliseconds that closing waits. Atomic, because the host sets it while calls share the journal.
    close_wait_ms: AtomicU64,
}

/// Where records are kept. An enum instead of a trait object: a call that waits for its commit allocates nothing for
/// it.
#[derive(Debug)]
enum Sink {
    Sqlite(Sqlite),
    Memory(Memory),
}

/// A place for one record, held from before the record is created.
pub struct Place<'j>(PlaceIn<'j>);

enum PlaceIn<'j> {
    Queue(queue::Place<'j>),
    Memory(&'j Memory),
}

/// When a record is durable, and whether it may be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Some milliseconds after it was queued, for calls that only read. A crash can lose the last group, which shows as
    /// a gap. When the journal reaches its bound, the oldest of these records are removed.
    Queued,
    /// Before the answer, for a call that started and could have effects. The record is never removed.
    Committed,
}

/// A snapshot of a journal's state.
#[derive(Clone, Copy, Debug)]
pub struct JournalView {
    /// Whether it can be written to.
    pub standing: Standing,
    /// Places taken by records that are not committed yet.
    pub waiting: usize,
    /// Records that will never be written, since the start.
    pub lost: u64,
    /// Records removed to stay within the bound, since the start.
    pub removed: u64,
    /// Intents that were committed, since the start: one for each call that could have effects.
    pub intents: u64,
    /// Commits, since the start. One commit can hold many records.
    pub commits: u64,
}

impl Journal {
    /// Opens the journal in a file. A missing file is created, readable by this user alone. The file grows to
    /// `bytes_max`; after that, the oldest records of calls that only read are removed.
    ///
    /// # Errors
    /// Fails when the folder is missing, or the file is not a journal, is open to other users, or has a newer version.
    /// Nothing is overwritten.
    pub fn open(path: &Path, bytes_max: u64) -> Result<Journal, JournalError> {
        Ok(Journal::of(Sink::Sqlite(Sqlite::open(path, bytes_max)?)))
    }

    /// Like [`Journal::open`], for an operator who prefers answers to records: a database that cannot be opened is tried again
    /// and again, calls with effects are refused meanwhile, and those that only read go on without records.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn open_or_wait(path: &Path, bytes_max: u64) -> Result<Journal, JournalError> {
        Ok(Journal::of(Sink::Sqlite(Sqlite::open_or_wait(path, bytes_max)?)))
    }

    /// A journal in memory, of 64 MiB at most, which ends with the process. The rules are those of a file: the oldest
    /// records of calls that only read are removed, and once calls with effects fill the bound, no more of them start.
    pub fn memory() -> Journal {
        Journal::memory_within(MEMORY_BYTES_MAX)
    }

    /// Like [`Journal::memory`], with another bound. A smaller `journal.bytes_max` of a registry takes precedence.
    pub fn memory_within(bytes_max: u64) -> Journal {
        Journal::of(Sink::Memory(Memory::new(bytes_max)))
    }

    fn of(sink: Sink) -> Journal {
        Journal { sink, close_wait_ms: AtomicU64::new(airlock_types::environment::ms(CLOSE_WAIT)) }
    }

    /// Path of the database; `None` for a journal in memory.
    pub fn path(&self) -> Option<&Path> {
        match &self.sink {
            Sink::Sqlite(sqlite) => Some(sqlite.path()),
            Sink::Memory(_) => None,
        }
    }

    /// Commits an intent, for a call with effects, before the call starts.
    ///
    /// # Errors
    /// Fails when the intent cannot be committed. The call must not start then.
    pub async fn intend(&self, record: Record<Json>) -> Result<(), JournalError> {
        match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.writer.queue.intend(record).await,
            Sink::Memory(memory) => memory.intend(&record),
        }
    }

    /// Records a finished call.
    ///
    /// # Errors
    /// Fails when the record cannot be queued or committed.
    pub async fn seal(&self, record: Record<Json>, durability: Durability) -> Result<(), JournalError> {
        self.place().await?.seal(Box::new(record), durability).await
    }

    /// Waits for a place in the queue, so that the caller keeps the record until there is one. A journal in memory
    /// always has a place.
    ///
    /// # Errors
    /// Fails when waiting cannot help: the journal is closed or cannot be written.
    pub async fn place(&self) -> Result<Place<'_>, JournalError> {
        match &self.sink {
            Sink::Sqlite(sqlite) => {
                sqlite.writer.queue.place().await.map(|place| Place(PlaceIn::Queue(place)))
            }
            Sink::Memory(memory) => memory.check_open().map(|()| Place(PlaceIn::Memory(memory))),
        }
    }

    /// Whether the queue is full at the moment and waiting for a place can help.
    pub fn is_full(&self) -> bool {
        match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.writer.queue.is_full(),
            Sink::Memory(_) => false,
        }
    }

    /// Queues the record of a dropped call without waiting. Counts the record as lost when that fails.
    pub fn seal_now(&self, record: Box<Record<Json>>, durability: Durability) {
        match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.writer.queue.seal_now(record, durability),
            Sink::Memory(memory) => memory.seal_now(&record, durability),
        }
    }

    /// Counts a record as lost.
    pub fn lose(&self, why: &JournalError) {
        match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.writer.shared.lost.add(1, &why.to_string()),
            Sink::Memory(memory) => memory.lose(&why.to_string()),
        }
    }

    /// A snapshot of the journal's state.
    pub fn view(&self) -> JournalView {
        match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.view(),
            Sink::Memory(memory) => memory.view(),
        }
    }

    /// Changes the bound. Records above a lower bound are removed, except those of calls with effects.
    pub fn bound(&self, bytes_max: u64) {
        match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.bound(bytes_max),
            Sink::Memory(memory) => memory.bound(bytes_max),
        }
    }

    /// Blocks until everything queued so far is written.
    ///
    /// # Errors
    /// Fails when that takes too long or the database cannot be written.
    pub fn flush(&self) -> Result<(), JournalError> {
        match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.writer.flush(),
            Sink::Memory(memory) => memory.check_open(),
        }
    }

    /// Finds the record with this id, or with an id that starts with this prefix.
    ///
    /// # Errors
    /// Fails when several ids match, the journal cannot be read, or the record may still be queued.
    pub fn find(&self, id: &str) -> Result<Option<Record>, JournalError> {
        listing::check_prefix(id)?;
        let found = match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.find(id),
            Sink::Memory(memory) => memory.find(id),
        };
        Ok(found?.map(Record::with_bounds))
    }

    /// Visits every record as it is stored, in no particular order, without the values that are stored apart: those are named
    /// in its `parts`. Each is in memory for its visit alone.
    ///
    /// # Errors
    /// Fails when the journal cannot be read.
    pub fn each(&self, visit: &mut dyn FnMut(&Record)) -> Result<(), JournalError> {
        match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.each(visit),
            Sink::Memory(memory) => memory.each(visit),
        }
    }

    /// The next records after this id that came at this time or later, whole and in the order of their ids, which begin with
    /// the time; none after the last one. The first page comes after the empty id.
    ///
    /// # Errors
    /// Fails when the journal cannot be read, or a record in it.
    pub fn page(&self, after: &str, since_unix_ms: u64) -> Result<Vec<Record>, JournalError> {
        let page = match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.page(after, since_unix_ms),
            Sink::Memory(memory) => memory.page(after, since_unix_ms),
        };
        Ok(page?.into_iter().map(Record::with_bounds).collect())
    }

    /// All pages of records that came at this time or later. The last one is an error, if there is one.
    pub fn pages(&self, since_unix_ms: u64) -> impl Iterator<Item = Result<Vec<Record>, JournalError>> + '_ {
        let mut after = Some(String::new());
        std::iter::from_fn(move || {
            let page = self.page(&after.take()?, since_unix_ms);
            after = page.as_ref().ok().and_then(|page| Some(page.last()?.id.clone()));
            page.map(|page| (!page.is_empty()).then_some(page)).transpose()
        })
    }

    /// Applies the rules of retention to every record. Blocks; calls get their turns in between.
    ///
    /// # Errors
    /// Fails when the journal cannot be written. What was erased and removed until then stays so, and is told.
    pub fn prune(&self, rules: &Rules<'_>, by: By, now_unix_ms: u64) -> Result<Pruned, JournalError> {
        match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.prune(rules, by, now_unix_ms),
            Sink::Memory(memory) => memory.prune(rules, by, now_unix_ms),
        }
    }

    /// Rewrites the file of a journal, so that no copy of what was erased is left in it: [`Journal::prune`] does so up to
    /// [`REWRITE_BYTES_MAX`]. Blocks, and takes as much room again. Records wait, and calls with effects may be refused.
    ///
    /// # Errors
    /// Fails when the journal cannot be written.
    pub fn rewrite(&self) -> Result<(), JournalError> {
        match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.rewrite(),
            Sink::Memory(_) => Ok(()),
        }
    }

    /// Ids of calls that started and never ended. After a restart, these are the calls that a crash interrupted.
    ///
    /// # Errors
    /// Fails when the journal cannot be read.
    pub fn open_intents(&self) -> Result<Vec<String>, JournalError> {
        match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.open_intents(),
            Sink::Memory(memory) => Ok(memory.open_intents()),
        }
    }

    /// Ends the intents of processes that are gone: each becomes a record with the code `outcome-unknown`. Returns them,
    /// oldest first; a second call, also of another process, does not return them again. Calls of running processes stay
    /// as they are.
    ///
    /// # Errors
    /// Fails when the journal cannot be written.
    pub fn settle_interrupted(&self) -> Result<Vec<Interrupted>, JournalError> {
        match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.writer.settle(),
            // They would have ended with the process, and so would this journal.
            Sink::Memory(_) => Ok(Vec::new()),
        }
    }

    /// Finds the call with this id, or with an id that starts with this prefix, that started and has not ended. A journal
    /// in memory keeps only the ids of such calls.
    ///
    /// # Errors
    /// As [`Journal::find`].
    pub fn find_open(&self, id: &str) -> Result<Option<OpenCall>, JournalError> {
        listing::check_prefix(id)?;
        match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.find_open(id),
            Sink::Memory(_) => Ok(None),
        }
    }

    /// Sets how long dropping the journal waits for queued records.
    pub fn close_within(&self, wait: Duration) {
        self.close_wait_ms.store(airlock_types::environment::ms(wait), Ordering::Release);
    }

    /// Accepts no more records, and waits until all queued ones are written. Returns whether all were written.
    pub fn close(&self) -> bool {
        // `Acquire` pairs with the store in `close_within`, which another thread may have made.
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
    /// Records a finished call. This function queues the record itself, whether or not the future is awaited. After any
    /// error but [`JournalError::Late`] the record will never be written.
    pub fn seal(
        self,
        record: Box<Record<Json>>,
        durability: Durability,
    ) -> impl Future<Output = Result<(), JournalError>> + use<'j> {
        // Outside of the async block: a future that is dropped before its first poll has queued the record all the
        // same.
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
