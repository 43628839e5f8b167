//! A record in the form in which it is written.
//!
//! Owns its texts and who makes them. Both take as long as the statements that write them, and the writer is one thread: where
//! it is behind, a call makes the texts of its own record. Must not know the tables.

use super::{StoreError, json_text, parts};
use airlock_types::json::Json;
use airlock_types::record::Record;
use airlock_types::record::v3::Word;

/// A finished record on its way into the database.
pub(crate) enum Sealing {
    /// As its call left it.
    Plain(Box<Record<Json>>),
    /// With its texts made.
    Ready(Box<Written>),
    /// JSON cannot express it.
    Unwritable,
}

impl Sealing {
    /// Makes the texts of a record, and frees the rest of it. One with values that are stored apart stays as it is: writing it
    /// borrows them.
    pub(crate) fn ready(self) -> Sealing {
        let Sealing::Plain(record) = self else { return self };
        if parts::may_be_apart(&record) {
            return Sealing::Plain(record);
        }
        Written::of(*record).map_or(Sealing::Unwritable, |written| Sealing::Ready(Box::new(written)))
    }
}

/// The columns and texts of a record.
pub(crate) struct Written {
    pub(super) id: String,
    pub(super) tool: String,
    pub(super) caller: String,
    pub(super) session: Option<String>,
    pub(super) started_unix_ms: u64,
    pub(super) ended_unix_ms: u64,
    pub(super) code: Word,
    /// How many of its values are stored apart.
    pub(super) parts: usize,
    /// All of it.
    pub(super) text: String,
    /// What stays when retention erases.
    pub(super) head: String,
}

impl Written {
    /// Makes the texts of a record from which large values were taken.
    pub(super) fn of(mut record: Record<Json>) -> Result<Written, StoreError> {
        let (text, parts) = (json_text(&record)?, record.parts.len());
        record.erase();
        let head = json_text(&record)?;
        let Record { id, tool, caller, session, started_unix_ms, ended_unix_ms, code, .. } = record;
        Ok(Written { id, tool, caller, session, started_unix_ms, ended_unix_ms, code, parts, text, head })
    }
}
