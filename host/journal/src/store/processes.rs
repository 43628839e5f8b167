//! How many records each process has accounted for: written, or told to be lost.
//!
//! A process counts the records that it owes in its file beside the journal, which outlives it when it is killed. What it owed
//! and did not account for is a gap, and is told in the log. Must not know how the file is read.

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::Serialize;

use super::{StoreError, log, signed};
use crate::log::Kind;

/// Records that a process owed and never wrote. Its fields are in the order of their names: the text is canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Gap<'g> {
    lost: u64,
    process: &'g str,
    why: Why,
}

/// Why records are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Why {
    /// The process ended before it wrote them.
    Ended,
    /// They could not be written, or there was no room for them in its queue.
    Refused,
}

/// Notes how many records a process has accounted for since its start.
pub(crate) fn account(connection: &Connection, owner: &str, records: u64) -> Result<(), StoreError> {
    let upsert = "INSERT INTO processes (owner, accounted) VALUES (?1, ?2)
                  ON CONFLICT (owner) DO UPDATE SET accounted = excluded.accounted";
    connection.prepare_cached(upsert)?.execute(params![owner, signed(records)])?;
    Ok(())
}

/// Tells of records that a process lost.
pub(crate) fn lost(connection: &Connection, process: &str, lost: u64, why: Why) -> Result<(), StoreError> {
    let text = serde_json::to_string(&Gap { lost, process, why }).map_err(|_| StoreError::Json)?;
    log::append(connection, log::New::told(Kind::Gap, &text)).map(drop)
}

/// How many of the records that a process owed it did not account for.
pub(crate) fn missing(connection: &Connection, owner: &str, owed: u64) -> rusqlite::Result<u64> {
    let accounted = "SELECT accounted FROM processes WHERE owner = ?1";
    let accounted: Option<i64> =
        connection.prepare_cached(accounted)?.query_row([owner], |row| row.get(0)).optional()?;
    Ok(owed.saturating_sub(accounted.unwrap_or(0).unsigned_abs()))
}

/// Tells of the records that a process which is gone did not write.
pub(crate) fn bury(connection: &Connection, owner: &str, owed: u64) -> Result<(), StoreError> {
    match missing(connection, owner, owed)? {
        0 => {}
        missing => lost(connection, owner, missing, Why::Ended)?,
    }
    connection.execute("DELETE FROM processes WHERE owner = ?1", [owner])?;
    Ok(())
}

/// Forgets processes that ended and left nothing to tell.
pub(crate) fn forget(connection: &Connection, is_gone: impl Fn(&str) -> bool) -> Result<(), StoreError> {
    let mut query = connection.prepare("SELECT owner FROM processes")?;
    let owners = query.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    for owner in owners.iter().filter(|owner| is_gone(owner)) {
        connection.prepare_cached("DELETE FROM processes WHERE owner = ?1")?.execute([owner])?;
    }
    Ok(())
}
