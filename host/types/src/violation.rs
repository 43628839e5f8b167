//! One fault of a call's arguments, as both gates of the inner door report it.
//!
//! Owns the facts; `message` turns them into text for a model. Must not know schemas.

use serde::{Deserialize, Serialize};

use super::shorten::{clean, shorten};
use crate::code::Code;

/// Longest phrase of a violation, in characters. Places are bounded by the depth of arguments instead.
const PHRASE_CHARS_MAX: usize = 400;

/// One fault of the arguments: where, what was expected, what was there, how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Violation {
    /// The kind of fault: one of the `args.*` codes.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = r"^args\.")))]
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

impl Violation {
    /// The same with hidden characters removed and phrases cut to 400 characters, since callers choose keys and values,
    /// and authors choose words.
    pub fn shown(self) -> Violation {
        let part = |text: &str| shorten(&clean(text), PHRASE_CHARS_MAX);
        Violation {
            code: self.code,
            // Places are not cut: a cut place would name another value. `place` already bounds each of their keys.
            path: clean(&self.path),
            pointer: clean(&self.pointer),
            keyword: part(&self.keyword),
            expected: part(&self.expected),
            got: part(&self.got),
            hint: self.hint.as_deref().map(part),
        }
    }
}
