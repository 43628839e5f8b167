//! The rows that entries are about: records, grades and intents, with every column.

use std::collections::BTreeMap;

use rusqlite::OptionalExtension as _;

use super::Verifier;
use super::entry::{Sound, is_payload};
use crate::evidence::FaultKind;
use crate::store::{StoreError, grades, intents, log, signed};
use airlock_types::digest::sha256_of;
use airlock_types::record;
use airlock_types::record::Record;

/// What is wrong, and how.
type Wrong = Option<(FaultKind, String)>;

/// A row of a table of records.
struct Row {
    record: String,
    tool: String,
    started_unix_ms: i64,
    ended_unix_ms: i64,
    code: String,
    caller: String,
    session: Option<String>,
    bytes: Option<i64>,
    parts: i64,
    erased_unix_ms: Option<i64>,
}

impl Row {
    fn of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
        Ok(Row {
            record: row.get(0)?,
            tool: row.get(1)?,
            started_unix_ms: row.get(2)?,
            ended_unix_ms: row.get(3)?,
            code: row.get(4)?,
            caller: row.get(5)?,
            session: row.get(6)?,
            bytes: row.get(7)?,
            parts: row.get(8)?,
            erased_unix_ms: row.get(9)?,
        })
    }

    /// The first column that does not repeat what the record says.
    fn other_column(&self, id: &str, said: &Record, erased_at: Option<i64>) -> Option<&'static str> {
        // Destructured without `..`: a new column does not compile until it is compared.
        let Row {
            record: _,
            tool,
            started_unix_ms,
            ended_unix_ms,
            code,
            caller,
            session,
            bytes: _,
            parts,
            erased_unix_ms,
        } = self;
        let erased = erased_at.or(said.erased_unix_ms.map(signed));
        let columns = [
            ("id", id == said.id),
            ("tool", *tool == said.tool),
            ("started_unix_ms", *started_unix_ms == signed(said.started_unix_ms)),
            ("ended_unix_ms", *ended_unix_ms == signed(said.ended_unix_ms)),
            ("code", *code == said.code),
            ("caller", *caller == said.caller),
            ("session", *session == said.session),
            ("parts", *parts == signed(said.parts.len() as u64)),
            ("erased_unix_ms", *erased_unix_ms == erased),
        ];
        columns.into_iter().find(|(_, is_same)| !is_same).map(|(column, _)| column)
    }
}

/// Whether a column has a value that nothing here ever wrote: a text that is not UTF-8.
fn is_unreadable(err: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, InvalidColumnType, Utf8Error};
    matches!(err, FromSqlConversionFailure(..) | InvalidColumnType(..) | Utf8Error(..))
}

fn edited(what: impl Into<String>) -> Wrong {
    Some((FaultKind::Edited, what.into()))
}

