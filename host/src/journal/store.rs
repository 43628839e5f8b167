//! The file: tables, migrations, reading and writing rows.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{CallRecord, JournalError, Json};

/// The version of the tables, in `user_version`.
const VERSION: u32 = 2;

/// Of a new file; an older one keeps its own. A record is some kilobytes long: large pages are fuller, and written at
/// a stroke.
const PAGE_BYTES: u32 = 16 << 10;

/// What a connection keeps of the file in memory: the ends that records are added to, and a group of them.
const CACHE_KIB: i64 = 1 << 10;

/// Of most records: room that need not grow.
const RECORD_BYTES: usize = 2 << 10;

/// The shortest beginning of an id that is taken for it.
const PREFIX_CHARS_MIN: usize = 8;

/// `calls` is what others may query; the tables may change with the version.
const TABLES: &str = "
CREATE TABLE records (
    id TEXT PRIMARY KEY,
    tool TEXT NOT NULL,
    started_unix_ms INTEGER NOT NULL,
    ended_unix_ms INTEGER NOT NULL,
    code TEXT NOT NULL,
    record TEXT NOT NULL,
    caller TEXT NOT NULL DEFAULT 'local'
) STRICT;
CREATE TABLE intents (
    id TEXT PRIMARY KEY,
    record TEXT NOT NULL
) STRICT;
";

const VIEW: &str = "
CREATE VIEW calls AS
    SELECT id, datetime(started_unix_ms / 1000, 'unixepoch') AS at, tool, code,
           ended_unix_ms - started_unix_ms AS ms, caller
    FROM records;
PRAGMA user_version = 2;
";

/// From version 1, which knew no callers.
const FROM_1: &str = "
ALTER TABLE records ADD COLUMN caller TEXT NOT NULL DEFAULT 'local';
DROP VIEW calls;
";

/// Opens the file; the error says what is wrong with it.
pub(super) fn open(path: &Path) -> Result<Connection, String> {
    private(path).map_err(|err| err.to_string())?;
    let text = |err: rusqlite::Error| err.to_string();
    let mut connection = Connection::open(path).map_err(text)?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(text)?;
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(text)?;
    if version > VERSION {
        return Err(format!(
            "it is of version {version}, written by a newer Airlock; this one knows up to {VERSION}"
        ));
    }
    connection.pragma_update(None, "page_size", PAGE_BYTES).map_err(text)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB).map_err(text)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(text)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(text)?;
    if version < VERSION {
        migrate(&mut connection).map_err(text)?;
    }
    Ok(connection)
}

/// Two processes may come at once: the tables are made in a transaction that looks again.
fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let version: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match version {
        0 => transaction.execute_batch(&format!("{TABLES}{VIEW}"))?,
        1 => transaction.execute_batch(&format!("{FROM_1}{VIEW}"))?,
        _ => {}
    }
    transaction.commit()
}

/// Makes an empty file for this user alone, where there is none.
fn private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path).map(drop)
}

pub(super) fn seal(connection: &Connection, record: &CallRecord<Json>) -> rusqlite::Result<()> {
    let insert = "INSERT OR REPLACE INTO records VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    connection.prepare_cached(insert)?.execute(params![
        record.id,
        record.tool,
        signed(record.started_unix_ms),
        signed(record.ended_unix_ms),
        record.code.as_str(),
        json(record),
        record.caller,
    ])?;
    Ok(())
}

pub(super) fn end_intent(connection: &Connection, record: &CallRecord<Json>) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM intents WHERE id = ?1")?.execute([&record.id]).map(drop)
}

pub(super) fn intend(connection: &Connection, record: &CallRecord<Json>) -> rusqlite::Result<()> {
    let insert = "INSERT OR REPLACE INTO intents VALUES (?1, ?2)";
    connection.prepare_cached(insert)?.execute(params![record.id, json(record)])?;
    Ok(())
}

fn json(record: &CallRecord<Json>) -> String {
    let mut text = Vec::with_capacity(RECORD_BYTES);
    let written = serde_json::to_writer(&mut text, record).is_ok();
    String::from_utf8(text).ok().filter(|_| written).unwrap_or_default()
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

pub(super) fn find(connection: &Connection, id: &str) -> Result<Option<CallRecord>, JournalError> {
    let read = |err: rusqlite::Error| JournalError::Read(err.to_string());
    if id.chars().count() < PREFIX_CHARS_MIN {
        return Err(JournalError::Ambiguous(id.into()));
    }
    let exact = "SELECT record FROM records WHERE id = ?1";
    let exact: Option<String> =
        connection.query_row(exact, [id], |row| row.get(0)).optional().map_err(read)?;
    let found = match exact {
        Some(record) => vec![record],
        None => {
            // A range, which the index answers; a function of the column would read every row.
            let begins = "SELECT record FROM records WHERE id >= ?1 AND id < ?1 || char(0x10ffff) LIMIT 2";
            let mut query = connection.prepare_cached(begins).map_err(read)?;
            let rows = query.query_map([id], |row| row.get(0)).map_err(read)?;
            rows.collect::<Result<Vec<String>, _>>().map_err(read)?
        }
    };
    match found.as_slice() {
        [] => Ok(None),
        [record] => serde_json::from_str(record).map(Some).map_err(|err| JournalError::Read(err.to_string())),
        _ => Err(JournalError::Ambiguous(id.into())),
    }
}

pub(super) fn open_intents(connection: &Connection) -> Result<Vec<String>, JournalError> {
    let read = |err: rusqlite::Error| JournalError::Read(err.to_string());
    let mut query = connection.prepare("SELECT id FROM intents ORDER BY id").map_err(read)?;
    let rows = query.query_map([], |row| row.get(0)).map_err(read)?;
    rows.collect::<Result<_, _>>().map_err(read)
}
