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
