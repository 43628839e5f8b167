//! Records of calls.

use serde::Deserialize;

/// Records of calls.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct JournalConfig {
    /// How large `journal.db` may become, in bytes. Then records of calls that only read go, the oldest first; those of
    /// calls with effects stay. Default 4 GiB, some two million calls.
    pub bytes_max: u64,
}

impl Default for JournalConfig {
    fn default() -> JournalConfig {
        JournalConfig { bytes_max: 4 << 30 }
    }
}
