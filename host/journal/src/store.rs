//! The database: opens it, reads and writes rows.
//!
//! Every check by path runs before the connection exists, or without opening the file. Closing any descriptor of the
//! database would drop the POSIX locks of all connections of this process. Another process that then closes its own
//! connection would delete the write-ahead log under this one.

mod adopt;
mod grades;
mod intents;
mod kept;
mod listing;
pub(crate) mod log;
mod parts;
pub(crate) mod processes;
mod prune;
mod schema;
mod seal;
pub(crate) mod signing;
mod size;
mod trouble;
pub(crate) mod verify;
mod views;
mod written;

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, TransactionBehavior, params};
use serde::Serialize;

use super::{Durability, JournalError};
use crate::log::KeyError;
use crate::state;
use airlock_types::record;
use airlock_types::record::Record;
use airlock_types::shorten::{clean, shorten};
pub(super) use grades::{NotGraded, given, grade, is_graded};
pub(super) use intents::{find_open, intend, interrupted, open_intents, settle, withdraw};
#[cfg(test)]
pub(super) use listing::plan_of_list;
pub(super) use listing::{follow, list, newest};
pub(super) use prune::{Step, index, next_tool, step, tell};
pub(crate) use schema::log_ahead;
pub(super) use seal::seal;
pub use size::REWRITE_BYTES_MAX;
pub(super) use size::{SizeCheck, bytes_of, make as make_room};
use trouble::explained;
pub(super) use written::Sealing;

/// How long opening waits while another process holds the database.
const OPEN_BUSY: Duration = Duration::from_secs(5);

/// How long one statement waits for a lock. Short, so that the writer can react to a close between two tries.
pub(super) const BUSY: Duration = Duration::from_millis(250);

/// Page cache of a connection in KiB, which is filled as far as it is used. Enough for the largest group of ordinary
/// records: pages of a transaction for which there is no room are written to the log early, and once more at its end.
const CACHE_KIB: i64 = 4 << 10;

/// Size in bytes to which the write-ahead log is truncated when it restarts. SQLite restarts it after 16 MiB, unless a
/// reader in another process holds an old snapshot.
pub(super) const WAL_BYTES: u64 = 64 << 20;

/// Initial capacity for the JSON of a record, in bytes. Most records fit without growing it.
const RECORD_BYTES: usize = 2 << 10;

/// Records of one page. Each may have megabytes.
const PAGE_RECORDS: u32 = 16;

/// Characters of an id that an error quotes.
const ID_CHARS_MAX: usize = 64;

/// An open database.
#[derive(Debug)]
pub(super) struct Store {
    connection: Connection,
    path: PathBuf,
    wal: PathBuf,
    shm: PathBuf,
    /// Device and inode of the database, its write-ahead log and the log's index, from when all three first existed.
    files: Option<[(u64, u64); 3]>,
}

/// Why a write failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    /// An error of SQLite.
    #[error("{}", explained(.0))]
    Sqlite(#[from] rusqlite::Error),
    /// The database cannot be opened.
    #[error("{0}")]
    Open(String),
    /// The files at the paths are not those that were opened.
    #[error("its files were moved or removed while it was open; {}", state::opened_again())]
    Displaced,
    /// The write-ahead log cannot restart, since a reader pins it.
    #[error(
        "its write-ahead log has {0} bytes and cannot be folded back while another process reads an old state of the \
         database; end that reader"
    )]
    Pinned(u64),
    /// The record cannot be serialized as JSON.
    #[error("a record cannot be written as JSON")]
    Json,
    /// The log has an entry with the greatest number, which nothing here wrote.
    #[error(
        "its log has an entry with the greatest number that there is, and takes no more; `airlock journal verify` tells of it: \
         put a backup in the place of the journal"
    )]
    Numbers,
    /// A value cannot be compressed.
    #[error("a value of a record cannot be compressed: {0}")]
    Compress(#[source] std::io::Error),
    /// There is no key to sign an entry with.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The file that says which process owns the intents cannot be written.
    #[error("the file beside it that marks this process as running cannot be written: {0}")]
    Owner(#[source] std::io::Error),
}

/// What the writer can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Another process holds the database. Waiting helps.
    Busy,
    /// The disk is full or does not work. Smaller records may still fit.
    Disk,
    /// This record can never be written.
    Record,
    /// Any other error. A new connection may help.
    Broken,
}

impl StoreError {
    /// Classifies the error.
    pub(super) fn fault(&self) -> Fault {
        match self {
            StoreError::Json | StoreError::Compress(_) => Fault::Record,
            StoreError::Pinned(_) | StoreError::Owner(_) | StoreError::Key(_) => Fault::Disk,
            StoreError::Open(_) | StoreError::Displaced | StoreError::Numbers => Fault::Broken,
            StoreError::Sqlite(err) => match err.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Fault::Busy,
                Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => Fault::Disk,
                Some(ErrorCode::TooBig | ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch) => {
                    Fault::Record
                }
                _ => Fault::Broken,
            },
        }
    }
}

