//! What people say of an answer, afterwards: whether it was right.
//!
//! Owns the words and the bounds of a grade. Grades are appended and never changed. Must not know what follows from them.

use serde::Deserialize;

use crate::{Journal, JournalError, Sink};

/// Most characters of a name.
const BY_CHARS_MAX: usize = 128;

/// Most grades of one call.
pub(crate) const GRADES_MAX: u32 = 100;

/// Whether an answer was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// It was right.
    Right,
    /// It was wrong.
    Wrong,
    /// A part of it was right.
    Partly,
}

impl Grade {
    /// All grades.
    pub const ALL: [Grade; 3] = [Grade::Right, Grade::Wrong, Grade::Partly];

    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Grade::Right => "right",
            Grade::Wrong => "wrong",
            Grade::Partly => "partly",
        }
    }
}

/// A grade of one call, by someone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graded {
    grade: Grade,
    by: String,
    note: Option<String>,
    at_unix_ms: u64,
}

impl Graded {
    /// Most characters of a note.
    pub const NOTE_CHARS_MAX: usize = 4_000;

    /// A grade, and who says so and why.
    ///
    /// # Errors
    /// When a text is empty or too long; the error says which.
    pub fn new(grade: Grade, by: &str, note: Option<&str>, at_unix_ms: u64) -> Result<Graded, String> {
        let is_within = |text: &str, most: usize| (1..=most).contains(&text.chars().count());
        if !is_within(by, BY_CHARS_MAX) {
            return Err(format!("the name of who grades has 1 to {BY_CHARS_MAX} characters"));
        }
        if note.is_some_and(|note| !is_within(note, Graded::NOTE_CHARS_MAX)) {
            return Err(format!("a note has 1 to {} characters", Graded::NOTE_CHARS_MAX));
        }
        Ok(Graded { grade, by: by.to_owned(), note: note.map(str::to_owned), at_unix_ms })
    }

    pub(crate) fn parts(&self) -> (Grade, &str, Option<&str>, u64) {
        let Graded { grade, by, note, at_unix_ms } = self;
        (*grade, by, note.as_deref(), *at_unix_ms)
    }
}

impl Journal {
    /// Appends a grade to the call with this id. Grades of a journal in memory could be read by nobody: it takes none.
    ///
    /// # Errors
    /// Fails when the grade cannot be written, or the call has too many.
    pub fn grade(&self, call: &str, graded: &Graded) -> Result<(), JournalError> {
        match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.grade(call, graded),
            Sink::Memory(_) => Err(JournalError::Write("a journal in memory takes no grades".into())),
        }
    }

    /// Appends grades, but those that their call has already: all of them or none. Returns how many were new.
    ///
    /// # Errors
    /// Fails when they cannot be written, or a call has too many.
    pub fn grade_all(&self, grades: &[(String, Graded)]) -> Result<usize, JournalError> {
        match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.grade_all(grades),
            Sink::Memory(_) => Err(JournalError::Write("a journal in memory takes no grades".into())),
        }
    }

    /// The newest grade of a call, by its word; none if it has none.
    ///
    /// # Errors
    /// Fails when the journal cannot be read.
    pub fn last_grade(&self, call: &str) -> Result<Option<String>, JournalError> {
        match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.last_grade(call),
            Sink::Memory(_) => Ok(None),
        }
    }
}
