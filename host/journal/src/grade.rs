//! What people say of an answer, afterwards: whether it was right.
//!
//! Owns the words and the bounds of a grade. Grades are appended and never changed. Must not know what follows from them.

/// Most characters of a name, and of a note.
const BY_CHARS_MAX: usize = 128;
const NOTE_CHARS_MAX: usize = 4_000;

/// Most grades of one call.
pub(crate) const GRADES_MAX: u32 = 100;

/// Whether an answer was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// It was right.
    Right,
    /// It was wrong.
    Wrong,
    /// A part of it was right.
    Partly,
}

impl Grade {
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
    /// A grade, and who says so and why.
    ///
    /// # Errors
    /// When a text is empty or too long; the error says which.
    pub fn new(grade: Grade, by: &str, note: Option<&str>, at_unix_ms: u64) -> Result<Graded, String> {
        let is_within = |text: &str, most: usize| (1..=most).contains(&text.chars().count());
        if !is_within(by, BY_CHARS_MAX) {
            return Err(format!("the name of who grades has 1 to {BY_CHARS_MAX} characters"));
        }
        if note.is_some_and(|note| !is_within(note, NOTE_CHARS_MAX)) {
            return Err(format!("a note has 1 to {NOTE_CHARS_MAX} characters"));
        }
        Ok(Graded { grade, by: by.to_owned(), note: note.map(str::to_owned), at_unix_ms })
    }

    pub(crate) fn parts(&self) -> (Grade, &str, Option<&str>, u64) {
        let Graded { grade, by, note, at_unix_ms } = self;
        (*grade, by, note.as_deref(), *at_unix_ms)
    }
}
