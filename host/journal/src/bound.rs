//! Size limits of one record and of the whole journal, for every kind of storage.

use airlock_types::json::Json;
use airlock_types::record::Record;
use airlock_types::record::v3::Attempt;

use super::JournalError;

/// Largest record in bytes: arguments and result at the largest limits that make sense for an agent, plus logs.
const RECORD_BYTES_MAX: usize = 64 << 20;

/// Divisor of the bound: the largest share of one record and of one group. It keeps the removal for one group far from
/// emptying the journal.
pub(super) const RECORD_SHARE: u64 = 16;

/// Divisor of the bound: the share that is kept free, so that the outcomes of running calls and one group always fit.
const RESERVE: u64 = 8;

/// Size in bytes above which the oldest records are removed, for a journal with this bound.
pub(super) fn filled(bytes_max: u64) -> u64 {
    bytes_max - bytes_max / RESERVE
}

/// Bytes of a record that come from callers and tools: arguments, reply, logs, cassettes and what is sealed. The rest is small.
pub(super) fn size(record: &Record<Json>) -> usize {
    let json = |json: &Option<Json>| json.as_ref().map_or(0, |json| json.as_str().len());
    let cassette =
        |attempt: &Attempt| attempt.recording.as_ref().map_or(0, |recording| recording.cassette.len());
    let texts = record.attempts.iter().map(|attempt| attempt.log.len() + cassette(attempt));
    let sealed = record.confidential.as_ref().map_or(0, |confidential| confidential.sealed.len());
    json(&record.args) + json(&record.reply) + texts.sum::<usize>() + sealed
}

/// Rejects a record that can never be written, while its caller can still be told.
pub(super) fn admit(bytes: usize, bytes_max: u64) -> Result<(), JournalError> {
    let share = usize::try_from(bytes_max / RECORD_SHARE).unwrap_or(usize::MAX);
    let most = share.min(RECORD_BYTES_MAX);
    if bytes <= most { Ok(()) } else { Err(JournalError::TooLarge { bytes, most }) }
}
