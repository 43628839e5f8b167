//! The database: opening it, reading and writing rows.
//!
//! Everything that is looked at by path is looked at before the connection exists or without opening it: closing a
//! descriptor of the database drops the POSIX locks of all connections of this process, and then another process
//! that closes its own deletes the write-ahead log under this one.

mod room;
mod schema;

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, TransactionBehavior, params};

use super::{Durability, JournalError};
use crate::state;
use airlock_types::json::Json;
use airlock_types::record;
use airlock_types::record::Record;
pub(super) use room::{Room, bytes_of, make as make_room};

/// How long opening waits for another process that holds the database.
const OPEN_BUSY: Duration = Duration::from_secs(5);

/// How long one statement waits. Short, so that the writer can be told to end between two tries.
pub(super) const BUSY: Duration = Duration::from_millis(250);

/// What a connection keeps of the file in memory: the ends that records are added to, and a group of them.
const CACHE_KIB: i64 = 1 << 10;

/// The write-ahead log is cut to this size when it starts again. SQLite starts it again after 16 MiB, unless a
/// reader of another process stays in an old state.
pub(super) const WAL_BYTES: u64 = 64 << 20;

/// Of most records: room that need not grow.
const RECORD_BYTES: usize = 2 << 10;

/// An open database.
#[derive(Debug)]
pub(super) struct Store {
    connection: Connection,
    path: PathBuf,
    wal: PathBuf,
    shm: PathBuf,
    /// Device and inode of the database, its log and the log's index, as they were when all were there first.
    files: Option<[(u64, u64); 3]>,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    /// SQLite says so.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// It cannot be opened.
    #[error("{0}")]
    Open(String),
    /// Its files are not those that were opened.
    #[error("its files were moved or removed while it was open; it is opened again")]
    Displaced,
    /// The write-ahead log cannot start again.
    #[error(
        "its write-ahead log has {0} bytes and cannot be folded back while another process reads an old state of the \
         database; end that reader"
    )]
    Pinned(u64),
    /// A record that is no JSON.
    #[error("a record cannot be written as JSON")]
    Json,
}

/// What can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Another process holds the database: wait.
    Busy,
    /// The disk has no room or does not work: other records may still fit.
    Disk,
    /// This one record can never be written.
    Record,
    /// Anything else: a new connection may help.
    Broken,
}

impl StoreError {
    pub(super) fn fault(&self) -> Fault {
        match self {
            StoreError::Json => Fault::Record,
            StoreError::Pinned(_) => Fault::Disk,
            StoreError::Open(_) | StoreError::Displaced => Fault::Broken,
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
    /// Opens the database, which is made where it is missing; the error says what is wrong with it.
    pub(super) fn open(path: &Path) -> Result<Store, String> {
        // A file that is created is closed again before a connection to it can exist in this process.
        static OPENING: Mutex<()> = Mutex::new(());
        let _opening = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
        let path = private(path)?;
        let text = |err: rusqlite::Error| err.to_string();
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let mut connection = Connection::open_with_flags(&path, flags).map_err(text)?;
        connection.busy_timeout(OPEN_BUSY).map_err(text)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB).map_err(text)?;
        schema::prepare(&mut connection)?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(text)?;
        connection.pragma_update(None, "journal_size_limit", WAL_BYTES.cast_signed()).map_err(text)?;
        connection.busy_timeout(BUSY).map_err(text)?;
        let mut store =
            Store { connection, wal: beside(&path, "-wal"), shm: beside(&path, "-shm"), path, files: None };
        store.is_in_place();
        Ok(store)
    }

    /// Runs `work` in a transaction that no other process can interrupt. What it returns is on disk once this
    /// returns.
    pub(super) fn write<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&transaction)?;
        transaction.commit()?;
        // After the commit: what was committed into a file without a name is gone.
        if self.is_in_place() {
            return Ok(done);
        }
        // Closing must not fold the lost log into a database that others have written to since.
        self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        Err(StoreError::Displaced)
    }

    /// Whether the files at their paths are those that this connection has open.
    /// The index of the log is one of them: without it at its path, another process would make its own, and both would
    /// write as if they were alone.
    pub(super) fn is_in_place(&mut self) -> bool {
        let of = |path: &Path| path.symlink_metadata().ok().map(|found| (found.dev(), found.ino()));
        let (Some(main), Some(wal), Some(shm)) = (of(&self.path), of(&self.wal), of(&self.shm)) else {
            return false;
        };
        let now = [main, wal, shm];
        *self.files.get_or_insert(now) == now
    }

    /// Refuses to go on while the write-ahead log is larger than `bytes_max` and cannot be folded back.
    pub(super) fn fold(&self, bytes_max: u64) -> Result<(), StoreError> {
        let size = || self.wal.symlink_metadata().map_or(0, |found| found.len());
        if size() <= bytes_max {
            return Ok(());
        }
        let fold = "PRAGMA wal_checkpoint(TRUNCATE)";
        self.connection.query_row(fold, [], |_| Ok(()))?;
        let left = size();
        if left > bytes_max { Err(StoreError::Pinned(left)) } else { Ok(()) }
    }

    /// For reading.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// The real path of the database, checked with the files beside it, and made where it is missing.
