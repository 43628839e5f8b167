//! Pairs of keys and values that tools keep: an SQLite database of its own, beside that of records.
//!
//! Owns the file, the transactions and their errors; `spaces` has whose pairs they are and how many, `pairs` what is done
//! with them. Every change is one transaction of the file, so quotas and comparisons hold for all processes that use it.
//! A change is on disk when it returns. Must not know grants or guests.

mod pairs;
mod schema;
mod spaces;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use rusqlite::ErrorCode;

use crate::database::{Database, DatabaseError, Form};
use crate::store::StoreError;
pub use pairs::{Bucket, Change, Page, Pair};
pub use spaces::{Quota, Space};

/// The name of the file, in the folder of the journal.
pub const FILE: &str = "keyvalue.db";

/// Most bytes of a key.
pub const KEY_BYTES_MAX: usize = 1 << 10;

/// Most keys of one batch. Other tools wait while it is made.
pub const BATCH_KEYS_MAX: usize = 1_000;

/// A change waits longer for one of another process than such a change takes on a slow disk. That is short beside the
/// deadline of an attempt, which the next change may still meet.
const FORM: Form = Form { prepare: schema::prepare, is_durable: true, busy: Duration::from_secs(2) };

/// The pairs of all tools of a host.
#[derive(Debug)]
pub struct KeyValue(Database);

/// Why something could not be done with pairs. The texts are fragments that a guest may read: they name no path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyValueError {
    /// A key is too long.
    #[error("a key has {0} bytes, at most {KEY_BYTES_MAX} are possible")]
    Key(usize),
    /// A value is larger than granted.
    #[error("a value has {bytes} bytes, and `value_bytes_max` of the grant is {most}")]
    Value {
        /// Its size.
        bytes: usize,
        /// The bound.
        most: u64,
    },
    /// There are as many keys as granted.
    #[error("there would be more than {0} keys, which is `keys_max` of the grant")]
    Keys(u64),
    /// The pairs are as large as granted.
    #[error("there would be more than {0} bytes of keys and values, which is `bytes_max` of the grant")]
    Bytes(u64),
    /// As many callers or sessions have pairs as granted.
    #[error("{0} callers or sessions have keys already, which is `spaces_max` of the grant")]
    Spaces(u64),
    /// There are more keys in one batch than are treated at once.
    #[error("a batch has {0} keys, at most {BATCH_KEYS_MAX} are possible")]
    TooMany(usize),
    /// More is asked for at once than is read at once.
    #[error("the values have more than {0} bytes together: ask for fewer keys at once")]
    TooMuch(usize),
    /// A value is not a number that can be added to.
    #[error("the value is not a whole number in decimal digits")]
    NotANumber,
    /// A number leaves its range.
    #[error("the number would leave the range of its type")]
    Overflow,
    /// Another process holds the file.
    #[error("the store is busy: another process writes to it")]
    Busy,
    /// The file cannot be opened, read or written. The text says why, for the operator.
    #[error("the store cannot be used")]
    Broken(String),
}

impl KeyValueError {
    /// Whether a bound of the grant was met.
    pub fn is_quota(&self) -> bool {
        match self {
            KeyValueError::Value { .. }
            | KeyValueError::Keys(_)
            | KeyValueError::Bytes(_)
            | KeyValueError::Spaces(_) => true,
            KeyValueError::Key(_)
            | KeyValueError::TooMany(_)
            | KeyValueError::TooMuch(_)
            | KeyValueError::NotANumber
            | KeyValueError::Overflow
            | KeyValueError::Busy
            | KeyValueError::Broken(_) => false,
        }
    }
}

impl From<rusqlite::Error> for KeyValueError {
    fn from(err: rusqlite::Error) -> KeyValueError {
        StoreError::from(err).into()
    }
}

impl From<StoreError> for KeyValueError {
    fn from(err: StoreError) -> KeyValueError {
        if let StoreError::Sqlite(sqlite) = &err
            && let Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) = sqlite.sqlite_error_code()
        {
            return KeyValueError::Busy;
        }
        KeyValueError::Broken(err.to_string())
    }
}

impl DatabaseError for KeyValueError {
    fn is_broken(&self) -> bool {
        matches!(self, KeyValueError::Broken(_))
    }
}

impl KeyValue {
    /// Opens the pairs in a file. A missing file is created, readable by this user alone.
    ///
    /// # Errors
    /// Says what is wrong with the file: nothing is overwritten.
    pub fn open(path: &Path) -> Result<KeyValue, String> {
        Database::open(path, FORM).map(KeyValue)
    }

    /// The pairs in a file, to be read: every change fails. A missing file is not created, and has no pairs.
    ///
    /// # Errors
    /// Says what is wrong with the file.
    pub fn read_only(path: &Path) -> Result<KeyValue, String> {
        match path.try_exists() {
            Ok(true) => Database::open(path, Form { prepare: schema::prepare_to_read, ..FORM }).map(KeyValue),
            Ok(false) => KeyValue::memory(),
            Err(err) => Err(err.to_string()),
        }
    }

    /// Pairs in memory, which end with the process.
    ///
    /// # Errors
    /// When SQLite has no memory.
    pub fn memory() -> Result<KeyValue, String> {
        Database::memory(FORM).map(KeyValue)
    }
}