impl Verifier<'_> {
    /// The record that an entry is about.
    pub(super) fn record(&mut self, entry: &Sound, table: &str) -> Result<Wrong, StoreError> {
        let row = format!(
            "SELECT record, tool, started_unix_ms, ended_unix_ms, code, caller, session, bytes, parts, erased_unix_ms
             FROM {table} WHERE id = ?1"
        );
        let row = self.connection.prepare_cached(&row)?.query_row([&entry.id], Row::of).optional();
        let row = match row {
            Err(err) if is_unreadable(&err) => {
                return Ok(edited("a column of the record is not a text any more"));
            }
            row => row?,
        };
        let erased_at = self.gone.erased_at(entry.number);
        let is_written = |text: &str| match (erased_at, entry.payload) {
            (None, Some(_)) => entry.is_payload(text),
            (Some(_), _) | (None, None) => entry.is_head(text) && entry.salt.is_none(),
        };
        let Some(row) = row.filter(|row| is_written(&row.record)) else {
            if !self.is_standing(entry)? {
                return Ok(None);
            }
            let is_there = format!("SELECT 1 FROM {table} WHERE id = ?1");
            let is_there = self.connection.prepare_cached(&is_there)?.exists([&entry.id])?;
            return Ok(match (is_there, erased_at) {
                (false, _) => Some((FaultKind::Dropped, "its record is missing".to_owned())),
                (true, None) => edited("the record is not the one that was written"),
                (true, Some(_)) => edited("what retention left of the record is not what is there"),
            });
        };
        let Ok(said) = record::read(&row.record) else {
            self.report.unreadable += 1;
            return Ok(None);
        };
        if let Some(column) = row.other_column(&entry.id, &said, erased_at) {
            return Ok(edited(format!("the column `{column}` does not repeat what the record says")));
        }
        self.parts(entry, &row, &said)
    }

    /// The values of a record that are stored apart, and the number of its bytes.
    fn parts(&mut self, entry: &Sound, row: &Row, said: &Record) -> Result<Wrong, StoreError> {
        let uses = "SELECT bodies.sha256, bodies.bytes, length(bodies.zstd) FROM body_uses
                    JOIN bodies ON bodies.number = body_uses.body WHERE body_uses.record = ?1";
        let mut bodies: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        if row.parts > 0 {
            let mut query = self.connection.prepare_cached(uses)?;
            let found = query.query_map([&entry.id], |row| {
                Ok((log::text(row, 0)?.unwrap_or_default(), (row.get(1)?, row.get(2)?)))
            })?;
            bodies = found.collect::<Result<_, _>>()?;
        }
        let mut bytes = signed(row.record.len() as u64);
        for part in &said.parts {
            match bodies.get(&part.sha256) {
                None => {
                    let what = format!("the value at `{}` is missing", part.at);
                    return Ok(Some((FaultKind::Dropped, what)));
                }
                Some((length, _)) if *length != signed(part.bytes) => {
                    return Ok(edited(format!("the value at `{}` has another length", part.at)));
                }
                Some((_, stored)) => bytes += stored,
            }
        }
        let is_named = |sha256: &&String| said.parts.iter().any(|part| part.sha256 == **sha256);
        let is_in_both = || -> Result<bool, StoreError> {
            let both = "SELECT 1 FROM records, committed WHERE records.id = ?1 AND committed.id = ?1";
            Ok(self.connection.prepare_cached(both)?.exists([&entry.id])?)
        };
        if bodies.keys().any(|sha256| !is_named(&sha256)) && !is_in_both()? {
            return Ok(Some((FaultKind::Inserted, "it uses a value that it does not name".to_owned())));
        }
        // Rows that are older than the column have no number.
        let is_old = row.bytes.is_none() && entry.number <= self.report.before;
        if row.bytes != Some(bytes) && !is_old {
            return Ok(edited("the column `bytes` is not the size of the record"));
        }
        Ok(None)
    }

    /// The grade that an entry is about.
    pub(super) fn grade(&mut self, entry: &Sound) -> Result<Wrong, StoreError> {
        let number: Option<i64> = entry.id.rsplit_once("/grade/").and_then(|(_, number)| number.parse().ok());
        let row = format!("SELECT {} FROM graded WHERE number = ?1", grades::Row::COLUMNS);
        let row = self.connection.prepare_cached(&row)?.query_row([number], grades::Row::of).optional();
        let row = match row {
            Err(err) if is_unreadable(&err) => {
                return Ok(edited("a column of the grade is not a text any more"));
            }
            row => row?,
        };
        let Some(row) = row else {
            return Ok(Some((FaultKind::Dropped, "its grade is missing".to_owned())));
        };
        let is_noted = match (&row.note, entry.payload, self.gone.erased_at(entry.number)) {
            (None, None, _) => true,
            (None, Some(_), Some(_)) => entry.salt.is_none(),
            (Some(note), Some(_), None) => entry.is_payload(note),
            (Some(_), _, _) | (None, Some(_), None) => false,
        };
        if row.id() == entry.id && entry.is_head(&row.head()?) && is_noted {
            return Ok(None);
        }
        Ok(edited("the grade is not the one that was given"))
    }

    /// The intents that no entry ended: each of them must be there, and as it was written. In one transaction with what reads their
    /// entries or asks whether they stand.
    pub(super) fn open_intents(&mut self) -> Result<(), StoreError> {
        for (number, pending) in std::mem::take(&mut self.pending) {
            if !log::standing(self.connection, &pending.id, &[crate::log::Kind::Intent])?.contains(&number) {
                // By an entry that came after the verification began.
                continue;
            }
            self.report.open += 1;
            let row = "SELECT record, owner FROM intents WHERE id = ?1";
            let row = self.connection.prepare_cached(row)?;
            let text =
                |row: &rusqlite::Row<'_>, column| log::text(row, column).map(Option::unwrap_or_default);
            let row: Option<(String, String)> =
                { row }.query_row([&pending.id], |row| Ok((text(row, 0)?, text(row, 1)?))).optional()?;
            let wrong = match row {
                None => Some((FaultKind::Dropped, "the call that started is missing")),
                Some((text, owner)) => {
                    let head = intents::head(&pending.id, &owner)?;
                    let is_written = pending.head == Some(sha256_of(&[head.as_bytes()]))
                        && is_payload(pending.payload, pending.salt.as_deref(), &text);
                    let what = "the call that started is not the one that was written";
                    (!is_written).then_some((FaultKind::Edited, what))
                }
            };
            if let Some((kind, what)) = wrong {
                self.report.fault(kind, Some(number), Some(&pending.id), what);
            }
        }
        Ok(())
    }
}
