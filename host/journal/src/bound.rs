//! How large one record and the whole journal may become, whatever keeps the records.

use airlock_types::json::Json;
use airlock_types::record::Record;

use super::JournalError;

/// The largest record: arguments and result at the largest caps that make sense for an agent, and logs.
const RECORD_BYTES_MAX: usize = 64 << 20;

/// The share of the bound, as a divisor, that one record and one group may have: what is removed for a group must be
/// far from all.
pub(super) const RECORD_SHARE: u64 = 16;

/// The share of the bound, as a divisor, that is kept free: outcomes of calls that run, and one group, always fit.
const RESERVE: u64 = 8;

/// What a journal with this bound is filled to before its oldest records are removed.
pub(super) fn filled(bytes_max: u64) -> u64 {
    bytes_max - bytes_max / RESERVE
}

/// How much a record holds of what callers and tools sent; the rest is small.
pub(super) fn size(record: &Record<Json>) -> usize {
    let json = |json: &Option<Json>| json.as_ref().map_or(0, |json| json.as_str().len());
    let logs = record.attempts.iter().map(|attempt| attempt.log.len());
    json(&record.args) + json(&record.reply) + logs.sum::<usize>()
}

/// Refuses a record that could never be written, while its caller can still be told.
pub(super) fn admit(bytes: usize, bytes_max: u64) -> Result<(), JournalError> {
    let share = usize::try_from(bytes_max / RECORD_SHARE).unwrap_or(usize::MAX);
    let most = share.min(RECORD_BYTES_MAX);
    if bytes <= most { Ok(()) } else { Err(JournalError::TooLarge { bytes, most }) }
}
