//! Arguments that passed the inner door, and those that did not.

use serde_json::Value;

use crate::Val;
use airlock_types::hold::HoldRule;
use airlock_types::violation::Violation;

/// Arguments that passed the inner door. Only [`Contract::judge`](super::Contract::judge) makes one; of those that relations refuse, it
/// is within [`UnfitArgs`].
#[derive(Clone, Debug)]
pub struct ValidArgs {
    pub(super) values: Vec<Val>,
    pub(super) canonical: String,
    pub(super) held: Vec<HoldRule>,
    pub(super) unchecked: Vec<String>,
    pub(super) ignored: Vec<String>,
}

impl ValidArgs {
    /// The arguments as component values, in the order of the parameters.
    pub fn values(&self) -> &[Val] {
        &self.values
    }

    /// The arguments as canonical JSON (RFC 8785), in the spelling of WIT. Equal values give equal text, however the caller wrote them.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The first keys that open records do not have, and which were ignored.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// The rules of the tool that hold the call, of its author and of its operator. Empty for almost all calls.
    pub fn held(&self) -> &[HoldRule] {
        &self.held
    }

    /// The relations that could not be checked, since the call has no session. Empty for almost all calls.
    pub fn unchecked(&self) -> &[String] {
        &self.unchecked
    }
}

/// Arguments that did not pass the inner door.
#[derive(Clone, Debug)]
pub struct UnfitArgs {
    /// Every violation of the first gate that found one.
    pub violations: Vec<Violation>,
    /// The arguments with every mend applied, if the schema then accepts them.
    pub mended: Option<Value>,
    /// The arguments, where every gate but the relations lets them pass: for looking up what became of the same call. Relations
    /// change with time and with what was done. Nothing may run with them.
    pub unmet: Option<Box<ValidArgs>>,
}

impl From<Vec<Violation>> for UnfitArgs {
    fn from(violations: Vec<Violation>) -> UnfitArgs {
        UnfitArgs { violations, mended: None, unmet: None }
    }
}
