//! Calls that started and have not ended.
//!
//! An intent is committed before its call may have an effect, and ends in the transaction that commits the outcome. One
//! that stays without a running owner is that of a call which was interrupted, whose effects are unknown.

use rusqlite::{Connection, params};

use super::{Durability, JournalError, StoreError, explained, json_text, seal};
use crate::Interrupted;
use airlock_types::code::Code;
use airlock_types::json::Json;
use airlock_types::record;
use airlock_types::record::Record;

/// Writes the intent of a call that this owner runs.
pub(crate) fn intend(connection: &Connection, record: &Record<Json>, owner: &str) -> Result<(), StoreError> {
    let insert = "INSERT OR REPLACE INTO intents (id, record, owner) VALUES (?1, ?2, ?3)";
    connection.prepare_cached(insert)?.execute(params![record.id, json_text(record)?, owner])?;
    Ok(())
}

pub(crate) fn end_intent(connection: &Connection, id: &str) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM intents WHERE id = ?1")?.execute([id])?;
    Ok(())
}

pub(crate) fn open_intents(connection: &Connection) -> Result<Vec<String>, JournalError> {
    let read = |err: rusqlite::Error| JournalError::Read(explained(&err));
    let mut query = connection.prepare("SELECT id FROM intents ORDER BY id").map_err(read)?;
    let rows = query.query_map([], |row| row.get(0)).map_err(read)?;
    rows.collect::<Result<_, _>>().map_err(read)
}

/// The intent with this id, or with an id that starts with this prefix, and its owner.
pub(crate) fn find_open(connection: &Connection, id: &str) -> Result<Option<(Record, String)>, JournalError> {
    let read = |err: rusqlite::Error| JournalError::Read(explained(&err));
    let begins = "SELECT record, owner FROM intents WHERE id >= ?1 AND id < ?1 || char(0x10ffff) LIMIT 2";
    let mut query = connection.prepare_cached(begins).map_err(read)?;
    let rows = query.query_map([id], |row| Ok((row.get(0)?, row.get(1)?))).map_err(read)?;
    let mut found = rows.collect::<Result<Vec<(String, String)>, _>>().map_err(read)?;
    match (found.pop(), found.is_empty()) {
        (None, _) => Ok(None),
        (Some((text, owner)), true) => {
            let record = record::read(&text).map_err(|err| JournalError::Read(err.to_string()))?;
            Ok(Some((as_unknown(record), owner)))
        }
        (Some(_), false) => Err(JournalError::Ambiguous(id.into())),
    }
}

/// The ids of the intents whose owner is not alive, oldest first.
pub(crate) fn interrupted(
    connection: &Connection,
    is_alive: impl Fn(&str) -> bool,
) -> Result<Vec<String>, StoreError> {
    let mut query = connection.prepare("SELECT id, owner FROM intents ORDER BY id")?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let open = rows.collect::<Result<Vec<(String, String)>, _>>()?;
    Ok(open.into_iter().filter(|(_, owner)| !is_alive(owner)).map(|(id, _)| id).collect())
}

/// Ends the intents whose owner is not alive: each becomes a record of a call with an unknown outcome. Returns them,
/// oldest first. An intent that cannot be read stays.
pub(crate) fn settle(
    connection: &Connection,
    is_alive: impl Fn(&str) -> bool,
) -> Result<Vec<Interrupted>, StoreError> {
    let mut settled = Vec::new();
    // One record at a time: together they may be large.
    for id in &interrupted(connection, is_alive)? {
        let text: String =
            connection.query_row("SELECT record FROM intents WHERE id = ?1", [id], |row| row.get(0))?;
        let Ok(record) = record::read(&text) else {
            tracing::error!("the intent `{id}` of the journal cannot be read, and stays open");
            continue;
        };
        let record = as_unknown(record).with_json(|_, json| Json::of(json).unwrap_or_default());
        seal(connection, &record, Durability::Committed)?;
        let Record { id, tool, caller, started_unix_ms, .. } = record;
        settled.push(Interrupted { id, tool, caller, started_unix_ms });
    }
    Ok(settled)
}

/// The record of a call that was interrupted. Intents of early versions had another code.
fn as_unknown(record: Record) -> Record {
    Record { code: Code::OutcomeUnknown.into(), ..record }
}
