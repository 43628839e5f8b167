//! Records of calls.

use serde::Deserialize;

use super::ConfigFile;
use airlock_types::diagnostic::Diagnostic;

/// The least that a journal may be given: its empty tables take a fifth of it.
const BYTES_MIN: u64 = 1 << 20;

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

pub(super) fn problems(file: &ConfigFile) -> Option<Diagnostic> {
    let bytes_max = file.config.journal.bytes_max;
    (bytes_max < BYTES_MIN).then(|| {
        let message = format!("`journal.bytes_max` is {bytes_max}; it must be {BYTES_MIN} or more");
        Diagnostic::without_place(message, None)
    })
}
