//! `[callers]`: which tools each caller may call, and how much.
//!
//! Owns the entries and their errors. Must not know how rules are enforced: `crate::caller` does that.

use std::sync::Arc;

use serde::Deserialize;

use super::ConfigFile;
use crate::caller::budget::{Budget, Budgets, DAY_MS, MINUTE_MS, Unit};
use crate::caller::token::TokenDigest;
use crate::caller::{
    ApproveAccess, CALLER_RUN, CALLER_WAIT, CallerGrants, GradesAccess, MetricsAccess, Rules, ToolPattern,
};
use airlock_types::caller::{ANONYMOUS, LOCAL};
use airlock_types::diagnostic::Diagnostic;
use airlock_types::grant::Narrowing;
use airlock_types::hold::Approver;

/// One caller. `local` stands for the command line and stdio, `anonymous` for requests without a token.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct CallerConfig {
    /// The tools that it may see and call: public names, or prefixes that end in `*`. No default.
    pub tools: Vec<ToolPattern>,
    /// Digests of its bearer tokens; `airlock token new NAME` makes one. Removing a digest revokes the token. Default
    /// none.
    #[serde(default)]
    pub tokens: Vec<TokenDigest>,
    /// Calls that run at the same time. Default 32.
    #[serde(default = "caller_run")]
    pub run: u32,
    /// Calls that may wait; further ones are rejected. Default 64.
    #[serde(default = "caller_wait")]
    pub wait: u32,
    /// Whether it may read `/metrics`, and of which tools. Default not at all.
    #[serde(default)]
    pub metrics: MetricsAccess,
    /// Which calls it may grade: none, its own, or any. Default its own.
    #[serde(default)]
    pub grades: GradesAccess,
    /// Whether it may decide about held calls: those of others, or, as the client's user, its own. Default not at all.
    #[serde(default)]
    pub approve: ApproveAccess,
    /// What its calls may have of the grants of tools: each tool gets what its own grants and these allow. Default all.
    #[serde(default)]
    pub grants: Option<Narrowing>,
    /// What it may use in a minute and in a day. Default no bound.
    #[serde(default)]
    pub budgets: BudgetConfig,
}

impl CallerConfig {
    /// An entry that restricts nothing, which is what `local` and `anonymous` have without one.
    pub(crate) fn open() -> CallerConfig {
        CallerConfig {
            tools: vec![ToolPattern::all()],
            tokens: Vec::new(),
            run: CALLER_RUN,
            wait: CALLER_WAIT,
            metrics: MetricsAccess::All,
            grades: GradesAccess::Own,
            // Also of callers that nothing else restricts: whoever asks does not answer.
            approve: ApproveAccess::None,
            grants: None,
            budgets: BudgetConfig::default(),
        }
    }

    /// The rules that the entry states.
    pub(crate) fn rules(&self) -> Rules {
        // Tokens are not rules: `Access` holds them, to find the caller of a request.
        let CallerConfig { tools, tokens: _, run, wait, metrics, grades, approve, grants, budgets } = self;
        Rules {
            tools: tools.clone(),
            also: None,
            run: *run,
            wait: *wait,
            budgets: budgets.budgets(),
            metrics: *metrics,
            grades: *grades,
            approve: *approve,
            grants: grants.clone().map_or(CallerGrants::All, |only| CallerGrants::Only(Arc::new(only))),
        }
    }
}

/// Budgets of one caller, all unset by default. Minutes and days are those of UTC.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct BudgetConfig {
    /// Calls per minute.
    pub calls_per_minute: Option<u64>,
    /// Calls per day.
    pub calls_per_day: Option<u64>,
    /// Units of fuel per minute.
    pub fuel_per_minute: Option<u64>,
    /// Units of fuel per day.
    pub fuel_per_day: Option<u64>,
    /// Bytes of arguments and results per minute, as JSON.
    pub bytes_per_minute: Option<u64>,
    /// Bytes of arguments and results per day, as JSON.
    pub bytes_per_day: Option<u64>,
}

impl BudgetConfig {
    /// The budgets that are set, in the order in which they are checked.
    pub(crate) fn budgets(&self) -> Budgets {
        // Destructured without `..`, so that a new budget cannot parse without being enforced.
        let BudgetConfig {
            calls_per_minute,
            calls_per_day,
            fuel_per_minute,
            fuel_per_day,
            bytes_per_minute,
            bytes_per_day,
        } = self;
        let budget = |unit, window_ms, max: &Option<u64>| max.map(|max| Budget { unit, window_ms, max });
        let budgets = [
            budget(Unit::Calls, MINUTE_MS, calls_per_minute),
            budget(Unit::Calls, DAY_MS, calls_per_day),
            budget(Unit::Fuel, MINUTE_MS, fuel_per_minute),
            budget(Unit::Fuel, DAY_MS, fuel_per_day),
            budget(Unit::Bytes, MINUTE_MS, bytes_per_minute),
            budget(Unit::Bytes, DAY_MS, bytes_per_day),
        ];
        Budgets(budgets.into_iter().flatten().collect())
    }
}

