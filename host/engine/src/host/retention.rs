//! What is done with the journal of a host from time to time: retention, and checkpoints.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Host;
use crate::config::CheckpointConfig;
use airlock_journal::JournalError;
use airlock_journal::log::Note;
use airlock_journal::retention::{By, Pruned};
use airlock_types::environment::ms;

impl Host {
    /// Erases and removes records as the registry says (`journal.keep`, `journal.keep_payloads`, `tools.NAME.journal`).
    /// Returns what, or `None` for a registry that keeps everything. Blocks: to be called from time to time, on a thread
    /// for blocking work. The program `airlock serve` does so.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn prune(&self) -> Result<Option<Pruned>, JournalError> {
        let rules = self.current.load().retention().clone();
        if rules.is_all() {
            return Ok(None);
        }
        let now_unix_ms = ms(self.parts.environment.wall());
        self.parts.journal.prune(&|tool| rules.of(tool), By::Server, now_unix_ms).map(Some)
    }

    /// When checkpoints are made and where they go, as the registry says now.
    pub fn checkpoints(&self) -> Arc<CheckpointConfig> {
        self.current.load().checkpoint().clone()
    }

    /// Builds the tiles of the journal's log, and signs a checkpoint. `None` for a journal in memory, and if nothing was
    /// written since the last one that was exported. Blocks, as [`Host::prune`]. The program `airlock serve` does so.
    ///
    /// # Errors
    /// When the tiles cannot be written, or are of another log.
    pub fn checkpoint(&self) -> Result<Option<Note>, JournalError> {
        let journal = &self.parts.journal;
        let is_exported =
            journal.path().is_none() || journal.last_export()?.is_some_and(|(_, is_all)| is_all);
        if is_exported { Ok(None) } else { journal.checkpoint().map(Some) }
    }

    /// Sets whether checkpoints cannot be signed or exported, which [`Host::degraded`] says. Whoever makes them calls it after each.
    pub fn checkpoints_fail(&self, fail: bool) {
        self.condition.are_checkpoints_failing.store(fail, Ordering::Release);
    }

    /// Notes in the journal that a checkpoint was exported.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn exported(&self, note: &Note, to: &str) -> Result<(), JournalError> {
        self.parts.journal.exported(note, to, ms(self.parts.environment.wall()))
    }
}
