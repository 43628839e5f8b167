//! Effect classes: what a call may do to the world, from no effect to an irreversible one. And effects: what an attempt
//! did, as far as the host knows.
//!
//! Owns the order of the classes, and the form of the account. Must not know how effects leave, or what follows.

use serde::{Deserialize, Serialize};

/// What a call may do to the world; ordered, the harmless first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    // The order of the variants is their order as values: a capability lets no effect pass that is above its declared
    // one.
    /// Nothing: same arguments, same result.
    Pure,
    /// It reads what may change.
    Read,
    /// It writes, and writing the same again changes nothing more.
    Idempotent,
    /// It writes.
    Write,
    /// It cannot be undone.
    Irreversible,
}

impl Effect {
    /// The class as contracts and registries spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Effect::Pure => "pure",
            Effect::Read => "read",
            Effect::Idempotent => "idempotent",
            Effect::Write => "write",
            Effect::Irreversible => "irreversible",
        }
    }

    /// Whether an attempt that ended without a result may be made again although an effect may have
    /// left the sandbox.
    pub fn repeatable(self) -> bool {
        // Not `Idempotent`: a repetition is harmless only with the same idempotency key.
        matches!(self, Effect::Pure | Effect::Read)
    }
}

/// Whether what left the sandbox may leave once more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Left {
    /// No effect left. That is proof that nothing happened.
    #[default]
    Nothing,
    /// Each effect may leave again in the next attempt of the call: under the same idempotency key, or since its tool says
    /// that doing it twice is harmless.
    Again,
    /// An effect left that must not leave twice.
    Once,
}

/// The effects of a call on one tool, when an attempt has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effects {
    /// What left until now, in earlier attempts too.
    pub left: Left,
    /// Effects that left in this attempt.
    pub dispatched: u64,
    /// Effects of this attempt that were answered.
    pub settled: u64,
    /// Where effects went that were not answered until now, in earlier attempts too: names of hosts or capabilities,
    /// each once. Empty when all are settled.
    pub open_at: Vec<String>,
}

impl Effects {
    /// Whether an effect was dispatched and not settled, so that it may have happened or not.
    pub fn is_open(&self) -> bool {
        !self.open_at.is_empty()
    }
}

/// What a read-only tool says about an effect that was not settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verified {
    /// The effect happened.
    Applied,
    /// It did not happen.
    NotApplied,
    /// The tool does not know, or gave no answer.
    Unknown,
}

impl Verified {
    /// As it is recorded.
    pub fn as_str(self) -> &'static str {
        match self {
            Verified::Applied => "applied",
            Verified::NotApplied => "not-applied",
            Verified::Unknown => "unknown",
        }
    }
}
