//! Idempotency keys of callers, each with the call that came with it first: an SQLite database of its own, beside that of
//! records.
//!
//! Owns the file, how long a key counts, and how many there are. The records are the truth of what became of a call; here
//! stands only which one it was, on disk before the call begins. Must not know what a reply is.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::database::{self, Database, Form};
use crate::process::Process;
use crate::store::StoreError;

/// The name of the file, in the folder of the journal.
pub const FILE: &str = "keys.db";

/// For how long a key counts, in milliseconds: a day.
pub const AGE_MS_MAX: u64 = 86_400_000;

/// Most keys of one caller. Beyond them the oldest goes.
pub const CALLER_KEYS_MAX: u32 = 10_000;

/// Version of the tables, stored in `user_version`.
const VERSION: u32 = 1;

const TABLES: &str = "
CREATE TABLE keys (
    key TEXT PRIMARY KEY,
    caller TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    record TEXT NOT NULL,
    begun_unix_ms INTEGER NOT NULL,
    owner TEXT NOT NULL
) STRICT;
CREATE INDEX keys_of_caller ON keys (caller, begun_unix_ms DESC);
CREATE INDEX keys_by_age ON keys (begun_unix_ms);
PRAGMA user_version = 1;
";

/// What a power failure undid would be done a second time.
const FORM: Form = Form { prepare, is_durable: true, busy: database::BUSY };

/// A key that a call comes with.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The caller.
    pub caller: String,
    /// The digest of caller and key.
    pub key: String,
    /// The digest of the call: tool and canonical arguments.
    pub fingerprint: String,
    /// The id of its record.
    pub record: String,
    /// When it came.
    pub now_unix_ms: u64,
}

/// The call that came with a key first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// The digest of the call.
    pub fingerprint: String,
    /// The id of its record.
    pub record: String,
    /// When it came.
    pub begun_unix_ms: u64,
    /// Whether it came to another process, which runs still.
    pub is_elsewhere: bool,
}

/// The keys of a host.
#[derive(Debug)]
pub struct Keys {
    database: Database,
    place: String,
    /// This process, beside the others that share the file. None for keys in memory.
    process: Option<Process>,
}

/// Why keys cannot be kept or read, for the operator.
#[derive(Debug, thiserror::Error)]
#[error("the idempotency keys in {place} cannot be used, and calls with one are refused: {reason}")]
pub struct KeysError {
    place: String,
    reason: String,
}

impl Keys {
    /// The keys in a file, which is opened when the first one comes.
    pub fn at(path: &Path) -> Keys {
        let process = Some(Process::at(path));
        Keys { database: Database::at(path, FORM), place: format!("`{}`", path.display()), process }
    }

    /// Keys in memory, which end with the process.
    ///
    /// # Errors
    /// When SQLite has no memory.
    pub fn memory() -> Result<Keys, KeysError> {
        let place = "memory".to_owned();
        match Database::memory(FORM) {
            Ok(database) => Ok(Keys { database, place, process: None }),
            Err(reason) => Err(KeysError { place, reason }),
        }
    }

    /// The call that came with this key within a day; or none, and this one is on disk as the first. `instead_of` is the
    /// record of a call that is known to have done nothing, and whose place it takes.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn begin(&self, asked: &Asked, instead_of: Option<&str>) -> Result<Option<Begun>, KeysError> {
        let own = self.process.as_ref().map_or_else(|| Ok(String::new()), Process::id);
        let own = own.map_err(|reason| KeysError { place: self.place.clone(), reason })?;
        let begun = self.database.write(|connection| -> Result<_, StoreError> {
            let Asked { caller, key, fingerprint, record, now_unix_ms } = asked;
            let oldest = now_unix_ms.saturating_sub(AGE_MS_MAX).cast_signed();
            connection.prepare_cached("DELETE FROM keys WHERE begun_unix_ms <= ?1")?.execute([oldest])?;
            if let Some(void) = instead_of {
                let delete = "DELETE FROM keys WHERE key = ?1 AND record = ?2";
                connection.prepare_cached(delete)?.execute([key, void])?;
            }
            let query = "SELECT fingerprint, record, begun_unix_ms, owner FROM keys WHERE key = ?1";
            let found = connection.prepare_cached(query)?.query_row([key], |row| {
                let begun_unix_ms = row.get::<_, i64>(2)?.cast_unsigned();
                let begun = Begun {
                    fingerprint: row.get(0)?,
                    record: row.get(1)?,
                    begun_unix_ms,
                    is_elsewhere: false,
                };
                Ok((begun, row.get::<_, String>(3)?))
            });
            let found = found.optional()?;
            if found.is_none() {
                let row = params![key, caller, fingerprint, record, now_unix_ms.cast_signed(), own];
                connection.prepare_cached("INSERT INTO keys VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(row)?;
                let beyond = "DELETE FROM keys WHERE caller = ?1 AND key IN (SELECT key FROM keys WHERE caller = ?1 \
                              ORDER BY begun_unix_ms DESC LIMIT -1 OFFSET ?2)";
                connection.prepare_cached(beyond)?.execute(params![caller, CALLER_KEYS_MAX])?;
            }
            Ok(found)
        });
        let begun = begun.map_err(|err| self.error(&err))?;
        Ok(begun.map(|(begun, owner)| {
            // Not while the file is locked: it asks the file system.
            let lives = |process: &Process| owner != own && process.lives(&owner);
            Begun { is_elsewhere: self.process.as_ref().is_some_and(lives), ..begun }
        }))
    }

