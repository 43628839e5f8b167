//! The rules of a caller, as its entry in the registry states them.
//!
//! Owns the rules that a call is held to. Must not know the registry's file: `config` makes the rules. To add a rule: a
//! field of [`Rules`], its line in `narrowed`, and its setting in `CallerConfig`.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::budget::Budgets;
use airlock_types::grant::Narrowing;

/// Calls of one caller that run at the same time, when its entry sets no `run`.
pub(crate) const CALLER_RUN: u32 = 32;

/// Calls of one caller that may wait, when its entry sets no `wait`.
pub(crate) const CALLER_WAIT: u32 = 64;

/// The rules of one caller.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// The tools that the caller may see and call.
    pub(crate) tools: Vec<ToolPattern>,
    /// A second list that tools must match, too. Set only while a changed registry is being loaded.
    pub(crate) also: Option<Vec<ToolPattern>>,
    pub(crate) run: u32,
    pub(crate) wait: u32,
    pub(crate) budgets: Budgets,
    pub(crate) metrics: MetricsAccess,
    pub(crate) grades: GradesAccess,
    pub(crate) approve: ApproveAccess,
    pub(crate) grants: CallerGrants,
}

/// What the calls of a caller may have of the grants of tools.
#[derive(Clone, Debug, Default)]
pub(crate) enum CallerGrants {
    /// All of them.
    #[default]
    All,
    /// These.
    Only(Arc<Narrowing>),
    /// Two files say different things, and the tools of the newer one are not served yet: what both allow is not known
    /// before, so nothing that needs a grant runs.
    Changing,
}

impl CallerGrants {
    fn and(&self, other: &CallerGrants) -> CallerGrants {
        match (self, other) {
            (CallerGrants::All, CallerGrants::All) => CallerGrants::All,
            (CallerGrants::Only(one), CallerGrants::Only(with)) if one == with => self.clone(),
            (CallerGrants::All | CallerGrants::Only(_) | CallerGrants::Changing, _) => CallerGrants::Changing,
        }
    }
}

impl Rules {
    /// Whether the caller may see and call a tool.
    pub(crate) fn shows(&self, tool: &str) -> bool {
        // Both lists must admit the tool while a changed registry is loading.
        let among = |patterns: &[ToolPattern]| patterns.iter().any(|pattern| pattern.matches(tool));
        among(&self.tools) && self.also.as_deref().is_none_or(among)
    }

    /// The rules that both allow. Both must come from a registry, with `also` unset, because `also` holds the other
    /// list.
    pub(crate) fn narrowed(&self, other: &Rules) -> Rules {
        Rules {
            tools: self.tools.clone(),
            also: Some(other.tools.clone()),
            run: self.run.min(other.run),
            wait: self.wait.min(other.wait),
            budgets: self.budgets.and(&other.budgets),
            // The variants are ordered, the least access first.
            metrics: self.metrics.min(other.metrics),
            grades: self.grades.min(other.grades),
            approve: self.approve.and(other.approve),
            grants: self.grants.and(&other.grants),
        }
    }
}

/// What a caller may read at `/metrics`. The variants are ordered: the least access first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "FlagOrWord")]
pub enum MetricsAccess {
    /// `false`: nothing.
    #[default]
    None,
    /// `true`: the figures of the tools that the caller sees.
    Visible,
    /// `"all"`: the figures of the host and of every tool. For a monitor that calls no tool.
    All,
}

impl TryFrom<FlagOrWord> for MetricsAccess {
    type Error = String;

    fn try_from(written: FlagOrWord) -> Result<MetricsAccess, String> {
        written.read("metrics", "all", [MetricsAccess::None, MetricsAccess::Visible, MetricsAccess::All])
    }
}

/// Which calls a caller may grade over HTTP. The variants are ordered: the least access first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GradesAccess {
    /// None.
    None,
    /// Its own. Callers without a token have no calls that are known to be theirs.
    #[default]
    Own,
    /// Every call: for people or programs that judge the answers of others.
    Any,
}

/// Which held calls a caller may decide about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "FlagOrWord")]
pub enum ApproveAccess {
    /// `false`: none.
    #[default]
    None,
    /// `true`: those of other callers.
    Others,
    /// `"client-user"`: its own, by the user of its client, who is asked by the protocol.
    ClientUser,
}

impl ApproveAccess {
    /// As it is written in a registry.
    pub fn as_str(self) -> &'static str {
        match self {
            ApproveAccess::None => "false",
            ApproveAccess::Others => "true",
            ApproveAccess::ClientUser => "client-user",
        }
    }

    /// What both allow: neither of two different ones is less than the other.
    fn and(self, other: ApproveAccess) -> ApproveAccess {
        if self == other { self } else { ApproveAccess::None }
    }
}

impl TryFrom<FlagOrWord> for ApproveAccess {
    type Error = String;

    fn try_from(written: FlagOrWord) -> Result<ApproveAccess, String> {
        let values = [ApproveAccess::None, ApproveAccess::Others, ApproveAccess::ClientUser];
        written.read("approve", "client-user", values)
    }
}

/// How a setting is written that is a flag or one word.
#[derive(Deserialize)]
#[serde(untagged)]
enum FlagOrWord {
    Flag(bool),
    Word(String),
    Other(IgnoredAny),
}

impl FlagOrWord {
    /// The value of a setting that has one for `false`, one for `true` and one for a word.
    fn read<T>(self, setting: &str, word: &str, [no, yes, named]: [T; 3]) -> Result<T, String> {
        let said = match self {
            FlagOrWord::Flag(false) => return Ok(no),
            FlagOrWord::Flag(true) => return Ok(yes),
            FlagOrWord::Word(said) if said == word => return Ok(named),
            FlagOrWord::Word(said) => format!(", not `{said}`"),
            FlagOrWord::Other(_) => String::new(),
        };
        Err(format!("`{setting}` is true, false or \"{word}\"{said}"))
    }
}

/// The name of a tool, or a prefix of names, written with `*` at the end.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ToolPattern {
    text: String,
    is_prefix: bool,
}

impl ToolPattern {
    /// The pattern `*`, which matches every tool.
    pub(crate) fn all() -> ToolPattern {
        ToolPattern { text: String::new(), is_prefix: true }
    }

    /// ⊆: whether each name that it matches is matched by the other.
    pub(crate) fn is_within(&self, other: &ToolPattern) -> bool {
        if other.is_prefix { self.text.starts_with(&other.text) } else { self == other }
    }

    /// Whether the pattern matches the public name of a tool.
    pub(crate) fn matches(&self, tool: &str) -> bool {
        if self.is_prefix { tool.starts_with(&self.text) } else { tool == self.text }
    }
}

impl std::fmt::Display for ToolPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.text, if self.is_prefix { "*" } else { "" })
    }
}

impl TryFrom<String> for ToolPattern {
    type Error = String;

    fn try_from(pattern: String) -> Result<ToolPattern, String> {
        let (text, is_prefix) = match pattern.strip_suffix('*') {
            Some(text) => (text, true),
            None => (pattern.as_str(), false),
        };
        // A `*` elsewhere would match nothing that its author meant. An empty name matches no tool at all.
        if text.contains('*') || (text.is_empty() && !is_prefix) {
            return Err(format!("`{pattern}` is not a tool's name; `*` may stand at the end only"));
        }
        Ok(ToolPattern { text: text.to_owned(), is_prefix })
    }
}
