//! Records of calls, so that every reply's id can be looked up.
//!
//! Owns the file, its form, and when a record is durable: queued for calls that only read, committed before the
//! reply for all others. SQLite is the truth; one thread writes, in groups. Must not know how stages decide.

// Every outcome is looked at wherever outcomes are told apart.
#![warn(clippy::wildcard_enum_match_arm)]

mod record;
mod store;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rusqlite::Connection;

pub use record::{CallRecord, FORMAT, Json};
use writer::{Message, Place, Writer};

/// A journal, open.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    reader: Mutex<Connection>,
    writer: Writer,
}

/// When a record is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Some milliseconds after it was queued; a crash may lose the last group, which shows as a gap.
    Queued,
    /// Before the answer.
    Committed,
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
    /// A prefix that several ids share, or one that is too short.
    #[error("`{0}` is not the beginning of one record's id: give at least eight characters, or more of them")]
    Ambiguous(String),
}

impl Journal {
    /// Opens the journal, which is made where it is missing, readable by this user alone.
    ///
    /// # Errors
    /// When the folder is missing, the file is no journal, or of a newer version; nothing is overwritten.
    pub fn open(path: &Path) -> Result<Journal, JournalError> {
        let failed = |reason: String| JournalError::Open { path: path.to_owned(), reason };
        let connection = store::open(path).map_err(failed)?;
        let reader = store::open(path).map_err(failed)?;
        let writer = Writer::start(connection).map_err(|err| failed(err.to_string()))?;
        Ok(Journal { path: path.to_owned(), reader: Mutex::new(reader), writer })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts a call on record before it starts; for calls with effects.
    ///
    /// # Errors
    /// When it cannot be committed: the call must not start.
    pub async fn intend(&self, record: CallRecord<Json>) -> Result<(), JournalError> {
        self.place().await?.order(Message::Intend(Box::new(record)), Durability::Committed).await
    }

    /// Puts a call on record.
    ///
    /// # Errors
    /// When it cannot be queued or committed.
    pub async fn seal(&self, record: CallRecord<Json>, durability: Durability) -> Result<(), JournalError> {
        self.place().await?.seal(Box::new(record), durability).await
    }

    /// Waits for a place in the queue, so that a record need not be given away before there is one.
    pub(crate) async fn place(&self) -> Result<Place<'_>, JournalError> {
        self.writer.place().await
    }

    /// Whether there is no place in the queue at the moment.
    pub(crate) fn is_full(&self) -> bool {
        self.writer.is_full()
    }

    /// Queues a record from where nobody can wait: a call that was dropped.
    pub(crate) fn seal_now(&self, record: Box<CallRecord<Json>>, durability: Durability) {
        self.writer.queued_now(record, durability);
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
    /// When several do, or the journal cannot be read.
    pub fn find(&self, id: &str) -> Result<Option<CallRecord>, JournalError> {
        self.writer.flush()?;
        let reader = self.reader.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        store::find(&reader, id)
    }

    /// The ids of calls that began and never ended: what a crash left behind.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn open_intents(&self) -> Result<Vec<String>, JournalError> {
        self.writer.flush()?;
        let reader = self.reader.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        store::open_intents(&reader)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::call::code::Code;

    fn record(id: &str) -> CallRecord<Json> {
        CallRecord {
            format: FORMAT,
            id: id.into(),
            tool: "t".into(),
            caller: "local".into(),
            started_unix_ms: 1,
            ended_unix_ms: 2,
            code: Code::Ok,
            args: Json::of(&json!({"a": 1})),
            component: None,
            plan: None,
            path: vec![],
            attempts: vec![],
            reply: None,
        }
    }

    #[tokio::test]
    async fn what_was_sealed_is_there_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let journal = Journal::open(&path).unwrap();
        // More than the queue holds, and some in between that somebody waits for.
        for i in 0..2_500 {
            let durability = if i % 700 == 0 { Durability::Committed } else { Durability::Queued };
            journal.seal(record(&format!("{i:08}-x")), durability).await.unwrap();
        }
        drop(journal);
        let journal = Journal::open(&path).unwrap();
        for id in (0..2_500).step_by(100).chain([2_499]).map(|i| format!("{i:08}-x")) {
            let found = journal.find(&id).unwrap().unwrap();
            assert_eq!(serde_json::to_value(found).unwrap(), serde_json::to_value(record(&id)).unwrap());
        }
        assert!(journal.find("00007777").unwrap().is_none());
    }

    #[tokio::test]
    async fn a_prefix_must_be_long_and_of_one_record() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("journal.db")).unwrap();
        journal.seal(record("abcdefgh-1"), Durability::Committed).await.unwrap();
        journal.seal(record("abcdefgh-2"), Durability::Committed).await.unwrap();
        assert!(matches!(journal.find("abcdefgh"), Err(JournalError::Ambiguous(_))));
        assert!(matches!(journal.find("abc"), Err(JournalError::Ambiguous(_))));
        assert!(journal.find("abcdefgh-2").unwrap().is_some());
    }

    #[tokio::test]
    async fn an_intent_without_an_end_shows() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("journal.db")).unwrap();
        journal.intend(record("11111111")).await.unwrap();
        journal.intend(record("22222222")).await.unwrap();
        journal.seal(record("22222222"), Durability::Committed).await.unwrap();
        assert_eq!(journal.open_intents().unwrap(), ["11111111"]);
    }

    #[test]
    fn what_is_no_journal_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        std::fs::write(&path, "this is a letter, not a database, and it is long enough to tell").unwrap();
        let err = Journal::open(&path).unwrap_err().to_string();
        assert!(err.contains("journal.db") && err.contains("not a database"), "{err}");
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("this is a letter"));
        let missing = folder.path().join("no/such/journal.db");
        assert!(Journal::open(&missing).unwrap_err().to_string().contains("no/such"));
    }

    #[tokio::test]
    async fn two_processes_can_hold_it_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let (one, two) = (Journal::open(&path).unwrap(), Journal::open(&path).unwrap());
        one.seal(record("11111111"), Durability::Queued).await.unwrap();
        two.seal(record("22222222"), Durability::Committed).await.unwrap();
        assert!(one.find("22222222").unwrap().is_some());
        one.find("11111111").unwrap().unwrap();
        assert!(two.find("11111111").unwrap().is_some());
    }
}
