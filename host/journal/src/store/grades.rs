//! Grades of calls.

use rusqlite::{Connection, params};

use super::{StoreError, signed};
use crate::grade::{GRADES_MAX, Graded};

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
