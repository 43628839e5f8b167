//! Grades of calls.

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::Serialize;

use super::log::{self, New};
use super::{StoreError, signed};
use crate::grade::{GRADES_MAX, Graded};
use crate::log::Kind;

/// A grade without its note. Its fields are in the order of their names: the text is canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Head<'g> {
    at_unix_ms: i64,
    by: &'g str,
    call: &'g str,
    grade: &'g str,
    number: i64,
}

/// A row of `graded`.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) number: i64,
    pub(super) call: String,
    pub(super) at_unix_ms: i64,
    pub(super) grade: String,
    pub(super) by: String,
    pub(super) note: Option<String>,
}

impl Row {
    /// The columns that `of` reads, in their order.
    pub(super) const COLUMNS: &str = "number, call, at_unix_ms, grade, by, note";

    pub(super) fn of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
        Ok(Row {
            number: row.get(0)?,
            call: row.get(1)?,
            at_unix_ms: row.get(2)?,
            grade: row.get(3)?,
            by: row.get(4)?,
            note: row.get(5)?,
        })
    }

    /// What stays of it when its note is erased.
    pub(super) fn head(&self) -> Result<String, StoreError> {
        let Row { number, call, at_unix_ms, grade, by, note: _ } = self;
        let head = Head { at_unix_ms: *at_unix_ms, by, call, grade, number: *number };
        serde_json::to_string(&head).map_err(|_| StoreError::Json)
    }

    /// What its entry is about.
    pub(super) fn id(&self) -> String {
        format!("{}/grade/{}", self.call, self.number)
    }
}

/// Appends a grade. Returns whether there was room for it.
pub(crate) fn grade(connection: &Connection, call: &str, graded: &Graded) -> Result<bool, StoreError> {
    let count = "SELECT count(*) FROM graded WHERE call = ?1";
    let count: u32 = connection.prepare_cached(count)?.query_row([call], |row| row.get(0))?;
    if count >= GRADES_MAX {
        return Ok(false);
    }
    let (grade, by, note, at_unix_ms) = graded.parts();
    let insert = "INSERT INTO graded (call, at_unix_ms, grade, by, note) VALUES (?1, ?2, ?3, ?4, ?5)";
    connection.prepare_cached(insert)?.execute(params![
        call,
        signed(at_unix_ms),
        grade.as_str(),
        by,
        note
    ])?;
    let row = Row {
        number: connection.last_insert_rowid(),
        call: call.to_owned(),
        at_unix_ms: signed(at_unix_ms),
        grade: grade.as_str().to_owned(),
        by: by.to_owned(),
        note: note.map(str::to_owned),
    };
    append(connection, &row)?;
    Ok(true)
}

/// Whether a call has this grade by the same person with the same note.
pub(crate) fn is_graded(connection: &Connection, call: &str, graded: &Graded) -> Result<bool, StoreError> {
    let (grade, by, note, _) = graded.parts();
    let same =
        "SELECT EXISTS (SELECT 1 FROM graded WHERE call = ?1 AND grade = ?2 AND by = ?3 AND note IS ?4)";
    Ok(connection
        .prepare_cached(same)?
        .query_row(params![call, grade.as_str(), by, note], |row| row.get(0))?)
}

/// The newest grade of a call.
pub(crate) fn last_grade(connection: &Connection, call: &str) -> Result<Option<String>, StoreError> {
    let last = "SELECT grade FROM graded WHERE call = ?1 ORDER BY number DESC LIMIT 1";
    Ok(connection.prepare_cached(last)?.query_row([call], |row| row.get(0)).optional()?)
}

fn append(connection: &Connection, row: &Row) -> Result<(), StoreError> {
    let (head, id) = (row.head()?, row.id());
    let new = New { head: Some(&head), payload: row.note.as_deref(), ..New::of(Kind::Grade, &id) };
    log::append(connection, new).map(drop)
}

/// Adds the entries of grades that are older than the log.
pub(super) fn adopt(connection: &Connection) -> Result<(), StoreError> {
    let all = format!("SELECT {} FROM graded ORDER BY number", Row::COLUMNS);
    let mut query = connection.prepare(&all)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        append(connection, &Row::of(row)?)?;
    }
    Ok(())
}