impl Store {
    /// Opens the database of records and creates a missing one. The error says what is wrong with it.
    pub(super) fn open(path: &Path) -> Result<Store, String> {
        Store::open_with(path, schema::prepare)
    }

    /// Opens a database and creates a missing one. `prepare` makes or migrates its tables.
    pub(super) fn open_with(
        path: &Path,
        prepare: impl FnOnce(&mut Connection) -> Result<(), String>,
    ) -> Result<Store, String> {
        // Serializes opening: the descriptor of a newly created file must be closed before this process has a
        // connection.
        static OPENING: Mutex<()> = Mutex::new(());
        let _opening = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
        let path = private(path)?;
        let text = |err: rusqlite::Error| explained(&err);
        // No `CREATE`: `private` has created the file with its mode. No mutex: one thread at a time uses a connection.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let mut connection = Connection::open_with_flags(&path, flags).map_err(text)?;
        // The long wait covers the migration, which needs the write lock.
        connection.busy_timeout(OPEN_BUSY).map_err(text)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB).map_err(text)?;
        prepare(&mut connection)?;
        // In WAL mode only `FULL` syncs the log at each commit. `NORMAL` can lose commits that were reported, on a
        // power failure.
        connection.pragma_update(None, "synchronous", "FULL").map_err(text)?;
        connection.pragma_update(None, "journal_size_limit", WAL_BYTES.cast_signed()).map_err(text)?;
        // What is removed is overwritten where its page is written anyway: an intent has the arguments of its call.
        connection.pragma_update(None, "secure_delete", "FAST").map_err(text)?;
        connection.busy_timeout(BUSY).map_err(text)?;
        let mut store =
            Store { connection, wal: beside(&path, "-wal"), shm: beside(&path, "-shm"), path, files: None };
        // Records the identity of the files now, while this process has just opened them.
        store.is_in_place();
        Ok(store)
    }

    /// Runs `work` in an immediate transaction, which holds the write lock from its start. The result is durable once
    /// this returns.
    pub(super) fn write<T, E: From<StoreError>>(
        &mut self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let begun = self.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = begun.map_err(StoreError::from)?;
        // On an error the transaction is rolled back when it is dropped.
        let done = work(&transaction)?;
        transaction.commit().map_err(StoreError::from)?;
        // Checked after the commit: a commit into a file that was removed or replaced meanwhile is lost.
        if self.is_in_place() {
            return Ok(done);
        }
        Err(StoreError::Displaced.into())
    }

    /// Whether the files at their paths are those that this connection has open. The index of the log is one of them:
    /// without it, another process would create its own, and both would write without seeing each other's locks.
    pub(super) fn is_in_place(&mut self) -> bool {
        let of = |path: &Path| path.symlink_metadata().ok().map(|found| (found.dev(), found.ino()));
        let (Some(main), Some(wal), Some(shm)) = (of(&self.path), of(&self.wal), of(&self.shm)) else {
            return false;
        };
        let now = [main, wal, shm];
        *self.files.get_or_insert(now) == now
    }

    /// From here on, what is removed is overwritten with zeros.
    pub(super) fn overwrite_removed(&self) -> Result<(), StoreError> {
        Ok(self.connection.pragma_update(None, "secure_delete", true)?)
    }

    /// Checkpoints a write-ahead log larger than `bytes_max`. Fails when the log stays larger.
    pub(super) fn fold(&self, bytes_max: u64) -> Result<(), StoreError> {
        let size = || self.wal.symlink_metadata().map_or(0, |found| found.len());
        if size() <= bytes_max {
            return Ok(());
        }
        let fold = "PRAGMA wal_checkpoint(TRUNCATE)";
        // The result row is ignored: a blocked checkpoint reports success with a flag, so the size is checked instead.
        self.connection.query_row(fold, [], |_| Ok(()))?;
        let left = size();
        if left > bytes_max { Err(StoreError::Pinned(left)) } else { Ok(()) }
    }

    /// The connection, for reading.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// Canonical path of the database. Checks it with the files beside it, and creates a missing database.
