//! The bounds that a contract sets on its arguments: how long lists and strings can be.
//!
//! Owns which keywords bound the cost of an expression. Arguments are held to them before any expression runs, so an
//! estimate may rely on them. Must not know kinds.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{LIST_ITEMS, STRING_BYTES};
use crate::path::Path;

/// Size of the longest character in bytes: keywords count characters, and reading costs by the byte.
pub(super) const UTF8_BYTES_MAX: u64 = 4;

/// The bounds on the arguments of one function, by place.
#[derive(Clone, Debug, Default)]
pub struct Bounds(BTreeMap<Path, Bound>);

#[derive(Clone, Copy, Debug, Default)]
struct Bound {
    items_max: Option<u64>,
    text_bytes_max: Option<u64>,
}

impl Bounds {
    /// The bounds in the keywords of the arguments.
    pub fn of(args: &BTreeMap<Path, Map<String, Value>>) -> Bounds {
        let bound = |keywords: &Map<String, Value>| {
            let max = |keyword: &str| keywords.get(keyword).and_then(Value::as_u64);
            // A bound above the assumed size changes nothing: the meter stops an evaluation that meets more.
            let items_max = max("maxItems").map(|items| items.min(LIST_ITEMS));
            let text_bytes = |chars: u64| chars.saturating_mul(UTF8_BYTES_MAX).min(STRING_BYTES);
            Bound { items_max, text_bytes_max: max("maxLength").map(text_bytes) }
        };
        Bounds(args.iter().map(|(path, keywords)| (path.clone(), bound(keywords))).collect())
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
