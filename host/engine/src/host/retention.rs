//! Applies the rules of retention to the journal of a host.

use super::Host;
use airlock_journal::JournalError;
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
}
