//! Accepted answers, kept for the time when their tools cannot answer: an SQLite database of its own, beside that of
//! records.
//!
//! Owns the file and how many answers it has: when there are too many, the oldest ones go. Must not know what an answer
//! is, nor how old it may be.

#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::database::{self, Database, Form};
use crate::store::StoreError;

/// The name of the file, in the folder of the journal.
pub const FILE: &str = "answers.db";

/// Most bytes of one answer. A larger one is not kept.
pub const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Most answers of one caller.
pub const CALLER_ANSWERS_MAX: u32 = 1_000;

/// Most bytes of the answers of one caller.
pub const CALLER_BYTES_MAX: u64 = 32 << 20;

/// The age in milliseconds at which answers go: a year. Longer than any that a registry can ask for.
pub const AGE_MS_MAX: u64 = 366 * 86_400_000;

/// Most bytes of all answers, so that many callers together do not fill a disk.
pub const BYTES_MAX: u64 = 256 << 20;

/// Version of the tables, stored in `user_version`.
const VERSION: u32 = 1;

const TABLES: &str = "
CREATE TABLE answers (
    key TEXT PRIMARY KEY,
    caller TEXT NOT NULL,
    kept_unix_ms INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    answer TEXT NOT NULL
) STRICT;
CREATE INDEX answers_of_caller ON answers (caller, kept_unix_ms DESC, bytes);
CREATE INDEX answers_by_age ON answers (kept_unix_ms);
PRAGMA user_version = 1;
";

/// An answer that a power failure undoes is one that was never kept.
/// A call waits for it, so it is not waited for long.
const FORM: Form = Form { prepare, is_durable: false, busy: Duration::from_millis(100) };

/// The answers of a host.
#[derive(Debug)]
pub struct Answers {
    database: Database,
    /// For the operator.
    place: String,
}

/// Why answers cannot be kept or read, for the operator.
#[derive(Debug, thiserror::Error)]
#[error(
    "the answers kept in {place} cannot be used, and calls go on without them: {reason}; if that stays, move the file away, and a new one is made"
)]
pub struct AnswersError {
    place: String,
    reason: String,
}

impl Answers {
    /// The answers in a file, which is opened when the first one is kept or sought.
    pub fn at(path: &Path) -> Answers {
        Answers { database: Database::at(path, FORM), place: format!("`{}`", path.display()) }
    }

    /// Answers in memory, which end with the process.
    ///
    /// # Errors
    /// When SQLite has no memory.
    pub fn memory() -> Result<Answers, AnswersError> {
        let place = "memory".to_owned();
        match Database::memory(FORM) {
            Ok(database) => Ok(Answers { database, place }),
            Err(reason) => Err(AnswersError { place, reason }),
        }
    }

    /// Keeps an answer in place of the last one of the same key. One that is too large is not kept, and the last one goes:
    /// it is not the last answer any more.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn keep(&self, caller: &str, key: &str, answer: &str, now_unix_ms: u64) -> Result<(), AnswersError> {
        let fits = answer.len() <= ANSWER_BYTES_MAX;
        let kept = self.database.write(|connection| -> Result<(), StoreError> {
            connection.prepare_cached("DELETE FROM answers WHERE key = ?1")?.execute([key])?;
            if fits {
                let insert = "INSERT INTO answers VALUES (?1, ?2, ?3, ?4, ?5)";
                let bytes = i64::try_from(answer.len()).unwrap_or(i64::MAX);
                let row = params![key, caller, now_unix_ms.cast_signed(), bytes, answer];
                connection.prepare_cached(insert)?.execute(row)?;
                make_room(connection, caller, now_unix_ms)?;
            }
            Ok(())
        });
        kept.map_err(|err| self.error(&err))
    }

    /// The last answer of a key, and when it was kept.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn last(&self, key: &str) -> Result<Option<(String, u64)>, AnswersError> {
        let found = self.database.read(|connection| -> Result<_, StoreError> {
            let mut query =
                connection.prepare_cached("SELECT answer, kept_unix_ms FROM answers WHERE key = ?1")?;
            let row = query.query_row([key], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned())));
            Ok(row.optional()?)
        });
        found.map_err(|err| self.error(&err))
    }

    fn error(&self, err: &StoreError) -> AnswersError {
        AnswersError { place: self.place.clone(), reason: err.to_string() }
    }
}

/// Removes answers that are too old, then the oldest of a caller beyond its bounds, then the oldest of all beyond those of
/// the file.
fn make_room(connection: &Connection, caller: &str, now_unix_ms: u64) -> rusqlite::Result<()> {
    let oldest = now_unix_ms.saturating_sub(AGE_MS_MAX).cast_signed();
    connection.prepare_cached("DELETE FROM answers WHERE kept_unix_ms < ?1")?.execute([oldest])?;
    // Newest first: the sum over an answer and all newer ones says whether it still fits.
    let of_caller = "DELETE FROM answers WHERE key IN (SELECT key FROM (SELECT key, \
                     row_number() OVER newest AS number, sum(bytes) OVER newest AS total \
                     FROM answers WHERE caller = ?1 WINDOW newest AS (ORDER BY kept_unix_ms DESC, key \
                     ROWS UNBOUNDED PRECEDING)) WHERE number > ?2 OR total > ?3)";
    let limits = params![caller, CALLER_ANSWERS_MAX, CALLER_BYTES_MAX.cast_signed()];
    connection.prepare_cached(of_caller)?.execute(limits)?;
    // By pages, which SQLite counts anyway: a sum over all rows would be read at each answer.
    let oldest = "DELETE FROM answers WHERE key IN (SELECT key FROM answers ORDER BY kept_unix_ms LIMIT 64)";
    while used_bytes(connection)? > BYTES_MAX.cast_signed() {
        if connection.prepare_cached(oldest)?.execute([])? == 0 {
            break;
        }
    }
    Ok(())
}

fn used_bytes(connection: &Connection) -> rusqlite::Result<i64> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    Ok((pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?)
}

fn prepare(connection: &mut Connection) -> Result<(), String> {
    database::create(connection, VERSION, TABLES)
}
