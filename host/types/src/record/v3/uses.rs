//! What an attempt asked of its capabilities: what was refused, and what was allowed.

use serde::{Deserialize, Serialize};

/// A refused use of a capability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Denial {
    /// The capability.
    pub capability: String,
    /// What was asked for: `GET https://api.example.com/v1`.
    pub asked: String,
    /// The kind, as the agent read it.
    pub kind: String,
    /// The rule that decided: `tools.web.grants.http[0]`.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub rule: String,
    /// The file and line of the rule.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub at: String,
    /// The line of the registry that would allow it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub grant: Option<String>,
    /// The table that the line belongs to.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub below: String,
    /// How the line goes into that table, where that is not below its header.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub how: Option<String>,
    /// Whether the line takes the place of the setting of its name in that table, which it has whole.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub replaces: bool,
    /// Whether it passed all the same, by a grant of `report`.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub reported: bool,
}

/// A use of a capability that was allowed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Use {
    /// The capability.
    pub capability: String,
    /// What was used: `GET https://api.example.com/v1`.
    pub what: String,
    /// How often.
    pub times: u64,
}
