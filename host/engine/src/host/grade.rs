//! Takes what callers say of answers.

use super::Host;
use crate::caller::GradesAccess;
use airlock_journal::JournalError;
use airlock_journal::grade::Graded;
use airlock_types::caller::Caller;

/// Why a grade was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GradeError {
    /// The caller grades nothing.
    #[error("this caller may not grade; `callers.NAME.grades` of the registry says who may")]
    Forbidden,
    /// There is no record of this id, or it is not one that this caller may grade: both get the same error.
    #[error(
        "no record has this id among the calls that this caller may grade; the id is the `record` of a reply"
    )]
    Unknown,
    /// The journal did not take it.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Host {
    /// Appends a caller's grade to the call with this whole id: to one of its own calls, or to any call where its rules
    /// say so. Blocks.
    ///
    /// # Errors
    /// When the caller may not grade that call, or the journal cannot be read or written.
    pub fn grade(&self, who: &Caller, call: &str, graded: &Graded) -> Result<(), GradeError> {
        let access = self.current.load().rules(who).map_or(GradesAccess::None, |rules| rules.grades);
        // Callers without credentials are strangers to each other: no call is known to be their own.
        let is_forbidden = match access {
            GradesAccess::None => true,
            GradesAccess::Own => who.is_anonymous(),
            GradesAccess::Any => false,
        };
        if is_forbidden {
            return Err(GradeError::Forbidden);
        }
        let found = self.parts.journal.find(call);
        let found = match found {
            // A beginning of an id is not enough here: it would tell a caller about the ids of others.
            Err(JournalError::Ambiguous(_)) => None,
            found => found?.filter(|record| record.id == call),
        };
        let is_allowed = |caller: &str| access == GradesAccess::Any || caller == who.to_string();
        match found {
            Some(record) if is_allowed(&record.caller) => Ok(self.parts.journal.grade(call, graded)?),
            Some(_) | None => Err(GradeError::Unknown),
        }
    }
}
