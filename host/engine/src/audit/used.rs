//! What the tools of a journal's records have used.

use std::collections::BTreeMap;

use serde::Serialize;

use airlock_journal::{Journal, JournalError};
use airlock_types::grant::{files, http, keyvalue};
use airlock_types::record::Record;
use airlock_types::record::v3::{Attempt, Usage};
use airlock_types::words::count;

/// Sums over all records, by tool.
#[derive(Clone, Debug, Default)]
pub struct Uses {
    records: u64,
    tools: BTreeMap<String, Use>,
}

/// The calls of one tool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Calls {
    /// Calls that named it.
    pub calls: u64,
    /// Those that were answered with its result.
    pub ok: u64,
    /// Attempts that ran it, for itself or as a fallback.
    pub attempts: u64,
}

/// What one tool used.
#[derive(Clone, Debug, Default)]
pub(super) struct Use {
    calls: Calls,
    requests: u64,
    sent_bytes: u64,
    received_bytes: u64,
    written_bytes: u64,
    files_created: u64,
    keys_read: u64,
    keys_written: u64,
    denials: BTreeMap<String, u64>,
}

impl Uses {
    /// Reads all records of a journal.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_journal(journal: &Journal) -> Result<Uses, JournalError> {
        let mut uses = Uses::default();
        journal.each(&mut |record| uses.add(record))?;
        Ok(uses)
    }

    fn add(&mut self, record: &Record) {
        self.records += 1;
        let calls = &mut self.tools.entry(record.tool.clone()).or_default().calls;
        calls.calls += 1;
        calls.ok += u64::from(record.code == "ok" || record.code == "ok.degraded");
        for attempt in &record.attempts {
            self.tools.entry(attempt.route.to_string()).or_default().add(attempt);
        }
    }

    /// The number of records.
    pub fn records(&self) -> u64 {
        self.records
    }

    pub(super) fn calls(&self, tool: &str) -> Calls {
        self.tools.get(tool).map(|used| used.calls).unwrap_or_default()
    }

    pub(super) fn of(&self, tool: &str) -> Use {
        self.tools.get(tool).cloned().unwrap_or_default()
    }
}

impl Use {
    fn add(&mut self, attempt: &Attempt) {
        self.calls.attempts += 1;
        // What costs time and memory is bounded by limits and reaches nothing.
        let Usage {
            requests,
            up_bytes,
            down_bytes,
            written_bytes,
            files_created,
            keys_read,
            keys_written,
            ..
        } = attempt.usage;
        self.requests += requests;
        self.sent_bytes += up_bytes;
        self.received_bytes += down_bytes;
        self.written_bytes += written_bytes;
        self.files_created += files_created;
        self.keys_read += keys_read;
        self.keys_written += keys_written;
        for denied in &attempt.denials {
            *self.denials.entry(denied.clone()).or_default() += 1;
        }
    }

    pub(super) fn denials(&self) -> impl Iterator<Item = &str> {
        self.denials.keys().map(String::as_str)
    }

    pub(super) fn denied(&self, capability: &str) -> u64 {
        self.denials.get(capability).copied().unwrap_or_default()
    }

    /// What was used of a capability. None for those whose uses no record counts.
    pub(super) fn text(&self, capability: &str) -> Option<String> {
        let parts = match capability {
            http::NAME => vec![
                count(self.requests, "request"),
                format!("{} bytes sent", self.sent_bytes),
                format!("{} received", self.received_bytes),
            ],
            files::NAME => vec![
                format!("{} bytes written", self.written_bytes),
                format!("{} created; reads are not counted", count(self.files_created, "file")),
            ],
            keyvalue::NAME => {
                vec![format!("{} keys read", self.keys_read), format!("{} written", self.keys_written)]
            }
            _ => return None,
        };
        Some(parts.join(", "))
    }
}
