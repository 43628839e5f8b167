//! What the log keeps for good, in bytes: leaves of removed records, and entries about no record.
//!
//! It grows with each call that was ever recorded, and is not what `journal.bytes_max` is about: a small bound would be full of it
//! one day, and calls with effects refused. It has a bound of its own. A sum is in each entry of retention, so that none of it is
//! counted twice.

use rusqlite::{Connection, OptionalExtension as _};

use super::StoreError;

/// Bytes of a leaf: its hash, its number and its place in a page.
pub(super) const LEAF_BYTES: u64 = 42;

/// Bytes of an entry about no record beside its text: its digests, and its lines of two indexes.
const TOLD_BYTES: u64 = 160;

/// Least bound of the log: leaves of 25 million removed records. What is larger counts for `journal.bytes_max`.
const BYTES_MAX: u64 = 1 << 30;

/// The bytes of it that do not count for a journal with this bound. The log may be as large as the rest of the journal, or larger if
/// that is small.
pub(super) fn uncounted(connection: &Connection, bytes_max: u64) -> Result<u64, StoreError> {
    Ok(bytes(connection)?.min(bytes_max.max(BYTES_MAX)))
}

/// The bytes that the log keeps for good.
pub(super) fn bytes(connection: &Connection) -> Result<u64, StoreError> {
    let latest = "SELECT number, text ->> '$.kept_bytes' FROM log WHERE kind = 'prune' AND text IS NOT NULL
                  ORDER BY number DESC LIMIT 1";
    let latest = connection
        .prepare_cached(latest)?
        .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1).ok().flatten())));
    let (since, before) = match latest.optional()? {
        // Nothing was removed yet.
        None => (0, 0),
        Some((number, Some(bytes))) => (number, bytes.unsigned_abs()),
        // By an older version: counted once, for the next entry has the sum.
        Some((_, None)) => (0, leaves(connection)? * LEAF_BYTES),
    };
    Ok(before + told(connection, since)?)
}

fn leaves(connection: &Connection) -> rusqlite::Result<u64> {
    let count: i64 = connection.query_row("SELECT count(*) FROM leaves", [], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// Bytes of the entries about no record from this number on.
fn told(connection: &Connection, since: i64) -> Result<u64, StoreError> {
    // By the index of what is told, kind by kind.
    let told = "SELECT count(*), coalesce(sum(octet_length(text)), 0) FROM log
                WHERE kind IN ('checkpoint', 'gap', 'key', 'prune') AND text IS NOT NULL AND number >= ?1";
    let (count, bytes): (i64, i64) =
        connection.prepare_cached(told)?.query_row([since], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(count.unsigned_abs() * TOLD_BYTES + bytes.unsigned_abs())
}