fn private(path: &Path) -> Result<PathBuf, String> {
    let text = |err: state::StateError| err.to_string();
    let (folder, name) = path.parent().zip(path.file_name()).ok_or("it has no file name")?;
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    // Again each time: somebody may have put another folder in its place while the host ran.
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

/// Puts a call on record. One that began with effects is kept among `effects`, and its intent has ended.
pub(super) fn seal(
    connection: &Connection,
    record: &Record<Json>,
    durability: Durability,
) -> Result<(), StoreError> {
    let insert = match durability {
        Durability::Queued => "INSERT OR REPLACE INTO records VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        Durability::Committed => "INSERT OR REPLACE INTO effects VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    };
    connection.prepare_cached(insert)?.execute(params![
        record.id,
        record.tool,
        signed(record.started_unix_ms),
        signed(record.ended_unix_ms),
        record.code,
        json(record)?,
        record.caller,
    ])?;
    if durability == Durability::Committed {
        end_intent(connection, &record.id)?;
    }
    Ok(())
}

pub(super) fn end_intent(connection: &Connection, id: &str) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM intents WHERE id = ?1")?.execute([id])?;
    Ok(())
}

pub(super) fn intend(connection: &Connection, record: &Record<Json>) -> Result<(), StoreError> {
    let insert = "INSERT OR REPLACE INTO intents VALUES (?1, ?2)";
    connection.prepare_cached(insert)?.execute(params![record.id, json(record)?])?;
    Ok(())
}

fn json(record: &Record<Json>) -> Result<String, StoreError> {
    let mut text = Vec::with_capacity(RECORD_BYTES);
    serde_json::to_writer(&mut text, record).map_err(|_| StoreError::Json)?;
    String::from_utf8(text).map_err(|_| StoreError::Json)
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

pub(super) fn find(connection: &Connection, id: &str) -> Result<Option<Record>, JournalError> {
    let read = |err: rusqlite::Error| JournalError::Read(err.to_string());
    let exact = "SELECT record FROM records WHERE id = ?1 UNION ALL SELECT record FROM effects WHERE id = ?1";
    let exact: Option<String> =
        connection.query_row(exact, [id], |row| row.get(0)).optional().map_err(read)?;
    let found = match exact {
        Some(record) => vec![record],
        None => {
            // Ranges, which the indexes answer; a function of the column would read every row.
            let begins = "SELECT record FROM records WHERE id >= ?1 AND id < ?1 || char(0x10ffff) UNION ALL \
                          SELECT record FROM effects WHERE id >= ?1 AND id < ?1 || char(0x10ffff) LIMIT 2";
            let mut query = connection.prepare_cached(begins).map_err(read)?;
            let rows = query.query_map([id], |row| row.get(0)).map_err(read)?;
            rows.collect::<Result<Vec<String>, _>>().map_err(read)?
        }
    };
    match found.as_slice() {
        [] => Ok(None),
        [text] => record::read(text).map(Some).map_err(|err| JournalError::Read(err.to_string())),
        _ => Err(JournalError::Ambiguous(id.into())),
    }
}

pub(super) fn open_intents(connection: &Connection) -> Result<Vec<String>, JournalError> {
    let read = |err: rusqlite::Error| JournalError::Read(err.to_string());
    let mut query = connection.prepare("SELECT id FROM intents ORDER BY id").map_err(read)?;
    let rows = query.query_map([], |row| row.get(0)).map_err(read)?;
    rows.collect::<Result<_, _>>().map_err(read)
}
