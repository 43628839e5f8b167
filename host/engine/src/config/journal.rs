//! `[journal]`: how much of the records is kept.

use serde::Deserialize;

/// Records of calls.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
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
