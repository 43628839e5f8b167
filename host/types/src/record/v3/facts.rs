//! The facts that decided whether a call's arguments were accepted.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What the relations of a call looked up among the facts of its session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// What was looked up, by name and key.
    pub looked: Vec<LookedFact>,
    /// Whether there was more than is kept.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub cut: bool,
}

/// A fact that was looked up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LookedFact {
    /// Its name.
    pub name: String,
    /// Its key.
    pub key: String,
    /// What the session had seen; none if it had seen nothing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seen: Option<SeenFact>,
}

/// A fact that a session had seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeenFact {
    /// Its fields.
    pub value: Value,
    /// The time that it was about.
    pub as_of_unix_ms: u64,
    /// The time from which on it did not count any more.
    pub until_unix_ms: u64,
    /// The record of the call that gave it.
    pub record: Arc<str>,
    /// SHA-256 of the component that gave it, hex.
    pub component: Arc<str>,
}
