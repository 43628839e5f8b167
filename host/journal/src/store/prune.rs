//! Retention: erases and removes the oldest records of each tool, in steps.
//!
//! All removal of records passes `remove` here or in `size`, all erasure `erase`: what must outlive a record is kept
//! there. Owns the entries that tell of it. Must not know the rules.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{StoreError, json_text, signed};
use crate::retention::{Keep, Pruned};
use airlock_types::record;

/// Records that one step erases or removes: a few milliseconds, in which calls wait for their commits.
const STEP_ROWS: usize = 64;

/// Entries about removed records that are kept, the latest ones. At its bound a journal makes one for each 64 records.
const ENTRIES_MAX: i64 = 1_000;

/// The tables of records.
const TABLES: [&str; 2] = ["records", "committed"];

/// The indexes of retention, which finds the oldest records of each tool. They are made at its first use and not with the
/// tables: keeping them costs each record a tenth of its writing, and a journal of gigabytes seconds in which no record is
/// written.
const INDEXES: &str = "
CREATE INDEX IF NOT EXISTS records_by_tool ON records (tool, started_unix_ms, erased_unix_ms, bytes);
CREATE INDEX IF NOT EXISTS committed_by_tool ON committed (tool, started_unix_ms, erased_unix_ms, bytes);
";

/// Makes the indexes that the other functions here need.
pub(crate) fn index(connection: &Connection) -> Result<(), StoreError> {
    Ok(connection.execute_batch(INDEXES)?)
}

/// The first tool by name after this one, of all that are on record.
pub(crate) fn next_tool(connection: &Connection, after: &str) -> Result<Option<String>, StoreError> {
    // One look into each index. A list of all names could be as long as the journal: callers can make names up.
    let next = "SELECT min(tool) FROM (SELECT min(tool) AS tool FROM records WHERE tool > ?1
                UNION ALL SELECT min(tool) FROM committed WHERE tool > ?1)";
    Ok(connection.prepare_cached(next)?.query_row([after], |row| row.get(0))?)
}

/// One step for one tool. Returns whether there is more to do.
pub(crate) fn step(
    connection: &Connection,
    tool: &str,
    keep: Keep,
    now_unix_ms: u64,
    pruned: &mut Pruned,
) -> Result<bool, StoreError> {
    // Destructured without `..`: a rule that is accepted is applied.
    let Keep { record_ms, payload_ms, bytes_max } = keep;
    let before = pruned.erased + pruned.removed;
    let since = |age_ms: u64| signed(now_unix_ms.saturating_sub(age_ms));
    for table in TABLES {
        if let Some(age_ms) = record_ms {
            for id in older(connection, table, tool, since(age_ms), "")? {
                remove(connection, table, &id, pruned)?;
            }
        }
        if let Some(age_ms) = payload_ms {
            for id in older(connection, table, tool, since(age_ms), "AND erased_unix_ms IS NULL")? {
                erase(connection, table, &id, now_unix_ms, pruned)?;
            }
        }
    }
    if let Some(bytes_max) = bytes_max {
        shrink(connection, tool, bytes_max, pruned)?;
    }
    Ok(pruned.erased + pruned.removed - before >= STEP_ROWS as u64)
}

