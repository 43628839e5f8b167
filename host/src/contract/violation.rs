//! One fault of a call's arguments, as both gates of the inner door report it.
//!
//! Owns the facts; `message` turns them into text for a model. Must not know schemas.

use serde::{Deserialize, Serialize};

use crate::call::code::Code;

/// One fault of the arguments: where, what was expected, what was there, how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The kind of fault: one of the `args.*` codes.
    pub code: Code,
    /// Where, code-like, for a model: `passengers[0].age`. Empty for the whole.
    pub path: String,
    /// Where, as a JSON pointer, for a program: `/passengers/0/age`.
    pub pointer: String,
    /// The schema keyword or rule that was broken: `type`, `required`, `maximum`, `require`, …
    pub keyword: String,
    /// What would be right: `integer 0–255`.
    pub expected: String,
    /// What was there, shortened to 60 characters.
    pub got: String,
    /// How to mend it, where the host can tell.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
}
