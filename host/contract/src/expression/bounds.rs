//! What a contract states about the values of a function: how long lists and strings can be, and which strings are
//! dates.
//!
//! Owns which keywords bound the cost of an expression, or make a string a date. Arguments are held to them before any
//! expression runs, so an estimate may rely on them. Results are not, so that only their formats count. Must not know
//! kinds.

use std::collections::BTreeMap;

use litemap::LiteMap;
use serde_json::{Map, Value};

use super::calendar::Form;
use super::{LIST_ITEMS, STRING_BYTES};
use crate::path::Path;

/// Size of the longest character in bytes: keywords count characters, and reading costs by the byte.
pub(super) const UTF8_BYTES_MAX: u64 = 4;

/// Schema keywords by place.
type Keywords = BTreeMap<Path, Map<String, Value>>;

/// What is stated about the arguments and the result of one function.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    pub(super) args: Places,
    pub(super) result: Places,
}

/// What is stated, by place.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(LiteMap<Path, Bound>);

#[derive(Clone, Copy, Debug, Default)]
struct Bound {
    items_max: Option<u64>,
    text_bytes_max: Option<u64>,
    form: Option<Form>,
}

impl Bounds {
    /// What the keywords of the arguments and of the result state.
    pub fn of(args: &Keywords, results: &Keywords) -> Bounds {
        let bound = |keywords: &Map<String, Value>| {
            let max = |keyword: &str| keywords.get(keyword).and_then(Value::as_u64);
            // A bound above the assumed size changes nothing: the meter stops an evaluation that meets more.
            let items_max = max("maxItems").map(|items| items.min(LIST_ITEMS));
            let text_bytes = |chars: u64| chars.saturating_mul(UTF8_BYTES_MAX).min(STRING_BYTES);
            Bound { items_max, text_bytes_max: max("maxLength").map(text_bytes), form: form(keywords) }
        };
        let args = args.iter().map(|(path, keywords)| (path.clone(), bound(keywords)));
        let formed = |keywords| Bound { form: form(keywords), ..Bound::default() };
        let results = results.iter().map(|(path, keywords)| (path.clone(), formed(keywords)));
        Bounds { args: Places(args.collect()), result: Places(results.collect()) }
    }
}

fn form(keywords: &Map<String, Value>) -> Option<Form> {
    keywords.get("format").and_then(Value::as_str).and_then(Form::of)
}

impl Places {
    /// The form of the string at this place.
    pub(super) fn form(&self, at: &Path) -> Option<Form> {
        self.0.get(at)?.form
    }

    /// The largest number of items of the list at this place.
    pub(super) fn items_max(&self, at: &Path) -> Option<u64> {
        self.0.get(at)?.items_max
    }

    /// The largest size of the string at this place.
    pub(super) fn text_bytes_max(&self, at: &Path) -> Option<u64> {
        self.0.get(at)?.text_bytes_max
    }
}
