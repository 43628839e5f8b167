//! Why a keyword cannot be applied to a schema, in words for the author of a contract.

use serde_json::Value;

use super::KEYWORDS;
use crate::path::PathError;
use airlock_types::words;

/// Why a keyword cannot be applied to a schema.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OverlayError {
    /// The path selects nothing.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The keyword is not one of those that a contract can apply.
    #[error("unknown keyword `{keyword}`{}", did_you_mean(.keyword))]
    Unknown {
        /// The unknown keyword.
        keyword: String,
    },
    /// The keyword does not apply to values of this type.
    #[error("`{keyword}` does not fit {place}")]
    Unfit {
        /// The keyword.
        keyword: String,
        /// What is at the place: `an integer`.
        place: String,
    },
    /// The value of the keyword has the wrong form.
    #[error("`{keyword}` must be {expected}, not {value}")]
    Form {
        /// The keyword.
        keyword: String,
        /// The form that it must have.
        expected: &'static str,
        /// The value, shortened.
        value: String,
    },
    /// The constraint would allow more than the schema does.
    #[error("`{keyword}` {value} is wider than `{bound}` {limit}: a constraint may only tighten")]
    Widens {
        /// The keyword.
        keyword: String,
        /// The value of the keyword.
        value: Value,
        /// The keyword that already applies.
        bound: String,
        /// The value of the keyword that already applies.
        limit: Value,
    },
    /// No value would satisfy both constraints.
    #[error("`{keyword}` {value} contradicts `{bound}` {limit}: no value is left")]
    Contradicts {
        /// The keyword.
        keyword: String,
        /// The value of the keyword.
        value: Value,
        /// The keyword that already applies.
        bound: String,
        /// The value of the keyword that already applies.
        limit: Value,
    },
    /// The place already has this keyword. A second pattern or format cannot be combined with the first, and a
    /// header name is used once.
    #[error("`{keyword}` is already set here")]
    Taken {
        /// The keyword.
        keyword: String,
    },
}

// The suggestion is part of the message here, because these errors have no separate hint.
fn did_you_mean(keyword: &str) -> String {
    words::did_you_mean(keyword, KEYWORDS).map_or_else(String::new, |question| format!(": {question}"))
}
