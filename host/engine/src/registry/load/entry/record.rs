//! What is recorded of the attempts of an entry's tools.
//!
//! Owns the check that cassettes can be encrypted to the operator's key. Must not know how they are recorded.

use std::sync::Arc;

use super::Entry;
use crate::registry::load::Purpose;
use crate::registry::tool::{Record, Sealer};
use airlock_types::diagnostic::Diagnostics;

impl Entry {
    /// What is recorded of its attempts.
    pub(super) fn record(&self) -> Result<Record, Diagnostics> {
        let journal = &self.file.config.journal;
        let sealer = match (&journal.recipient, self.purpose) {
            (Some(recipient), Purpose::Run | Purpose::Prove) => Some(self.sealer(recipient)?),
            _ => None,
        };
        Ok(Record { mode: self.config.record, bytes_max: journal.cassette_bytes_max, sealer })
    }

    /// What encrypts cassettes to the operator's key.
    fn sealer(&self, recipient: &str) -> Result<Arc<Sealer>, Diagnostics> {
        let wrong = |why: &str| {
            let hint = "write the public key of an age identity: `age1…`, as `age-keygen -y` prints it";
            self.here(format!("`journal.recipient` cannot be used: {why}"), Some(hint.to_owned()))
        };
        let seal = self.capabilities.sealer().ok_or_else(|| wrong("this program does not encrypt"))?;
        // Tried now: a call that cannot keep its cassette would only say so in its record.
        seal.seal(recipient, b"").map_err(|why| wrong(&why))?;
        let recipient = recipient.to_owned();
        Ok(Arc::new(move |cassette: &str| seal.seal(&recipient, cassette.as_bytes())))
    }
}
