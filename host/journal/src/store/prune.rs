//! Retention: erases and removes the oldest records of each tool, in steps.
//!
//! All removal of records passes `remove` here or in `size`, all erasure `erase`: what must outlive a record is kept
//! there. Owns the entries that tell of it. Must not know the rules.

use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::Serialize;

use super::log::{self, New};
use super::{StoreError, json_text, kept, signed, signing};
use crate::log::{KeyError, Kind, Ranges};
use crate::retention::{By, Keep, Pruned};
use airlock_types::digest::sha256_of;
use airlock_types::record;

/// Records that one step erases or removes: a few milliseconds, in which calls wait for their commits.
const STEP_ROWS: usize = 64;

/// The tables of records.
const TABLES: [&str; 2] = ["records", "committed"];

/// The indexes of retention, which finds the oldest records of each tool. They are made at its first use and not with the
/// tables: keeping them costs each record a tenth of its writing, and a journal of gigabytes seconds in which no record is
/// written.
const INDEXES: &str = "
CREATE INDEX IF NOT EXISTS records_by_tool ON records (tool, started_unix_ms, erased_unix_ms, bytes);
CREATE INDEX IF NOT EXISTS committed_by_tool ON committed (tool, started_unix_ms, erased_unix_ms, bytes);
";

/// What one transaction of retention erased and removed.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) pruned: Pruned,
    /// Numbers of the entries whose content was erased.
    erased: Ranges,
    /// Numbers of the entries of which the leaf is left.
    removed: Ranges,
}

impl Step {
    /// Nothing yet.
    pub(crate) fn none(by: By) -> Step {
        Step { pruned: Pruned::none(by), erased: Ranges::default(), removed: Ranges::default() }
    }

    /// Bytes of the leaves that it has left so far, of which no entry tells yet.
    pub(super) fn leaves_bytes(&self) -> u64 {
        self.removed.count() * kept::LEAF_BYTES
    }

    /// Notes that the row of a record was removed.
    pub(super) fn remove(&mut self, connection: &Connection, id: &str) -> Result<(), StoreError> {
        log::removed(connection, id, &mut self.removed)?;
        self.pruned.remove(id);
        Ok(())
    }
}

/// What the entry about a step says. Its fields are in the order of their names: the text is canonical JSON.
#[derive(Serialize)]
struct Told<'t> {
    at_unix_ms: u64,
    by: By,
    erased: u64,
    erased_entries: &'t Ranges,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<&'t str>,
    /// Bytes that the log keeps for good, up to before this entry: `size` does not count them.
    kept_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<&'t str>,
    /// SHA-256 of the leaves of these entries, in hex: erased ones first.
    leaves: String,
    removed: u64,
    removed_entries: &'t Ranges,
    /// The run of retention that the step belongs to.
    run: u64,
}

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
    done: &mut Step,
) -> Result<bool, StoreError> {
    // Destructured without `..`: a rule that is accepted is applied.
    let Keep { record_ms, payload_ms, bytes_max } = keep;
    let count = |done: &Step| done.pruned.erased + done.pruned.removed;
    let before = count(done);
    let since = |age_ms: u64| signed(now_unix_ms.saturating_sub(age_ms));
    for table in TABLES {
        if let Some(age_ms) = record_ms {
            for id in older(connection, table, tool, since(age_ms), "")? {
                remove(connection, table, &id, done)?;
            }
        }
        if let Some(age_ms) = payload_ms {
            for id in older(connection, table, tool, since(age_ms), "AND erased_unix_ms IS NULL")? {
                erase(connection, table, &id, now_unix_ms, done)?;
            }
        }
    }
    if let Some(bytes_max) = bytes_max {
        shrink(connection, tool, bytes_max, done)?;
    }
    Ok(count(done) - before >= STEP_ROWS as u64)
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
fn shrink(connection: &Connection, tool: &str, bytes_max: u64, done: &mut Step) -> Result<(), StoreError> {
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
        remove(connection, TABLES[usize::from(table)], &id, done)?;
    }
    Ok(())
}

