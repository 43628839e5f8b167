//! How a journal stands, and what the log says when that changes.

use std::sync::atomic::{AtomicU64, Ordering};

/// How the journal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It writes.
    Writing,
    /// The database cannot be written to; it keeps what it has and tries again.
    Failing,
    /// Nothing may be removed any more to make room for calls with effects.
    Full,
}

/// Counts records that will never be written.
#[derive(Debug, Default)]
pub(super) struct Losses(AtomicU64);

impl Losses {
    /// Logs each time the count doubles: a line for each record would be as many as there are calls.
    pub(super) fn add(&self, count: u64, why: &str) {
        let before = self.0.fetch_add(count, Ordering::AcqRel);
        let after = before + count;
        if count > 0 && (before == 0 || before.ilog2() < after.ilog2()) {
            tracing::error!("records were lost, {after} since the start: {why}");
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// Logs that records are removed for the first time.
pub(super) fn log_removal() {
    tracing::warn!(
        "the journal has reached `journal.bytes_max`: from now on the oldest records of calls that only read are \
         removed"
    );
}

/// Logs that nothing is left that may be removed.
pub(super) fn log_full() {
    tracing::error!(
        "the journal holds nothing but calls with effects, as much as `journal.bytes_max` allows; calls with effects \
         are refused until it is raised, or the journal is put aside"
    );
}
