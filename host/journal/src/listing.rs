//! Lists of calls: which are wanted, and what a line of a list has.
//!
//! Owns the filter and the form of a line. A list is read newest first, by pages, or as calls end. Must not know how lines
//! are printed.

use serde::Serialize;

use crate::{Journal, JournalError, Sink};
use airlock_types::code::Code;
use airlock_types::record::Record;
use airlock_types::record::v3::Word;

/// Which calls are listed. The default is all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The called tool.
    pub tool: Option<String>,
    /// How the call ended: one of these. Empty for any.
    pub codes: Vec<Code>,
    /// The caller.
    pub caller: Option<String>,
    /// The digest of the session.
    pub session: Option<String>,
    /// The call came at this time or later.
    pub since_unix_ms: Option<u64>,
    /// The call came before this time.
    pub until_unix_ms: Option<u64>,
}

/// What a list says of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The id of its record.
    pub id: String,
    /// When it came.
    pub started_unix_ms: u64,
    /// The time until its answer, in milliseconds.
    pub ms: u64,
    /// The called tool.
    pub tool: String,
    /// How it ended.
    pub code: Word,
    /// The caller's name.
    pub caller: String,
    /// The digest of its session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// When retention erased what the call and its tool said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erased_unix_ms: Option<u64>,
}

/// How far a list that follows the journal has come: a row of each table.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tail(pub(crate) [i64; 2]);

impl Journal {
    /// The newest calls before this id that the filter admits, newest first, `count` at most. The first page comes before no
    /// id. Calls that have not ended are in no list.
    ///
    /// # Errors
    /// Fails when the journal cannot be read.
    pub fn list(
        &self,
        filter: &Filter,
        before: Option<&str>,
        count: u32,
    ) -> Result<Vec<Listed>, JournalError> {
        match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.list(filter, before, count),
            Sink::Memory(memory) => memory.list(filter, before, count),
        }
    }

    /// The first page, and where [`Journal::follow`] goes on.
    ///
    /// # Errors
    /// Fails when the journal cannot be read. One in memory cannot be followed: it has no order of ends.
    pub fn newest(&self, filter: &Filter, count: u32) -> Result<(Vec<Listed>, Tail), JournalError> {
        match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.newest(filter, count),
            Sink::Memory(_) => Err(JournalError::Read(NO_TAIL.into())),
        }
    }

    /// The calls that ended since and that the filter admits, in the order of their ids, and where to go on. There can be more
    /// of them at once.
    ///
    /// # Errors
    /// As [`Journal::newest`].
    pub fn follow(&self, filter: &Filter, from: Tail) -> Result<(Vec<Listed>, Tail), JournalError> {
        match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.follow(filter, from),
            Sink::Memory(_) => Err(JournalError::Read(NO_TAIL.into())),
        }
    }
}

/// Shortest prefix of an id that a look-up accepts: ids begin with their time, and share this much for a minute.
pub const PREFIX_CHARS_MIN: usize = 8;

/// Checked here once, so that both sinks reject the same prefixes.
pub(crate) fn check_prefix(id: &str) -> Result<(), JournalError> {
    let is_long = id.chars().count() >= PREFIX_CHARS_MIN;
    if is_long { Ok(()) } else { Err(JournalError::Ambiguous(id.into())) }
}

const NO_TAIL: &str = "a journal in memory cannot be followed";

impl Filter {
    /// Whether a call is listed.
    pub(crate) fn admits(&self, call: &Listed) -> bool {
        // Destructured without `..`: a filter that is accepted is applied.
        let Filter { tool, codes, caller, session, since_unix_ms, until_unix_ms } = self;
        tool.as_ref().is_none_or(|tool| *tool == call.tool)
            && (codes.is_empty() || codes.iter().any(|code| code.as_str() == call.code))
            && caller.as_ref().is_none_or(|caller| *caller == call.caller)
            && session.as_ref().is_none_or(|session| Some(session) == call.session.as_ref())
            && since_unix_ms.is_none_or(|since| call.started_unix_ms >= since)
            && until_unix_ms.is_none_or(|until| call.started_unix_ms < until)
    }
}

impl From<&Record> for Listed {
    fn from(record: &Record) -> Listed {
        Listed {
            id: record.id.clone(),
            started_unix_ms: record.started_unix_ms,
            ms: record.ended_unix_ms.saturating_sub(record.started_unix_ms),
            tool: record.tool.clone(),
            code: record.code.clone(),
            caller: record.caller.clone(),
            session: record.session.clone(),
            erased_unix_ms: record.erased_unix_ms,
        }
    }
}