/// Removes a record as a whole.
fn remove(connection: &Connection, table: &str, id: &str, done: &mut Step) -> Result<(), StoreError> {
    connection.prepare_cached(&format!("DELETE FROM {table} WHERE id = ?1"))?.execute([id])?;
    done.remove(connection, id)
}

/// Erases what the caller and the tool said.
fn erase(
    connection: &Connection,
    table: &str,
    id: &str,
    now_unix_ms: u64,
    done: &mut Step,
) -> Result<(), StoreError> {
    let text = format!("SELECT record FROM {table} WHERE id = ?1");
    let text: String = connection.prepare_cached(&text)?.query_row([id], |row| row.get(0))?;
    let Ok(mut record) = record::read(&text) else {
        // What cannot be read cannot be erased in parts, and must not stay.
        return remove(connection, table, id, done);
    };
    record.erase();
    let text = json_text(&record)?;
    let update =
        format!("UPDATE {table} SET record = ?2, bytes = ?3, parts = 0, erased_unix_ms = ?4 WHERE id = ?1");
    let values = params![id, text, signed(text.len() as u64), signed(now_unix_ms)];
    connection.prepare_cached(&update)?.execute(values)?;
    log::erased(connection, id, &mut done.erased)?;
    attest(connection, table, id, &text, done)?;
    done.pruned.erase(id);
    Ok(())
}

/// Appends an entry about an erased record whose head was another text when it was written, as by a version with another form.
fn attest(
    connection: &Connection,
    table: &str,
    id: &str,
    text: &str,
    done: &mut Step,
) -> Result<(), StoreError> {
    let kind = if table == TABLES[0] { Kind::Call } else { Kind::Effect };
    let standing = log::standing(connection, id, &[kind])?;
    let Some(number) = standing.last() else { return Ok(()) };
    if log::head(connection, *number)? == Some(sha256_of(&[text.as_bytes()])) {
        return Ok(());
    }
    let new = New { head: Some(text), ends: &standing, ..New::of(kind, id) };
    let number = log::append(connection, new)?;
    done.erased.insert(number);
    Ok(())
}

/// Appends the entry about what was erased and removed. Returns the number of its run, which is a new one without `run`.
pub(crate) fn tell(
    connection: &Connection,
    run: Option<u64>,
    step: &Step,
    now_unix_ms: u64,
) -> Result<u64, StoreError> {
    let Step { pruned, erased: erased_entries, removed: removed_entries } = step;
    let Pruned { by, erased, first, last, removed } = pruned;
    let run = match run {
        Some(run) => run,
        None => {
            let next = "SELECT coalesce(max(text ->> '$.run'), 0) + 1 FROM log WHERE kind = 'prune'";
            connection.prepare_cached(next)?.query_row([], |row| row.get::<_, i64>(0))?.unsigned_abs()
        }
    };
    let told = Told {
        at_unix_ms: now_unix_ms,
        by: *by,
        erased: *erased,
        erased_entries,
        first: first.as_deref(),
        kept_bytes: kept::bytes(connection)? + step.leaves_bytes(),
        last: last.as_deref(),
        leaves: log::digest_of(connection, &[erased_entries, removed_entries])?,
        removed: *removed,
        removed_entries,
        run,
    };
    let text = serde_json::to_string(&told).map_err(|_| StoreError::Json)?;
    match (signing::key_of(connection), by) {
        (Ok(key), _) => signing::append(connection, Kind::Prune, &text, &key)?,
        (Err(err), By::Command | By::Server) => return Err(err.into()),
        // Records of calls would not be written any more. Verification tells of the entry.
        (Err(err), By::Space) => {
            unsigned(&err);
            log::append(connection, New::told(Kind::Prune, &text))?
        }
    };
    Ok(run)
}

/// Says once that records make room without a signature.
fn unsigned(err: &KeyError) {
    static IS_SAID: AtomicBool = AtomicBool::new(false);
    if !IS_SAID.swap(true, Ordering::Relaxed) {
        tracing::error!(
            "the oldest records make room, and the entry of the log about it is not signed: {err}"
        );
    }
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