fn caller_run() -> u32 {
    CALLER_RUN
}

fn caller_wait() -> u32 {
    CALLER_WAIT
}

/// The rule for a caller's name, as error texts state it.
const NAME: &str = "letters, digits, `_` and `-`, at most 64 characters";

fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    !text.is_empty() && text.len() <= 64 && text.chars().all(fits)
}

impl ConfigFile {
    /// Checks a name for a caller that has tokens.
    ///
    /// # Errors
    /// When the registry would refuse the name, with the reason.
    pub fn named_caller(name: &str) -> Result<(), String> {
        if !is_name(name) {
            Err(format!("`{name}` cannot be a caller's name: {NAME}"))
        } else if [LOCAL, ANONYMOUS].contains(&name) {
            Err(format!("`{name}` is the caller that shows no token; it can have none"))
        } else {
            Ok(())
        }
    }
}

pub(super) fn problems(file: &ConfigFile) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let mut seen: Vec<(&str, TokenDigest)> = Vec::new();
    for (name, caller) in &file.config.callers {
        let mut problem = |message: String, label: &str| {
            problems.push(file.error(name.span(), message, label, None));
        };
        let text = name.get_ref().as_str();
        if !is_name(text) {
            problem(format!("`{text}` cannot be a caller's name"), NAME);
        }
        // These two names stand for callers without a token.
        if [LOCAL, ANONYMOUS].contains(&text) && !caller.tokens.is_empty() {
            problem(format!("`{text}` is who shows no token; it can have none"), "this caller");
        }
        // Whoever made a call could leave out its token, and approve it.
        if text == ANONYMOUS && caller.approve == ApproveAccess::Others {
            let label = "everybody who shows no token is this caller; let callers with tokens approve";
            problem(format!("`{text}` cannot be a caller that approves"), label);
        }
        if text == Approver::OPERATOR && caller.approve != ApproveAccess::None {
            let label =
                "among approvers it is who has the folder of the registry; give the caller another name";
            problem(format!("`{text}` cannot be a caller that approves"), label);
        }
        for token in &caller.tokens {
            // A token identifies one caller. With two, the order of the file would decide who a request is from.
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
    fn a_pattern_is_a_name_or_a_prefix() {
        let pattern = |text: &str| ToolPattern::try_from(text.to_owned());
        assert!(pattern("sector_*").unwrap().matches("sector_metrics"));
        assert!(!pattern("sector_metrics").unwrap().matches("sector_metrics_quarterly"));
        assert!(pattern("*").unwrap().matches("anything"));
        assert!(pattern("*_x").is_err() && pattern("").is_err());
    }

    #[test]
    fn reports_each_problem_of_a_caller() {
        let digest = format!("sha256:{}", "0".repeat(64));
        assert!(refused("[callers.a]\n").contains("missing field `tools`"));
        assert!(
            refused("[callers.a]\ntools = [\"*\"]\nrun = 0\n")
                .contains("`callers.a.run` is 0; it must be 1 or more")
        );
        assert!(refused("[callers.a]\ntools = []\ntokens = [\"secret\"]\n").contains("airlock token new"));
        let twice = format!(
            "[callers.a]\ntools = []\ntokens = [\"{digest}\"]\n[callers.b]\ntools = []\ntokens = [\"{digest}\"]\n"
        );
        assert!(refused(&twice).contains("`b` and `a` have the same token"));
        let local = format!("[callers.local]\ntools = []\ntokens = [\"{digest}\"]\n");
        assert!(refused(&local).contains("can have none"));
        let approve = "`approve` is true, false or \"client-user\"";
        let user = refused("[callers.a]\ntools = []\napprove = \"user\"\n");
        assert!(user.contains(&format!("{approve}, not `user`")), "{user}");
        assert!(refused("[callers.a]\ntools = []\napprove = 1\n").contains(approve));
        let metrics = "`metrics` is true, false or \"all\"";
        assert!(refused("[callers.a]\ntools = []\nmetrics = []\n").contains(metrics));
        let stranger = |approve: &str| format!("[callers.anonymous]\ntools = []\napprove = {approve}\n");
        assert!(refused(&stranger("true")).contains("let callers with tokens approve"));
        assert!(ConfigFile::parse(&stranger("\"client-user\""), "a.toml".as_ref()).is_ok());
        assert!(refused("[arguments]\ndepth_max = 121\n").contains("`arguments.depth_max` is 121"));
        assert!(refused("[callers.operator]\ntools = []\napprove = true\n").contains("another name"));
        assert!(refused("[callers.a]\ntools = []\nbudgets.calls_per_minutes = 1\n").contains("did you mean"));
    }
}
