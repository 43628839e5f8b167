//! Records in an SQLite database, written by a dedicated thread.
//!
//! Owns both connections: the writer's, and the reader's, which look-ups open on demand. Must not know what a record
//! says.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use crate::queue::Message;
use crate::store::{self, Store};
use crate::writer::{Reader, Writer};
use crate::{JournalError, JournalView, OpenCall, owner};
use airlock_types::record::Record;

/// An open database of records.
#[derive(Debug)]
pub(super) struct Sqlite {
    path: PathBuf,
    reader: Reader,
    pub(super) writer: Writer,
}

impl Sqlite {
    pub(super) fn open(path: &Path, bytes_max: u64) -> Result<Sqlite, JournalError> {
        let failed = |reason: String| JournalError::Open { path: path.to_owned(), reason };
        // Opened on this thread, so that an error reaches the caller of `open` and no thread is started for it.
        let store = Store::open(path).map_err(failed)?;
        let reader = Reader::new(Mutex::default());
        let writer = Writer::start(path.to_owned(), store, Arc::clone(&reader), bytes_max)
            .map_err(|err| failed(err.to_string()))?;
        Ok(Sqlite { path: path.to_owned(), reader, writer })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn view(&self) -> JournalView {
        let shared = &self.writer.shared;
        JournalView {
            standing: shared.standing(),
            waiting: shared.waiting(),
            lost: shared.lost.count(),
            removed: shared.removed.load(Ordering::Acquire),
            intents: shared.intents.load(Ordering::Acquire),
            commits: shared.commits.load(Ordering::Acquire),
        }
    }

    pub(super) fn bound(&self, bytes_max: u64) {
        // Before the message, because the writer reads the value when it receives the message.
        self.writer.shared.bytes_max.store(bytes_max, Ordering::Release);
        // The send fails only when the writer thread has ended. Then there is nothing to bound.
        let _ = self.writer.queue.tell(Message::Bound);
    }

    /// Looks up a record. A stored record is found even when the writer cannot write. When no record is found and the
    /// flush failed, the flush error is returned: the record may still be queued.
    pub(super) fn find(&self, id: &str) -> Result<Option<Record>, JournalError> {
        // Flushed first, so that a reply's id can be looked up as soon as the reply was sent. The result is used below,
        // since a stored record must be found even if the flush failed.
        let flushed = self.writer.flush();
        match self.read(|connection| store::find(connection, id))? {
            None => flushed.map(|()| None),
            found => Ok(found),
        }
    }

    pub(super) fn each(&self, visit: &mut dyn FnMut(&Record)) -> Result<(), JournalError> {
        self.writer.flush()?;
        self.read(|connection| store::each(connection, visit))
    }

    pub(super) fn open_intents(&self) -> Result<Vec<String>, JournalError> {
        self.writer.flush()?;
        self.read(store::open_intents)
    }

    /// Looks up a call that started and has not ended.
    pub(super) fn find_open(&self, id: &str) -> Result<Option<OpenCall>, JournalError> {
        self.writer.flush()?;
        let found = self.read(|connection| store::find_open(connection, id))?;
        Ok(found.map(|(record, owner)| OpenCall { record, is_running: owner::is_alive(&self.path, &owner) }))
    }

    fn read<T>(&self, look: impl FnOnce(&Connection) -> Result<T, JournalError>) -> Result<T, JournalError> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let store = match &mut *reader {
            Some(store) => store,
            none => none.insert(Store::open(&self.path).map_err(JournalError::Read)?),
        };
        // The files at the path may have been replaced since. Without the check, look-ups would read a removed file.
        if store.is_in_place() {
            return look(store.connection());
        }
        // Closed and not reopened here: the next look-up opens the files that are there by then.
        *reader = None;
        Err(JournalError::Read("its files were moved or removed; it is opened again".into()))
    }
}
