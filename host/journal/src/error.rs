//! Why an operation of the journal failed, in texts for an operator.

use std::path::PathBuf;

use crate::grade::GRADES_MAX;

/// Why an operation of the journal failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The journal cannot be opened.
    #[error("the journal `{}` cannot be opened: {reason}", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What is wrong, and how to fix it.
        reason: String,
    },
    /// It cannot be read.
    #[error("the journal cannot be read: {0}")]
    Read(String),
    /// Its log cannot be built, proved from or verified.
    #[error("the log of the journal: {0}")]
    Log(String),
    /// What is stored of a call is not a record, or is one of a newer version.
    #[error(
        "the record `{id}` cannot be read: {reason}; `airlock journal verify` says whether it was changed"
    )]
    Record {
        /// The call.
        id: String,
        /// Why not.
        reason: String,
    },
    /// What is stored of a call is not what was written.
    #[error(
        "the record `{id}` does not match the log: {what}; `airlock journal verify` says what else was changed"
    )]
    Altered {
        /// The call.
        id: String,
        /// What is wrong with it.
        what: String,
    },
    /// It cannot be written.
    #[error("the journal cannot be written: {0}")]
    Write(String),
    /// The record was not committed in time. It may still be committed later.
    #[error("the journal was not written in time")]
    Late,
    /// Calls with effects fill the whole bound.
    #[error("the journal has reached `journal.bytes_max`, and holds nothing that may be removed")]
    Full,
    /// The record exceeds the size limit and can never be written.
    #[error(
        "the record has {bytes} bytes, and at most {most} are written: 64 MiB, or a 16th of `journal.bytes_max`"
    )]
    TooLarge {
        /// Bytes of arguments, result and logs.
        bytes: usize,
        /// The limit in bytes.
        most: usize,
    },
    /// The prefix matches several ids, or is too short to be one.
    #[error(
        "`{0}` is not the beginning of exactly one record's id: give more of the id; records of the same minute share their \
         first eight characters"
    )]
    Ambiguous(String),
    /// The call has as many grades as it can have.
    #[error("the call `{0}` has {GRADES_MAX} grades, the most that one call can have")]
    Graded(String),
    /// Retention erased what was said in the call.
    #[error(
        "retention erased what was said in the call `{0}`, and a note could say it again and would stay: grade it without one"
    )]
    Noted(String),
}

impl JournalError {
    /// Whether the journal works, and the answer is no: for programs whose exit code tells that from a failure.
    pub fn is_refusal(&self) -> bool {
        match self {
            JournalError::Record { .. }
            | JournalError::Altered { .. }
            | JournalError::Ambiguous(_)
            | JournalError::Graded(_)
            | JournalError::Noted(_) => true,
            JournalError::Open { .. }
            | JournalError::Read(_)
            | JournalError::Log(_)
            | JournalError::Write(_)
            | JournalError::Late
            | JournalError::Full
            | JournalError::TooLarge { .. } => false,
        }
    }
}
