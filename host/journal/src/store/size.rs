//! The size of the database, and which records are removed first.
//!
//! The oldest records of calls that only read are removed first. Records of calls with effects and intents are never
//! removed here; when nothing else is left, new calls with effects are refused. What the log keeps for good is counted apart.

use rusqlite::Connection;

use super::prune::{self, Step};
use super::{Store, StoreError, kept};
use crate::bound;
use crate::retention::By;

/// Rows removed by one statement.
const ROWS: i64 = 64;

/// Statements in one transaction. It limits how long new records wait after the bound was lowered by gigabytes.
const STATEMENTS_MAX: usize = 64;

/// Pages returned to the file system in one transaction.
const PAGES: u32 = 512;

/// How the size of the database compares to its bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SizeCheck {
    /// Records removed by this step.
    pub(crate) removed: u64,
    /// Only calls with effects are left, and they fill the bound.
    pub(crate) is_full: bool,
    /// More rows or pages remain to be removed or returned.
    pub(crate) is_over: bool,
}

/// Upper bound of the bytes that a record with this much JSON, its entry of the log and its line of the index take, except for shared pages. The
/// last overflow page of a record is not full, which can waste up to one page of 16 KiB.
pub(crate) fn bytes_of(json: u64) -> u64 {
    json + json.min(16 << 10) + 1_024
}

/// Makes room for `more` bytes, inside the transaction that adds them.
pub(crate) fn make(connection: &Connection, more: u64, bytes_max: u64) -> Result<SizeCheck, StoreError> {
    let most = bound::filled(bytes_max);
    let mut room = SizeCheck { is_over: true, ..SizeCheck::default() };
    let mut step = Step::none(By::Space);
    let kept = kept::uncounted(connection, bytes_max)?;
    for _ in 0..STATEMENTS_MAX {
        if used(connection)?.saturating_sub(kept + step.leaves_bytes()) + more <= most {
            room.is_over = false;
            break;
        }
        if !remove(connection, &mut step)? {
            (room.is_over, room.is_full) = (false, true);
            break;
        }
    }
    if !step.pruned.is_none() {
        prune::tell(connection, None, &step, prune::latest_unix_ms(connection)?)?;
    }
    room.removed = step.pruned.removed;
    Ok(room)
}

/// Removes the oldest records. Returns whether there were any.
fn remove(connection: &Connection, step: &mut Step) -> Result<bool, StoreError> {
    // By rowid, which grows with each insert and needs no further index. `started_unix_ms` has none.
    let oldest =
        "DELETE FROM records WHERE rowid IN (SELECT rowid FROM records ORDER BY rowid LIMIT ?1) RETURNING id";
    let mut oldest = connection.prepare_cached(oldest)?;
    let ids = oldest.query_map([ROWS], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    ids.iter().try_for_each(|id| step.remove(connection, id))?;
    Ok(!ids.is_empty())
}

/// Bytes of all pages in use.
fn used(connection: &Connection) -> rusqlite::Result<u64> {
    let pages = number(connection, "page_count")?.saturating_sub(number(connection, "freelist_count")?);
    Ok(pages * number(connection, "page_size")?)
}

fn number(connection: &Connection, pragma: &str) -> rusqlite::Result<u64> {
    let value: i64 =
        connection.prepare_cached(&format!("PRAGMA {pragma}"))?.query_row([], |row| row.get(0))?;
    Ok(value.unsigned_abs())
}

/// Largest database that is rewritten whenever something was erased: it takes as much memory, and a second in which
/// records wait.
pub const REWRITE_BYTES_MAX: u64 = 64 << 20;

impl Store {
    /// Rewrites a database of at most this size, so that nothing of what was erased is left in the free space of its pages:
    /// where SQLite moves a row from one page to another, the first keeps a copy, whatever `secure_delete` says. Returns
    /// whether it did.
    pub(crate) fn rewrite(&self, bytes_max: u64) -> Result<bool, StoreError> {
        let connection = self.connection();
        let bytes = number(connection, "page_count")? * number(connection, "page_size")?;
        if bytes > bytes_max {
            return Ok(false);
        }
        // A confined process writes no files elsewhere.
        let place = if bytes <= REWRITE_BYTES_MAX { "MEMORY" } else { "FILE" };
        connection.pragma_update(None, "temp_store", place)?;
        // Row ids stay: each table has an integer key, or an index.
        connection.execute_batch("VACUUM")?;
        Ok(true)
    }

    /// One step toward a lowered bound: removes rows, then returns free pages. With `probe`, it always writes
    /// something, to test whether the database can be written again.
    pub(crate) fn tend(&mut self, bytes_max: u64, probe: bool) -> Result<SizeCheck, StoreError> {
        self.write(|connection| {
            if probe {
                // Inserting and deleting a row still writes a page to the log.
                connection.execute("INSERT OR REPLACE INTO intents VALUES ('', '', '')", [])?;
                connection.execute("DELETE FROM intents WHERE id = ''", [])?;
            }
            let mut room = make(connection, 0, bytes_max)?;
            let size = || -> rusqlite::Result<u64> {
                Ok(number(connection, "page_count")? * number(connection, "page_size")?)
            };
            let before = size()?;
            if before > bytes_max {
                let mut step = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
                let mut rows = step.query([])?;
                // The pragma frees one page for each row that is read.
                while rows.next()?.is_some() {}
                // A file of an older version returns no pages, but reuses its free ones.
                room.is_over |= size()? < before;
            }
            Ok(room)
        })
    }
}