fn private(path: &Path) -> Result<PathBuf, String> {
    let text = |err: state::StateError| err.to_string();
    let (folder, name) = path.parent().zip(path.file_name()).ok_or("it has no file name")?;
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    // Checked at each opening: the folder may have been replaced while the host ran.
    state::existing_folder(folder).map_err(text)?;
    let path = folder.canonicalize().map_err(|err| format!("`{}`: {err}", folder.display()))?.join(name);
    if !state::file(&path).map_err(text)? {
        state::create(&path).map_err(text)?;
    }
    for end in ["-wal", "-shm", "-journal"] {
        state::file(&beside(&path, end)).map_err(text)?;
    }
    Ok(path)
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn json_text(record: &Record<impl Serialize>) -> Result<String, StoreError> {
    let mut text = Vec::with_capacity(RECORD_BYTES);
    serde_json::to_writer(&mut text, record).map_err(|_| StoreError::Json)?;
    String::from_utf8(text).map_err(|_| StoreError::Json)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Drop for Store {
    /// Closing must not checkpoint a log whose files were replaced into a database that other processes have written since.
    fn drop(&mut self) {
        if !self.is_in_place() {
            let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
    }
}

/// A record as it is stored.
struct Text {
    record: String,
    erased_unix_ms: Option<i64>,
    id: String,
}

impl Text {
    /// The columns that `of` reads, in their order.
    const COLUMNS: &str = "record, erased_unix_ms, id";

    fn of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Text> {
        let text = |column| log::text(row, column).map(Option::unwrap_or_default);
        Ok(Text { record: text(0)?, erased_unix_ms: row.get(1)?, id: text(2)? })
    }

    fn record(&self) -> Result<Record, JournalError> {
        let mut record = record::read(&self.record).map_err(|err| unreadable(&self.id, err))?;
        // Beside the text: what is left of it is the head that the log committed to when it was written.
        record.erased_unix_ms = self.erased_unix_ms.map(i64::unsigned_abs).or(record.erased_unix_ms);
        Ok(record)
    }
}

/// A record that cannot be read.
fn unreadable(id: &str, err: impl ToString) -> JournalError {
    JournalError::Record { id: shorten(&clean(id), ID_CHARS_MAX).to_string(), reason: err.to_string() }
}

/// Visits every record of both tables, without the values that are stored apart.
pub(super) fn each(connection: &Connection, visit: &mut dyn FnMut(&Record)) -> Result<(), JournalError> {
    let read = |err: rusqlite::Error| JournalError::Read(explained(&err));
    let all = format!("SELECT {0} FROM records UNION ALL SELECT {0} FROM committed", Text::COLUMNS);
    let mut query = connection.prepare(&all).map_err(read)?;
    let mut rows = query.query([]).map_err(read)?;
    while let Some(row) = rows.next().map_err(read)? {
        visit(&Text::of(row).map_err(read)?.record()?);
    }
    Ok(())
}

/// The records after this id that came at this time or later, in the order of their ids, as many as a page has. Pages, since
/// one long read would keep the log from restarting.
pub(super) fn page(
    connection: &Connection,
    after: &str,
    since_unix_ms: u64,
) -> Result<Vec<Record>, JournalError> {
    let read = |err: rusqlite::Error| JournalError::Read(explained(&err));
    let page = format!(
        "SELECT {0} FROM records WHERE id > ?1 AND started_unix_ms >= ?2 UNION ALL
         SELECT {0} FROM committed WHERE id > ?1 AND started_unix_ms >= ?2 ORDER BY id LIMIT ?3",
        Text::COLUMNS
    );
    let mut query = connection.prepare_cached(&page).map_err(read)?;
    let params = params![after, signed(since_unix_ms), PAGE_RECORDS];
    let rows = query.query_map(params, Text::of).map_err(read)?;
    let texts = rows.collect::<Result<Vec<_>, _>>().map_err(read)?;
    let filled = texts.iter().map(|text| {
        let mut record = text.record()?;
        // The next page begins behind the id of the last record: with another one it might begin anywhere.
        if record.id != text.id {
            let other = shorten(&clean(&record.id), ID_CHARS_MAX);
            return Err(unreadable(&text.id, format!("it says that it is `{other}`")));
        }
        parts::fill(connection, &mut record)?;
        Ok(record)
    });
    filled.collect()
}

pub(super) fn find(connection: &Connection, id: &str) -> Result<Option<Record>, JournalError> {
    let read = |err: rusqlite::Error| JournalError::Read(explained(&err));
    // A whole id first: it can also be the beginning of a longer one.
    let exact = format!(
        "SELECT {0} FROM records WHERE id = ?1 UNION ALL SELECT {0} FROM committed WHERE id = ?1",
        Text::COLUMNS
    );
    let exact = connection.query_row(&exact, [id], Text::of).optional().map_err(read)?;
    let found = match exact {
        Some(text) => vec![text],
        None => {
            // Range conditions use the index. A function of the column would read every row.
            let begins = format!(
                "SELECT {0} FROM records WHERE id >= ?1 AND id < ?1 || char(0x10ffff) UNION ALL
                 SELECT {0} FROM committed WHERE id >= ?1 AND id < ?1 || char(0x10ffff) LIMIT 2",
                Text::COLUMNS
            );
            let mut query = connection.prepare_cached(&begins).map_err(read)?;
            let rows = query.query_map([id], Text::of).map_err(read)?;
            rows.collect::<Result<Vec<Text>, _>>().map_err(read)?
        }
    };
    match found.as_slice() {
        [] => Ok(None),
        [text] => {
            let mut record = text.record()?;
            parts::fill(connection, &mut record)?;
            Ok(Some(record))
        }
        _ => Err(JournalError::Ambiguous(id.into())),
    }
}
