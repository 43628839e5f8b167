//! Effect classes: what a call may do to the world, from no effect to an irreversible one.
//!
//! Owns the order of the classes and nothing else.

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
