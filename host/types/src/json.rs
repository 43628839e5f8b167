//! JSON that was written once and is only passed on.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// JSON as text: a call needs no tree of what it only puts away.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Default for Json {
    /// `null`.
    fn default() -> Json {
        Json(RawValue::NULL.to_owned())
    }
}

impl Json {
    /// A value as JSON; none for one that JSON cannot say.
    pub fn of(value: &impl Serialize) -> Option<Json> {
        serde_json::value::to_raw_value(value).ok().map(Json)
    }

    /// Text that is JSON already; none where it is not.
    pub fn text(text: &str) -> Option<Json> {
        RawValue::from_string(text.to_owned()).ok().map(Json)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}
