//! The keys with which a contract says how one place is published.
//!
//! Owns their names and the form of their values. Must not know types.

use serde_json::{Map, Value};

use airlock_types::shorten::clean;
use airlock_types::words::got;

/// Characters of the longest published name: OpenAI and Gemini accept no longer key.
const NAME_CHARS_MAX: usize = 64;

/// Characters of the longest published value of a case.
const VALUE_CHARS_MAX: usize = 256;

/// Characters of the longest unit: a word or two, as in `thousands of jobs`.
const UNIT_CHARS_MAX: usize = 64;

/// What a contract says of how one place is published.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Written {
    pub(crate) name: Option<String>,
    pub(crate) value: Option<String>,
    pub(crate) default: Option<Value>,
    pub(crate) is_open: bool,
    pub(crate) is_json: bool,
    pub(crate) schema: Option<Value>,
    pub(crate) is_untagged: bool,
    pub(crate) unit: Option<String>,
}

impl Written {
    /// Takes these keys out of the keywords of a place.
    ///
    /// # Errors
    /// With the reason, if a key has no value of its form.
    pub(crate) fn take(keywords: &mut Map<String, Value>) -> Result<Written, String> {
        let name = keywords.remove("name").map(name).transpose()?;
        let value = keywords.remove("value").map(value).transpose()?;
        let default = keywords.remove("default");
        let is_open = flag(keywords, "open")?;
        let is_json = flag(keywords, "json")?;
        let schema = keywords.remove("schema");
        let is_untagged = flag(keywords, "untagged")?;
        let unit = keywords.remove("unit").map(unit).transpose()?;
        Ok(Written { name, value, default, is_open, is_json, schema, is_untagged, unit })
    }
}

fn flag(keywords: &mut Map<String, Value>, key: &str) -> Result<bool, String> {
    match keywords.remove(key) {
        None => Ok(false),
        Some(Value::Bool(is)) => Ok(is),
        Some(other) => Err(format!("`{key}` must be true or false, not {}", got(&other))),
    }
}

fn unit(written: Value) -> Result<String, String> {
    text(&written, UNIT_CHARS_MAX, &['`']).ok_or_else(|| {
        format!("`unit` must be a text of 1 to {UNIT_CHARS_MAX} visible characters, not {}", got(&written))
    })
}

fn name(written: Value) -> Result<String, String> {
    // Quotes and the like would end the quotation of the name in a message.
    text(&written, NAME_CHARS_MAX, &['`', '"', '\'', '\\']).ok_or_else(|| {
        format!("`name` must be a text of 1 to {NAME_CHARS_MAX} visible characters without quotes and backslashes, not {}", got(&written))
    })
}

fn value(written: Value) -> Result<String, String> {
    text(&written, VALUE_CHARS_MAX, &['`']).ok_or_else(|| {
        format!("`value` must be a text of 1 to {VALUE_CHARS_MAX} visible characters, not {}", got(&written))
    })
}

/// A text that can be shown as it is.
fn text(written: &Value, chars_max: usize, without: &[char]) -> Option<String> {
    let text = written.as_str()?;
    let is_shown = clean(text) == text && !text.contains(without) && text.trim() == text;
    (is_shown && (1..=chars_max).contains(&text.chars().count())).then(|| text.to_owned())
}
