//! What a caller may do, as its entry in the registry states it.
//!
//! Owns the rules that a call is held to. Must not know the registry's file: `config` makes them.

use serde::Deserialize;

use super::budget::Budgets;

/// Calls of one caller at once, without `run`.
pub(crate) const CALLER_RUN: u32 = 32;

/// Calls of one caller that wait, without `wait`.
pub(crate) const CALLER_WAIT: u32 = 64;

/// What a caller may do.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) tools: Vec<ToolPattern>,
    /// While a changed registry is being loaded: what its tools must match besides.
    pub(crate) also: Option<Vec<ToolPattern>>,
    pub(crate) run: u32,
    pub(crate) wait: u32,
    pub(crate) budgets: Budgets,
    pub(crate) metrics: MetricsAccess,
}

impl Rules {
    /// Everything: for the local caller, and the anonymous one, where no entry says less.
    pub(crate) fn open() -> Rules {
        Rules {
            tools: vec![ToolPattern::all()],
            also: None,
            run: CALLER_RUN,
            wait: CALLER_WAIT,
            budgets: Budgets::default(),
            metrics: MetricsAccess::All,
        }
    }

    /// Whether the caller may see and call a tool.
    pub(crate) fn shows(&self, tool: &str) -> bool {
        let among = |patterns: &[ToolPattern]| patterns.iter().any(|pattern| pattern.matches(tool));
        among(&self.tools) && self.also.as_deref().is_none_or(among)
    }

    /// What both allow. Both are as a registry states them, so that `also` holds what the other one says.
    pub(crate) fn narrowed(&self, other: &Rules) -> Rules {
        Rules {
            tools: self.tools.clone(),
            also: Some(other.tools.clone()),
            run: self.run.min(other.run),
            wait: self.wait.min(other.wait),
            budgets: self.budgets.and(&other.budgets),
            metrics: self.metrics.min(other.metrics),
        }
    }
}

/// What a caller may read at `/metrics`; ordered, the least first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "MetricsWord")]
pub enum MetricsAccess {
    /// Nothing: `false`.
    #[default]
    None,
    /// The host as a whole and the tools that it sees: `true`.
    Visible,
    /// The host and every tool: `"all"`. For a monitor that calls none.
    All,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "`metrics` is true, false or \"all\"")]
enum MetricsWord {
    Flag(bool),
    Word(String),
}

impl TryFrom<MetricsWord> for MetricsAccess {
    type Error = String;

    fn try_from(word: MetricsWord) -> Result<MetricsAccess, String> {
        match word {
            MetricsWord::Flag(false) => Ok(MetricsAccess::None),
            MetricsWord::Flag(true) => Ok(MetricsAccess::Visible),
            MetricsWord::Word(word) if word == "all" => Ok(MetricsAccess::All),
            MetricsWord::Word(word) => Err(format!("`metrics` is true, false or \"all\", not `{word}`")),
        }
    }
}

/// A tool's name, or the beginning of several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ToolPattern {
    text: String,
    is_prefix: bool,
}

impl ToolPattern {
    /// Every tool.
    pub(crate) fn all() -> ToolPattern {
        ToolPattern { text: String::new(), is_prefix: true }
    }

    /// Whether a tool's name is meant.
    pub(crate) fn matches(&self, tool: &str) -> bool {
        if self.is_prefix { tool.starts_with(&self.text) } else { tool == self.text }
    }
}

impl TryFrom<String> for ToolPattern {
    type Error = String;

    fn try_from(pattern: String) -> Result<ToolPattern, String> {
        let (text, is_prefix) = match pattern.strip_suffix('*') {
            Some(text) => (text, true),
            None => (pattern.as_str(), false),
        };
        if text.contains('*') || (text.is_empty() && !is_prefix) {
            return Err(format!("`{pattern}` is no tool's name; `*` may stand at the end only"));
        }
        Ok(ToolPattern { text: text.to_owned(), is_prefix })
    }
}
