//! Entries about what is older than the log: everything that a journal holds when it is migrated.
//!
//! The first entry says how many there are. They attest what was there at the migration, and nothing about the time before.

use rusqlite::Connection;
use serde::Serialize;

use super::log::{self, New};
use super::{StoreError, grades, intents, json_text};
use crate::log::Kind;
use airlock_types::record;

/// What was there. Its fields are in the order of their names: the text is canonical JSON.
#[derive(Serialize)]
struct Before {
    calls: u64,
    effects: u64,
    grades: u64,
    intents: u64,
    prunes: u64,
}

/// Adds an entry for each row that is there. Nothing is added to an empty journal.
pub(super) fn adopt(connection: &Connection) -> Result<(), StoreError> {
    let count = |table: &str| -> Result<u64, StoreError> {
        let count = format!("SELECT count(*) FROM {table}");
        Ok(connection.query_row(&count, [], |row| row.get::<_, i64>(0))?.unsigned_abs())
    };
    let before = Before {
        calls: count("records")?,
        effects: count("committed")?,
        grades: count("graded")?,
        intents: count("intents")?,
        prunes: count("pruned")?,
    };
    let Before { calls, effects, grades, intents, prunes } = before;
    if calls + effects + grades + intents + prunes == 0 {
        return Ok(());
    }
    let text = serde_json::to_string(&before).map_err(|_| StoreError::Json)?;
    log::append(connection, New::told(Kind::Before, &text))?;
    records(connection, "records", Kind::Call)?;
    records(connection, "committed", Kind::Effect)?;
    intents::adopt(connection)?;
    grades::adopt(connection)?;
    self::prunes(connection)
}

fn records(connection: &Connection, table: &str, kind: Kind) -> Result<(), StoreError> {
    let mut query = connection.prepare(&format!("SELECT id, record FROM {table} ORDER BY rowid"))?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (id, text): (String, String) = (row.get(0)?, row.get(1)?);
        // One that cannot be read has no head: retention removes it as a whole.
        let head = record::read(&text).ok().map(|mut record| {
            record.erase();
            json_text(&record)
        });
        let head = head.transpose()?;
        let new = New { head: head.as_deref(), payload: Some(&text), ..New::of(kind, &id) };
        log::append(connection, new)?;
    }
    Ok(())
}

/// The entries about what retention did, which were rows of a table of their own.
fn prunes(connection: &Connection) -> Result<(), StoreError> {
    let mut query = connection.prepare("SELECT number, at_unix_ms, entry FROM pruned ORDER BY number")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (number, at, entry): (i64, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        // With the columns beside it, which the view shows. The keys of `serde_json` are ordered.
        let mut entry: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&entry).unwrap_or_default();
        entry.insert("at_unix_ms".into(), at.into());
        entry.insert("run".into(), number.into());
        let text = serde_json::to_string(&entry).map_err(|_| StoreError::Json)?;
        log::append(connection, New::told(Kind::Prune, &text))?;
    }
    Ok(())
}
