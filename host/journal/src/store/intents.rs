//! Calls that started and have not ended.
//!
//! An intent is committed before its call may have an effect, and ends in the transaction that commits the outcome. One
//! that stays without a running owner is that of a call which was interrupted, whose effects are unknown.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::Serialize;

use super::log::{self, New};
use super::{Durability, JournalError, Sealing, StoreError, explained, json_text, seal, unreadable};
use crate::Interrupted;
use crate::log::Kind;
use airlock_types::code::Code;
use airlock_types::json::Json;
use airlock_types::record;
use airlock_types::record::Record;

/// What an entry says of an intent beside its record. Its fields are in the order of their names.
#[derive(Serialize)]
struct Head<'h> {
    id: &'h str,
    owner: &'h str,
}

/// What the entry of an intent has as its head.
pub(super) fn head(id: &str, owner: &str) -> Result<String, StoreError> {
    serde_json::to_string(&Head { id, owner }).map_err(|_| StoreError::Json)
}

/// Writes the intent of a call that this owner runs.
pub(crate) fn intend(connection: &Connection, record: &Record<Json>, owner: &str) -> Result<(), StoreError> {
    let (id, text) = (record.id.as_str(), json_text(record)?);
    let known = "SELECT record, owner FROM intents WHERE id = ?1";
    let known = connection.prepare_cached(known)?.query_row([id], |row| Ok((row.get(0)?, row.get(1)?)));
    if known.optional()?.is_some_and(|known: (String, String)| known == (text.clone(), owner.to_owned())) {
        // Written again after a commit of which nobody knew whether it was one.
        return Ok(());
    }
    let ends = log::standing(connection, id, &[Kind::Intent])?;
    let insert = "INSERT OR REPLACE INTO intents (id, record, owner) VALUES (?1, ?2, ?3)";
    connection.prepare_cached(insert)?.execute(params![id, text, owner])?;
    append(connection, id, &text, owner, &ends)
}

fn append(
    connection: &Connection,
    id: &str,
    text: &str,
    owner: &str,
    ends: &[u64],
) -> Result<(), StoreError> {
    let head = head(id, owner)?;
    let new = New { head: Some(&head), payload: Some(text), ends, ..New::of(Kind::Intent, id) };
    log::append(connection, new).map(drop)
}

/// Adds the entries of intents that are older than the log.
pub(super) fn adopt(connection: &Connection) -> Result<(), StoreError> {
    let mut query = connection.prepare("SELECT id, record, owner FROM intents ORDER BY id")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (id, text, owner): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        append(connection, &id, &text, &owner, &[])?;
    }
    Ok(())
}

/// Ends an intent whose call did not start after all.
pub(crate) fn withdraw(connection: &Connection, id: &str) -> Result<(), StoreError> {
    let ends = log::standing(connection, id, &[Kind::Intent])?;
    if !ends.is_empty() {
        log::append(connection, New { ends: &ends, ..New::of(Kind::Withdrawn, id) })?;
    }
    end_intent(connection, id)
}

/// Removes an intent. The entry that ends it is the caller's.
pub(super) fn end_intent(connection: &Connection, id: &str) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM intents WHERE id = ?1")?.execute([id])?;
    Ok(())
}

pub(crate) fn open_intents(connection: &Connection) -> Result<Vec<String>, JournalError> {
    let read = |err: rusqlite::Error| JournalError::Read(explained(&err));
    let mut query = connection.prepare("SELECT id FROM intents ORDER BY id").map_err(read)?;
    let rows = query.query_map([], |row| log::text(row, 0)).map_err(read)?;
    rows.map(|id| id.map(Option::unwrap_or_default)).collect::<Result<_, _>>().map_err(read)
}

/// The intent with this id, or with an id that starts with this prefix, and its owner.
pub(crate) fn find_open(connection: &Connection, id: &str) -> Result<Option<(Record, String)>, JournalError> {
    let read = |err: rusqlite::Error| JournalError::Read(explained(&err));
    let begins = "SELECT record, owner, id FROM intents WHERE id >= ?1 AND id < ?1 || char(0x10ffff) LIMIT 2";
    let mut query = connection.prepare_cached(begins).map_err(read)?;
    let text = |row: &Row<'_>, column| log::text(row, column).map(Option::unwrap_or_default);
    let rows =
        query.query_map([id], |row| Ok((text(row, 0)?, text(row, 1)?, text(row, 2)?))).map_err(read)?;
    let mut found = rows.collect::<Result<Vec<(String, String, String)>, _>>().map_err(read)?;
    match (found.pop(), found.is_empty()) {
        (None, _) => Ok(None),
        (Some((text, owner, id)), true) => {
            let record = record::read(&text).map_err(|err| unreadable(&id, err))?;
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
    // Lossy: a name that was made one that is not UTF-8 is that of no process, and must not keep the others from being settled.
    let text = |row: &Row<'_>, column| log::text(row, column).map(Option::unwrap_or_default);
    let rows = query.query_map([], |row| Ok((text(row, 0)?, text(row, 1)?)))?;
    let open = rows.collect::<Result<Vec<(String, String)>, _>>()?;
    Ok(open.into_iter().filter(|(_, owner)| !is_alive(owner)).map(|(id, _)| id).collect())
}

/// Ends the intents whose owner is not alive: each becomes a record of a call with an unknown outcome. Returns them,
/// oldest first. An intent that cannot be read stays, and so does one that is not as the log has it: what is settled gets an
/// entry of its own, which would make a forged call a true one.
pub(crate) fn settle(
    connection: &Connection,
    is_alive: impl Fn(&str) -> bool,
) -> Result<Vec<Interrupted>, StoreError> {
    let mut settled = Vec::new();
    // One record at a time: together they may be large.
    for id in &interrupted(connection, is_alive)? {
        let Some(text) = attested(connection, id)? else {
            tracing::error!(
                "the intent `{id}` of the journal is not one that its log has, and stays open: `airlock journal verify` says \
                 what was changed"
            );
            continue;
        };
        let Some(record) = record::read(&text).ok().filter(|record| record.id == *id) else {
            tracing::error!("the intent `{id}` of the journal cannot be read, and stays open");
            continue;
        };
        let record = as_unknown(record).with_json(|_, json| Json::of(json).unwrap_or_default());
        let Record { id, tool, caller, started_unix_ms, .. } = record.clone();
        let sealing = Sealing::Plain(Box::new(record));
        seal(connection, &sealing, Durability::Committed, &mut log::Next::default())?;
        settled.push(Interrupted { id, tool, caller, started_unix_ms });
    }
    Ok(settled)
}

/// The text of an intent, if the log has an entry of just this one that nothing ended.
fn attested(connection: &Connection, id: &str) -> Result<Option<String>, StoreError> {
    let row = "SELECT record, owner FROM intents WHERE id = ?1";
    let row = connection
        .prepare_cached(row)?
        .query_row([id], |row| Ok((log::text(row, 0)?, log::text(row, 1)?)))
        .optional()?;
    let Some((Some(text), Some(owner))) = row else { return Ok(None) };
    let Some(number) = log::standing(connection, id, &[Kind::Intent])?.pop() else { return Ok(None) };
    Ok(log::commits(connection, number, &head(id, &owner)?, &text)?.then_some(text))
}

/// The record of a call that was interrupted. Intents of early versions had another code.
fn as_unknown(record: Record) -> Record {
    Record { code: Code::OutcomeUnknown.into(), ..record }
}
