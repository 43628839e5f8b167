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

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use crate::store::{Store, StoreError};
pub use pairs::{Bucket, Change, Page, Pair};
pub use spaces::{Quota, Space};

/// The name of the file, in the folder of the journal.
pub const FILE: &str = "keyvalue.db";

/// Most bytes of a key.
pub const KEY_BYTES_MAX: usize = 1 << 10;

/// Most keys of one batch. Other tools wait while it is made.
pub const BATCH_KEYS_MAX: usize = 1_000;

/// How long a change waits for one of another process. Longer than such a change takes on a slow disk, and short beside
/// the deadline of an attempt, which the next change may still meet.
const BUSY: Duration = Duration::from_secs(2);

/// The pairs of all tools of a host.
#[derive(Debug)]
pub struct KeyValue(Mutex<Base>);

/// Where they are.
#[derive(Debug)]
enum Base {
    /// A file. `None` after its connection proved useless, until the next use opens it again.
    File(PathBuf, Option<Store>),
    /// The memory of this process.
    Memory(Connection),
}

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

impl KeyValue {
    /// Opens the pairs in a file. A missing file is created, readable by this user alone.
    ///
    /// # Errors
    /// Says what is wrong with the file: nothing is overwritten.
    pub fn open(path: &Path) -> Result<KeyValue, String> {
        let store = opened(path)?;
        Ok(KeyValue(Mutex::new(Base::File(path.to_owned(), Some(store)))))
    }

    /// Pairs in memory, which end with the process.
    ///
    /// # Errors
    /// When SQLite has no memory.
    pub fn memory() -> Result<KeyValue, String> {
        let mut connection = Connection::open_in_memory().map_err(|err| err.to_string())?;
        schema::prepare(&mut connection)?;
        Ok(KeyValue(Mutex::new(Base::Memory(connection))))
    }

    /// Reads in one transaction, so that several statements see the same state.
    fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, KeyValueError>,
    ) -> Result<T, KeyValueError> {
        self.with(|base| match base {
            Base::Memory(connection) => work(connection),
            Base::File(path, store) => {
                let store = kept(path, store)?;
                let transaction = store.connection().unchecked_transaction()?;
                work(&transaction)
            }
        })
    }

    /// Writes in one transaction, which is undone if `work` fails.
    fn write<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, KeyValueError>,
    ) -> Result<T, KeyValueError> {
        self.with(|base| match base {
            Base::Memory(connection) => {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let done = work(&transaction)?;
                transaction.commit()?;
                Ok(done)
            }
            Base::File(path, store) => kept(path, store)?.write(work),
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Base) -> Result<T, KeyValueError>) -> Result<T, KeyValueError> {
        let mut base = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let done = work(&mut base);
        // A new connection may help, and the next use makes one.
        if let (Err(KeyValueError::Broken(_)), Base::File(_, store)) = (&done, &mut *base) {
            *store = None;
        }
        done
    }
}

fn opened(path: &Path) -> Result<Store, String> {
    let store = Store::open_with(path, schema::prepare)?;
    store.connection().busy_timeout(BUSY).map_err(|err| err.to_string())?;
    Ok(store)
}

/// The open store of a file. The files may have been replaced since it was opened; it would then read removed ones.
fn kept<'s>(path: &Path, store: &'s mut Option<Store>) -> Result<&'s mut Store, KeyValueError> {
    if store.as_mut().is_some_and(|store| !store.is_in_place()) {
        *store = None;
        return Err(StoreError::Displaced.into());
    }
    match store {
        Some(store) => Ok(store),
        none => Ok(none.insert(opened(path).map_err(KeyValueError::Broken)?)),
    }
}
