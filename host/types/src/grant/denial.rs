//! A refused use of a capability with what an operator needs to judge it: the rule that decided, and the nearest grant that
//! would allow it.

use super::Refused;

/// A refused use, explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// What was refused, and why.
    pub refused: Refused,
    /// The rule that decided, by its name: `tools.web.grants.http[0]`. Where no rule has what was asked for, it is the
    /// innermost table that would have one.
    pub rule: String,
    /// The file and line of the rule: `airlock.toml:12`.
    pub at: String,
    /// The line that would allow it: `grants.http = [{ host = "api.example.com" }]`. None where no line of the registry
    /// would.
    pub grant: Option<String>,
    /// The table that the line belongs to: `tools.web`, or `callers.ann`.
    pub below: String,
    /// How the line goes into that table, where TOML refuses one below its header: within its braces, or in place of a list.
    pub how: Option<String>,
    /// Whether the line takes the place of the setting of its name in that table, which it has whole; otherwise it is a new
    /// line there.
    pub replaces: bool,
    /// Whether it passed all the same, by a grant of `report`.
    pub is_reported: bool,
}

/// Something that a tool needs and is not granted, explained: its calls do not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// The capability.
    pub capability: String,
    /// What was asked for: `/data (read)`.
    pub asked: String,
    /// The rule that decided: the innermost table that would have the grant.
    pub rule: String,
    /// The file and line of the rule.
    pub at: String,
    /// The line that would grant it.
    pub grant: String,
    /// The table that the line belongs to.
    pub below: String,
    /// How the line goes into that table, where TOML refuses one below its header: within its braces, or in place of a list.
    pub how: Option<String>,
    /// Whether the line takes the place of the setting of its name in that table.
    pub replaces: bool,
}
