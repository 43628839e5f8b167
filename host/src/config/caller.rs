//! `[callers]`: who may call what, and how much.

use serde::Deserialize;

use super::ConfigFile;
use crate::caller::token::TokenDigest;
use crate::caller::{ANONYMOUS, LOCAL};
use crate::diagnostic::Diagnostic;

/// Calls of one caller at once, where nobody says otherwise.
pub(crate) const CALLER_RUN: u32 = 32;

/// Calls of one caller that wait, where nobody says otherwise.
pub(crate) const CALLER_WAIT: u32 = 64;

/// One caller. The names `local` (the command line and stdio) and `anonymous` have a meaning of their own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallerConfig {
    /// The tools that it may see and call: public names, `*` at the end for all that begin so. No default.
    pub tools: Vec<ToolPattern>,
    /// Digests of its bearer tokens: `airlock token new NAME` makes one. To revoke one, take it out.
    #[serde(default)]
    pub tokens: Vec<TokenDigest>,
    /// Its calls at once. Default 32.
    #[serde(default = "caller_run")]
    pub run: u32,
    /// Its calls that wait; the next one is turned away. Default 64.
    #[serde(default = "caller_wait")]
    pub wait: u32,
    /// Whether it may read `/metrics`, of the tools that it sees or of all. Default not at all.
    #[serde(default)]
    pub metrics: MetricsAccess,
    /// What it may use in a minute and a day. Default no bound.
    #[serde(default)]
    pub budgets: BudgetConfig,
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
#[serde(untagged)]
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

/// Budgets of one caller. Minutes and days are those of UTC.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetConfig {
    /// Calls in a minute.
    pub calls_per_minute: Option<u64>,
    /// Calls in a day.
    pub calls_per_day: Option<u64>,
    /// Fuel in a minute.
    pub fuel_per_minute: Option<u64>,
    /// Fuel in a day.
    pub fuel_per_day: Option<u64>,
    /// Bytes of arguments and results in a minute.
    pub bytes_per_minute: Option<u64>,
    /// Bytes of arguments and results in a day.
    pub bytes_per_day: Option<u64>,
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

fn caller_run() -> u32 {
    CALLER_RUN
}

fn caller_wait() -> u32 {
    CALLER_WAIT
}

pub(super) fn problems(file: &ConfigFile) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let mut seen: Vec<(&str, TokenDigest)> = Vec::new();
    for (name, caller) in &file.config.callers {
        let mut problem = |message: String, label: &str| {
            problems.push(file.error(name.span(), message, label, None));
        };
        let text = name.get_ref().as_str();
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if text.is_empty() || text.len() > 64 || !text.chars().all(fits) {
            problem(
                format!("`{text}` cannot be a caller's name"),
                "letters, digits, `_` and `-`, at most 64 characters",
            );
        }
        if caller.run == 0 {
            problem(format!("`callers.{text}.run` is 0: it could never call"), "this caller");
        }
        if [LOCAL, ANONYMOUS].contains(&text) && !caller.tokens.is_empty() {
            problem(format!("`{text}` is who shows no token; it can have none"), "this caller");
        }
        for token in &caller.tokens {
            if let Some((other, _)) = seen.iter().find(|(_, digest)| digest.same(token)) {
                problem(format!("`{text}` and `{other}` have the same token"), "one of them is here");
            }
            seen.push((text, *token));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        ConfigFile::parse(text, "a.toml".as_ref()).unwrap_err().to_string()
    }

    #[test]
    fn a_pattern_is_a_name_or_a_beginning() {
        let pattern = |text: &str| ToolPattern::try_from(text.to_owned());
        assert!(pattern("sector_*").unwrap().matches("sector_metrics"));
        assert!(!pattern("sector_metrics").unwrap().matches("sector_metrics_quarterly"));
        assert!(pattern("*").unwrap().matches("anything"));
        assert!(pattern("*_x").is_err() && pattern("").is_err());
    }

    #[test]
    fn says_what_is_wrong_with_a_caller() {
        let digest = format!("sha256:{}", "0".repeat(64));
        assert!(refused("[callers.a]\n").contains("missing field `tools`"));
        assert!(refused("[callers.a]\ntools = [\"*\"]\nrun = 0\n").contains("could never call"));
        assert!(refused("[callers.a]\ntools = []\ntokens = [\"secret\"]\n").contains("airlock token new"));
        let twice = format!(
            "[callers.a]\ntools = []\ntokens = [\"{digest}\"]\n[callers.b]\ntools = []\ntokens = [\"{digest}\"]\n"
        );
        assert!(refused(&twice).contains("`b` and `a` have the same token"));
        let local = format!("[callers.local]\ntools = []\ntokens = [\"{digest}\"]\n");
        assert!(refused(&local).contains("can have none"));
        assert!(refused("[callers.a]\ntools = []\nbudgets.calls_per_hour = 1\n").contains("did you mean"));
    }
}