    /// Forgets the key of a call that did nothing.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn forget(&self, key: &str, record: &str) -> Result<(), KeysError> {
        let forgotten = self.database.write(|connection| -> Result<(), StoreError> {
            let delete = "DELETE FROM keys WHERE key = ?1 AND record = ?2";
            connection.prepare_cached(delete)?.execute([key, record])?;
            Ok(())
        });
        forgotten.map_err(|err| self.error(&err))
    }

    fn error(&self, err: &StoreError) -> KeysError {
        KeysError { place: self.place.clone(), reason: err.to_string() }
    }
}

fn prepare(connection: &mut Connection) -> Result<(), String> {
    database::create(connection, VERSION, TABLES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(key: &str, record: &str, now_unix_ms: u64) -> Asked {
        let text = |text: &str| text.to_owned();
        Asked { caller: text("a"), key: text(key), fingerprint: text("f"), record: text(record), now_unix_ms }
    }

    #[test]
    fn a_key_is_of_the_first_call_for_a_day_and_after_the_file_was_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let first =
            Begun { fingerprint: "f".into(), record: "r1".into(), begun_unix_ms: 5, is_elsewhere: false };
        assert_eq!(Keys::at(&path).begin(&asked("k", "r1", 5), None).unwrap(), None);
        let keys = Keys::at(&path);
        assert_eq!(keys.begin(&asked("k", "r2", 6), None).unwrap(), Some(first.clone()));
        assert_eq!(keys.begin(&asked("k", "r2", 4 + AGE_MS_MAX), None).unwrap(), Some(first));
        assert_eq!(keys.begin(&asked("k", "r3", 5 + AGE_MS_MAX), None).unwrap(), None);
    }

    #[test]
    fn a_key_says_whether_the_process_of_its_call_runs_still() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        // Two of one process stand for two processes: each has a file of its own.
        let (one, other) = (Keys::at(&path), Keys::at(&path));
        assert_eq!(one.begin(&asked("k", "r1", 5), None).unwrap(), None);
        let is_elsewhere =
            |keys: &Keys| keys.begin(&asked("k", "r2", 6), None).unwrap().unwrap().is_elsewhere;
        assert_eq!((is_elsewhere(&one), is_elsewhere(&other)), (false, true));
        drop(one);
        assert!(!is_elsewhere(&other));
    }

    #[test]
    fn the_place_of_a_call_that_did_nothing_is_free() {
        let keys = Keys::memory().unwrap();
        keys.begin(&asked("k", "r1", 1), None).unwrap();
        keys.forget("k", "another").unwrap();
        assert!(keys.begin(&asked("k", "r2", 1), None).unwrap().is_some());
        assert_eq!(keys.begin(&asked("k", "r2", 1), Some("r1")).unwrap(), None);
        keys.forget("k", "r2").unwrap();
        assert_eq!(keys.begin(&asked("k", "r3", 1), None).unwrap(), None);
    }

    #[test]
    fn a_caller_has_a_bounded_number_of_keys() {
        let keys = Keys::memory().unwrap();
        for n in 0..=u64::from(CALLER_KEYS_MAX) {
            keys.begin(&asked(&format!("k{n}"), "r", n), None).unwrap();
        }
        assert!(keys.begin(&asked("k1", "r", 20_000), None).unwrap().is_some());
        assert_eq!(keys.begin(&asked("k0", "r", 20_000), None).unwrap(), None);
    }
}
