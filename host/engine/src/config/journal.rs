//! `[journal]`: how much of the records is kept.

use serde::Deserialize;

use super::ConfigFile;
use airlock_types::diagnostic::Diagnostic;

/// Least size of a journal in bytes. Its empty tables take a fifth of it.
const BYTES_MIN: u64 = 1 << 20;

/// Settings of the journal.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JournalConfig {
    /// Largest size of `journal.db` in bytes. Beyond it the oldest records of calls that only read are removed; those
    /// of calls with effects stay. Default 4 GiB, about two million calls.
    pub bytes_max: u64,
}

impl Default for JournalConfig {
    fn default() -> JournalConfig {
        JournalConfig { bytes_max: 4 << 30 }
    }
}

pub(super) fn problems(file: &ConfigFile) -> Option<Diagnostic> {
    let bytes_max = file.config.journal.bytes_max;
    (bytes_max < BYTES_MIN).then(|| {
        let message = format!("`journal.bytes_max` is {bytes_max}; it must be {BYTES_MIN} or more");
        Diagnostic::without_place(message, None)
    })
}