/// The ids of the oldest records of a tool that began before a time.
fn older(
    connection: &Connection,
    table: &str,
    tool: &str,
    since_unix_ms: i64,
    and: &str,
) -> Result<Vec<String>, StoreError> {
    let oldest = format!(
        "SELECT id FROM {table} WHERE tool = ?1 AND started_unix_ms < ?2 {and} ORDER BY started_unix_ms LIMIT {STEP_ROWS}"
    );
    let mut query = connection.prepare_cached(&oldest)?;
    let ids = query.query_map(params![tool, since_unix_ms], |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// Removes the oldest records of a tool whose records have more bytes than this.
fn shrink(
    connection: &Connection,
    tool: &str,
    bytes_max: u64,
    pruned: &mut Pruned,
) -> Result<(), StoreError> {
    // Rows of older versions have no number of bytes. Their length is read without their text.
    let total = "SELECT coalesce(sum(bytes), 0) FROM
                 (SELECT coalesce(bytes, octet_length(record)) AS bytes FROM records WHERE tool = ?1 UNION ALL
                  SELECT coalesce(bytes, octet_length(record)) FROM committed WHERE tool = ?1)";
    let total: i64 = connection.prepare_cached(total)?.query_row([tool], |row| row.get(0))?;
    let mut excess = total - signed(bytes_max);
    if excess <= 0 {
        return Ok(());
    }
    let oldest = format!(
        "SELECT 0, id, coalesce(bytes, octet_length(record)), started_unix_ms FROM records WHERE tool = ?1 UNION ALL
         SELECT 1, id, coalesce(bytes, octet_length(record)), started_unix_ms FROM committed WHERE tool = ?1
         ORDER BY started_unix_ms LIMIT {STEP_ROWS}"
    );
    let mut query = connection.prepare_cached(&oldest)?;
    let rows = query.query_map([tool], |row| Ok((row.get::<_, u8>(0)?, row.get(1)?, row.get(2)?)))?;
    for (table, id, bytes) in rows.collect::<Result<Vec<(u8, String, i64)>, _>>()? {
        if excess <= 0 {
            break;
        }
        excess -= bytes;
        remove(connection, TABLES[usize::from(table)], &id, pruned)?;
    }
    Ok(())
}

/// Removes a record as a whole.
fn remove(connection: &Connection, table: &str, id: &str, pruned: &mut Pruned) -> Result<(), StoreError> {
    connection.prepare_cached(&format!("DELETE FROM {table} WHERE id = ?1"))?.execute([id])?;
    pruned.remove(id);
    Ok(())
}

/// Erases what the caller and the tool said.
fn erase(
    connection: &Connection,
    table: &str,
    id: &str,
    now_unix_ms: u64,
    pruned: &mut Pruned,
) -> Result<(), StoreError> {
    let text = format!("SELECT record FROM {table} WHERE id = ?1");
    let text: String = connection.prepare_cached(&text)?.query_row([id], |row| row.get(0))?;
    let Ok(mut record) = record::read(&text) else {
        // What cannot be read cannot be erased in parts, and must not stay.
        return remove(connection, table, id, pruned);
    };
    record.erase(now_unix_ms);
    let text = json_text(&record)?;
    let update =
        format!("UPDATE {table} SET record = ?2, bytes = ?3, parts = 0, erased_unix_ms = ?4 WHERE id = ?1");
    let values = params![id, text, signed(text.len() as u64), signed(now_unix_ms)];
    connection.prepare_cached(&update)?.execute(values)?;
    pruned.erase(id);
    Ok(())
}

/// Writes the entry about what was erased and removed, or what it says by now. Returns its number.
pub(crate) fn tell(
    connection: &Connection,
    number: Option<i64>,
    pruned: &Pruned,
    now_unix_ms: u64,
) -> Result<i64, StoreError> {
    let entry = serde_json::to_string(pruned).map_err(|_| StoreError::Json)?;
    let insert = "INSERT INTO pruned (number, at_unix_ms, entry) VALUES (?1, ?2, ?3)
                  ON CONFLICT (number) DO UPDATE SET entry = excluded.entry RETURNING number";
    let number: i64 = connection
        .prepare_cached(insert)?
        .query_row(params![number, signed(now_unix_ms), entry], |row| row.get(0))?;
    connection.prepare_cached("DELETE FROM pruned WHERE number <= ?1")?.execute([number - ENTRIES_MAX])?;
    Ok(number)
}

/// The time of the latest record, for entries about records that made room for it. 0 for a journal without one.
pub(crate) fn latest_unix_ms(connection: &Connection) -> Result<u64, StoreError> {
    let mut latest = 0;
    for table in TABLES {
        let last = format!("SELECT ended_unix_ms FROM {table} ORDER BY rowid DESC LIMIT 1");
        let last: Option<i64> =
            connection.prepare_cached(&last)?.query_row([], |row| row.get(0)).optional()?;
        latest = latest.max(last.unwrap_or(0).unsigned_abs());
    }
    Ok(latest)
}
