//! JSON that is serialized once and then only passed on.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// JSON as text. A call that only stores a value needs no tree of it.
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
    /// Serializes a value. `None` for a value that JSON cannot express.
    pub fn of(value: &impl Serialize) -> Option<Json> {
        serde_json::value::to_raw_value(value).ok().map(Json)
    }

    /// Wraps text that is already JSON. `None` if it is not.
    pub fn text(text: &str) -> Option<Json> {
        // Parses the text once, so no invalid JSON can get into a record.
        RawValue::from_string(text.to_owned()).ok().map(Json)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}
