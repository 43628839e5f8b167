//! How large the database may become, and what goes first.
//!
//! Calls that only read go, the oldest first. Calls with effects and intents stay: when nothing else is left,
//! effectful calls are refused at the door instead.

use rusqlite::Connection;

use super::{Store, StoreError};
use crate::bound;

/// Rows that one statement removes.
const ROWS: i64 = 64;

/// Statements in one transaction: what is added waits no longer for a bound that was lowered by gigabytes.
const STATEMENTS_MAX: usize = 64;

/// Pages that are given back to the file system in one transaction.
const PAGES: u32 = 512;

/// How the database stands to its bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Room {
    /// Records that were removed to make it.
    pub(crate) removed: u64,
    /// Only calls with effects are left, and they take all of it.
    pub(crate) is_full: bool,
    /// There is more to be removed or given back.
    pub(crate) is_over: bool,
}

/// What a record of so much JSON takes at most, but for pages that are shared: a chain of overflow pages ends in one
/// that is not full.
pub(crate) fn bytes_of(json: u64) -> u64 {
    json + json.min(16 << 10) + 512
}

/// Makes room for so many more bytes, inside of the transaction that adds them.
pub(crate) fn make(connection: &Connection, more: u64, bytes_max: u64) -> rusqlite::Result<Room> {
    let most = bound::filled(bytes_max);
    let mut room = Room::default();
    for _ in 0..STATEMENTS_MAX {
        if used(connection)? + more <= most {
            return Ok(room);
        }
        let oldest = "DELETE FROM records WHERE rowid IN (SELECT rowid FROM records ORDER BY rowid LIMIT ?1)";
        let removed = connection.prepare_cached(oldest)?.execute([ROWS])?;
        if removed == 0 {
            room.is_full = true;
            return Ok(room);
        }
        room.removed += removed as u64;
    }
    room.is_over = true;
    Ok(room)
}

/// Bytes of pages that hold something.
fn used(connection: &Connection) -> rusqlite::Result<u64> {
    let pages = number(connection, "page_count")?.saturating_sub(number(connection, "freelist_count")?);
    Ok(pages * number(connection, "page_size")?)
}

fn number(connection: &Connection, pragma: &str) -> rusqlite::Result<u64> {
    let value: i64 =
        connection.prepare_cached(&format!("PRAGMA {pragma}"))?.query_row([], |row| row.get(0))?;
    Ok(value.unsigned_abs())
}

impl Store {
    /// A step towards a bound that was lowered: removes rows, then gives free pages back. With `probe` something is
    /// written in any case.
    pub(crate) fn tend(&mut self, bytes_max: u64, probe: bool) -> Result<Room, StoreError> {
        self.write(|connection| {
            if probe {
                // Each write makes a page of the log, a row that is gone again no less.
                connection.execute("INSERT OR REPLACE INTO intents VALUES ('', '')", [])?;
                super::end_intent(connection, "")?;
            }
            let mut room = make(connection, 0, bytes_max)?;
            let size = || -> rusqlite::Result<u64> {
                Ok(number(connection, "page_count")? * number(connection, "page_size")?)
            };
            let before = size()?;
            if before > bytes_max {
                let mut step = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
                let mut rows = step.query([])?;
                while rows.next()?.is_some() {}
                // A file of an older version gives nothing back; its free pages are used again.
                room.is_over |= size()? < before;
            }
            Ok(room)
        })
    }
}
