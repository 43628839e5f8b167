//! What the tools of a journal's records have used.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use airlock_journal::{Journal, JournalError};
use airlock_types::grant::{files, http, keyvalue};
use airlock_types::record::Record;
use airlock_types::record::v3::{Attempt, Usage, Use as Stored};
use airlock_types::text::clean;
use airlock_types::words::count;

/// Most different uses of a capability that a report lists: what a reviewer reads.
const USES_MAX: usize = 50;

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
    /// Times, by capability and by what was used of it.
    uses: BTreeMap<String, BTreeMap<String, u64>>,
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
        // An attempt that was denied twice is one.
        for denied in attempt.denials.iter().collect::<BTreeSet<_>>() {
            *self.denials.entry(clean(denied)).or_default() += 1;
        }
        for Stored { capability, what, times } in &attempt.uses {
            *self.uses.entry(clean(capability)).or_default().entry(clean(what)).or_default() += times;
        }
    }

    /// The capabilities that were used or denied.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.denials.keys().chain(self.uses.keys()).cloned()
    }

    pub(super) fn denied(&self, capability: &str) -> u64 {
        self.denials.get(capability).copied().unwrap_or_default()
    }

    /// What was used of a capability: its sums, then each use with how often.
    pub(super) fn lines(&self, capability: &str) -> Vec<String> {
        let each = self.uses.get(capability).into_iter().flatten();
        let mut each: Vec<String> = each
            .map(
                |(what, times)| {
                    if what == capability { count(*times, "time") } else { format!("{what}: {times}") }
                },
            )
            .collect();
        let more = each.len().saturating_sub(USES_MAX);
        each.truncate(USES_MAX);
        each.extend((more > 0).then(|| format!("and {more} more")));
        self.sums(capability).into_iter().chain(each).collect()
    }

    /// What was sent, received, written and kept. None where it was nothing.
    fn sums(&self, capability: &str) -> Option<String> {
        let sums = match capability {
            http::NAME if self.requests > 0 => vec![
                count(self.requests, "request"),
                format!("{} bytes sent", self.sent_bytes),
                format!("{} received", self.received_bytes),
            ],
            files::NAME if self.written_bytes + self.files_created > 0 => vec![
                format!("{} bytes written", self.written_bytes),
                format!("{} created", count(self.files_created, "file")),
            ],
            keyvalue::NAME if self.keys_read + self.keys_written > 0 => {
                vec![format!("{} keys read", self.keys_read), format!("{} written", self.keys_written)]
            }
            _ => return None,
        };
        Some(sums.join(", "))
    }
}
