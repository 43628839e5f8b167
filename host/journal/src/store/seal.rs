//! Records of calls that ended: their rows, and their entries of the log.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::intents::end_intent;
use super::log::{self, New, Next};
use super::parts::{self, Apart};
use super::written::{Sealing, Written};
use super::{StoreError, signed};
use crate::Durability;
use crate::log::Kind;
use airlock_types::record::Record;

/// Writes a record, with the next entry of the log. A record with [`Durability::Committed`] goes to `committed` and ends its intent.
pub(crate) fn seal(
    connection: &Connection,
    sealing: &Sealing,
    durability: Durability,
    next: &mut Next,
) -> Result<(), StoreError> {
    match sealing {
        Sealing::Ready(written) => write(connection, written, &[], durability, next),
        Sealing::Plain(record) => {
            let whole = || (Record::clone(record), Vec::new());
            let (thin, apart) = parts::split(record).unwrap_or_else(whole);
            write(connection, &Written::of(thin)?, &apart, durability, next)
        }
        Sealing::Unwritable => Err(StoreError::Json),
    }
}

fn write(
    connection: &Connection,
    record: &Written,
    apart: &[Apart<'_>],
    durability: Durability,
    next: &mut Next,
) -> Result<(), StoreError> {
    // Nearly all records are new and have nothing apart: nothing is looked up for these.
    let is_new = apart.is_empty() && insert(connection, record, durability, 0)?;
    let mut replaced = false;
    if !is_new {
        match replace(connection, &record.id, &record.text, durability)? {
            // After an uncertain commit the same record is written again.
            Before::Same => return Ok(()),
            Before::Other => replaced = true,
            Before::Nothing => {}
        }
        let bytes = parts::put(connection, &record.id, apart)?;
        insert(connection, record, durability, bytes)?;
    }
    append(connection, record, (durability, replaced), next)?;
    if durability == Durability::Committed {
        // In the same transaction as the record: a crash leaves either the intent or the record.
        end_intent(connection, &record.id)?;
    }
    Ok(())
}

/// What there was under the id of a record.
enum Before {
    Nothing,
    Same,
    /// Another record, which was removed: the later one counts.
    Other,
}

fn replace(
    connection: &Connection,
    id: &str,
    text: &str,
    durability: Durability,
) -> Result<Before, StoreError> {
    let (known, remove) = match durability {
        Durability::Queued => {
            ("SELECT record = ?2 FROM records WHERE id = ?1", "DELETE FROM records WHERE id = ?1")
        }
        Durability::Committed => {
            ("SELECT record = ?2 FROM committed WHERE id = ?1", "DELETE FROM committed WHERE id = ?1")
        }
    };
    let is_same = connection.prepare_cached(known)?.query_row([id, text], |row| row.get(0)).optional()?;
    match is_same {
        None => Ok(Before::Nothing),
        Some(true) => Ok(Before::Same),
        Some(false) => {
            // Its removal also removes the uses of its values.
            connection.prepare_cached(remove)?.execute([id])?;
            Ok(Before::Other)
        }
    }
}

/// Inserts the row of a record whose values apart take this many bytes. Returns whether there was none with its id.
fn insert(
    connection: &Connection,
    record: &Written,
    durability: Durability,
    apart_bytes: u64,
) -> Result<bool, StoreError> {
    let insert = match durability {
        Durability::Queued => {
            "INSERT INTO records (id, tool, started_unix_ms, ended_unix_ms, code, record, caller, session, bytes, parts) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (id) DO NOTHING"
        }
        Durability::Committed => {
            "INSERT INTO committed (id, tool, started_unix_ms, ended_unix_ms, code, record, caller, session, bytes, parts) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (id) DO NOTHING"
        }
    };
    let inserted = connection.prepare_cached(insert)?.execute(params![
        record.id,
        record.tool,
        signed(record.started_unix_ms),
        signed(record.ended_unix_ms),
        record.code,
        record.text,
        record.caller,
        record.session,
        signed(record.text.len() as u64 + apart_bytes),
        signed(record.parts as u64),
    ])?;
    Ok(inserted > 0)
}

/// Appends the entry of a record, which may have replaced another one.
fn append(
    connection: &Connection,
    record: &Written,
    (durability, replaced): (Durability, bool),
    next: &mut Next,
) -> Result<(), StoreError> {
    let (kind, ended): (_, &[Kind]) = match durability {
        Durability::Queued => (Kind::Call, &[Kind::Call]),
        Durability::Committed => (Kind::Effect, &[Kind::Effect, Kind::Intent]),
    };
    // A call that only reads has no intent: nothing is looked up for it.
    let is_looked_up = replaced || durability == Durability::Committed;
    let ends = if is_looked_up { log::standing(connection, &record.id, ended)? } else { Vec::new() };
    let new = New {
        head: Some(&record.head),
        payload: Some(&record.text),
        ends: &ends,
        ..New::of(kind, &record.id)
    };
    log::append_next(connection, new, next).map(drop)
}
