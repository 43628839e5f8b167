//! Why a keyword cannot be laid over a schema, in words for the author of a contract.

use serde_json::Value;

use super::KEYWORDS;
use crate::path::PathError;
use airlock_types::words;

/// Why a keyword cannot be laid over a schema.
#[derive(Debug, thiserror::Error)]
pub enum OverlayError {
    /// The path leads nowhere.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The keyword is none of ours.
    #[error("unknown keyword `{keyword}`{}", did_you_mean(.keyword))]
    Unknown {
        /// The keyword.
        keyword: String,
    },
    /// A default would be applied by some clients and ignored by others.
    #[error("`default` is not allowed: make the argument an `option`, and let the tool choose")]
    Default,
    /// The keyword says nothing about values of this type.
    #[error("`{keyword}` does not fit {place}")]
    Unfit {
        /// The keyword.
        keyword: String,
        /// What stands there: `an integer`.
        place: String,
    },
    /// The keyword's value is not of its form.
    #[error("`{keyword}` must be {expected}, not {value}")]
    Form {
        /// The keyword.
        keyword: String,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        value: String,
    },
    /// The constraint would allow more than the type does.
    #[error("`{keyword}` {value} is wider than `{bound}` {limit}: a constraint may only tighten")]
    Widens {
        /// The keyword.
        keyword: String,
        /// Its value.
        value: Value,
        /// The keyword that holds already.
        bound: String,
        /// Its value.
        limit: Value,
    },
    /// Nothing would satisfy the constraints together.
    #[error("`{keyword}` {value} contradicts `{bound}` {limit}: no value is left")]
    Contradicts {
        /// The keyword.
        keyword: String,
        /// Its value.
        value: Value,
        /// The keyword that holds already.
        bound: String,
        /// Its value.
        limit: Value,
    },
    /// A second pattern or format cannot be put beside the first.
    #[error("`{keyword}` is already set here")]
    Taken {
        /// The keyword.
        keyword: String,
    },
}

fn did_you_mean(keyword: &str) -> String {
    words::did_you_mean(keyword, KEYWORDS).map_or_else(String::new, |question| format!(": {question}"))
}
