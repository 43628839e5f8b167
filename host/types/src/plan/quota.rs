//! The retry quota of a tool: it keeps retries from making an outage worse.

// The tokens are those of AWS's "standard" retry mode of 2026: a full quota pays for 35 retries after faults. Its
// published vectors are tests.

/// Tokens of a full quota.
pub(super) const MAX: u32 = 500;
/// Tokens that a retry after a transient fault costs.
pub(super) const RETRY_COST: u32 = 14;
/// Tokens that a retry after throttling costs. Fewer, because the upstream asked for the wait.
pub(super) const RETRY_COST_THROTTLED: u32 = 5;
/// The least that a retry costs.
pub(super) const RETRY_COST_MIN: u32 = RETRY_COST_THROTTLED;
/// Tokens that a success at the first attempt gives back.
pub(super) const FIRST_TRY_GAIN: u32 = 1;
/// Time in which one token comes back, in milliseconds: ten in a second.
const REFILL_MS: u64 = 100;

/// The quota, refilled with time. All times are from one clock, which the caller chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    tokens: u32,
    refilled_ms: u64,
}

impl Quota {
    /// A full quota.
    pub fn full(now_ms: u64) -> Quota {
        Quota { tokens: MAX, refilled_ms: now_ms }
    }

    /// The tokens left now.
    pub fn tokens(&mut self, now_ms: u64) -> u32 {
        let gained = now_ms.saturating_sub(self.refilled_ms) / REFILL_MS;
        self.tokens = MAX.min(self.tokens.saturating_add(u32::try_from(gained).unwrap_or(MAX)));
        // The rest of the division is time that counts towards the next token.
        self.refilled_ms += gained * REFILL_MS;
        self.tokens
    }

    /// Applies what a call spent and gained. Time before it has refilled the quota first, so that a long idle time
    /// does not pay for what comes after it.
    pub fn settle(&mut self, spent: u32, gained: u32, now_ms: u64) {
        // Saturating: calls that ran at the same time were planned with the same tokens, and together may have spent
        // more.
        self.tokens = self.tokens(now_ms).saturating_sub(spent).saturating_add(gained).min(MAX);
    }
}

/// Tokens that a retry costs.
pub(super) fn cost(throttled: bool) -> u32 {
    if throttled { RETRY_COST_THROTTLED } else { RETRY_COST }
}
