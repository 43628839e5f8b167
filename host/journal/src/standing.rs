//! The standing of a journal, and the log lines when it changes.

use std::sync::atomic::{AtomicU64, Ordering};

/// Whether the journal accepts records, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Records are written.
    Writing,
    /// The database cannot be written. Queued records are kept, and the write is tried again.
    Failing,
    /// Nothing removable is left to make room for calls with effects.
    Full,
}

/// Counts records that will never be written, since the start.
#[derive(Debug, Default)]
pub(super) struct Losses(AtomicU64);

impl Losses {
    /// Adds to the count. Logs only when the count doubles, since one line for each lost record would flood the log.
    pub(super) fn add(&self, count: u64, why: &str) {
        let before = self.0.fetch_add(count, Ordering::AcqRel);
        let after = before + count;
        // The base-2 logarithm changes when the count doubles. Zero has none, so the first loss is a case of its own.
        if count > 0 && (before == 0 || before.ilog2() < after.ilog2()) {
            tracing::error!("records were lost, {after} since the start: {why}");
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// Logs the first removal of records.
pub(super) fn log_removal() {
    tracing::warn!(
        "the journal has reached `journal.bytes_max`: from now on the oldest records of calls that only read are \
         removed"
    );
}

/// Logs that no removable record is left.
pub(super) fn log_full() {
    tracing::error!(
        "the journal holds nothing but calls with effects, as much as `journal.bytes_max` allows; calls with effects \
         are refused until it is raised, or the journal is put aside"
    );
}
