//! One difference between two versions of the same data, for a reviewer.
//!
//! Owns the form of a difference. Whether it is wider is decided where the data lives, as only that module knows what
//! its parts permit. Must not know how differences are shown.

use serde::Serialize;
use serde_json::Value;

/// A part that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Where, outermost first: `["asks", "files", "/data", "access"]`.
    pub path: Vec<String>,
    /// The old value; none for a part that was added.
    pub before: Option<Value>,
    /// The new value; none for a part that was removed.
    pub after: Option<Value>,
    /// Whether more is possible than before.
    pub wider: bool,
}

impl Difference {
    /// Compares a part that is one value; none where both are equal.
    pub fn of<T: Serialize + PartialEq>(path: &[&str], old: &T, new: &T, wider: bool) -> Option<Difference> {
        (old != new).then(|| Difference {
            path: path.iter().map(|part| (*part).to_owned()).collect(),
            before: told(old),
            after: told(new),
            wider,
        })
    }

    /// The same difference of a part of something larger.
    #[must_use]
    pub fn within(mut self, part: &str) -> Difference {
        self.path.insert(0, part.to_owned());
        self
    }
}

/// A value as JSON; none for one that serializes to nothing.
pub fn told(value: &impl Serialize) -> Option<Value> {
    // An absent part is an `Option` that serializes to `null`.
    serde_json::to_value(value).ok().filter(|value| !value.is_null())
}
