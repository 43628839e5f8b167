//! What policy says about one use of a capability: for cases that an operator writes and tests.

use std::sync::Arc;

use super::allowance::missed;
use super::{Allowances, HoldRules, PolicySource};
use crate::caller::CallerGrants;
use crate::config::CallerConfig;
use airlock_types::effect::Effect;
use airlock_types::grant::files::NAME as FILES;
use airlock_types::grant::http::NAME as HTTP;
use airlock_types::grant::http::method;
use airlock_types::grant::{Access, Asked, Denial, Lack, Refused, Why};

/// The answer to one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// `allow`, `hold`, `report` or `deny`.
    pub decision: &'static str,
    /// The rule that decides: `tools.web.grants.http[0]`.
    pub rule: String,
    /// Its file and line.
    pub at: String,
    /// The line that would allow what is denied.
    pub grant: Option<String>,
}

/// A tool, as a case is about it.
#[derive(Clone, Copy, Debug)]
pub struct CaseOf<'a> {
    /// Its public name.
    pub name: &'a str,
    /// The effect class that is in force.
    pub effect: Effect,
    /// What it may reach and use.
    pub allowances: &'a Allowances,
    /// Where its policy is written.
    pub source: &'a PolicySource,
    /// The registry's rules over tools that hold calls.
    pub holds: &'a HoldRules,
    /// Whether a person must approve each call, whatever rules there are.
    pub must_be_approved: bool,
}

/// What a call of a tool by this caller may do now; a caller without an entry is one that nothing restricts. Without a use
/// it is whether the call may run at all.
pub fn verdict(
    CaseOf { name, effect, allowances, source, holds, must_be_approved }: CaseOf<'_>,
    (caller, entry): (&str, Option<&CallerConfig>),
    asked: Option<&Asked>,
    now_unix_ms: u64,
) -> Verdict {
    if entry.is_some_and(|entry| !entry.tools.iter().any(|pattern| pattern.matches(name))) {
        return denied("deny", &source.place(&[format!("callers.{caller}.tools")]), None);
    }
    let grants = entry.and_then(|entry| entry.grants.clone());
    let grants = grants.map_or(CallerGrants::All, |only| CallerGrants::Only(Arc::new(only)));
    let Some(allowance) = allowances.of(caller, &grants, now_unix_ms) else {
        return denied("deny", &source.place(&[format!("callers.{caller}.grants")]), None);
    };
    let is_tried = allowance.usual().is_some();
    let required = allowance.missing().iter().find(|missing| !missing.optional);
    if let Some(missing) = required {
        let reason = missed(missing);
        let lack = source.lack(&reason, caller);
        return lack.map_or_else(
            || denied("deny", &source.place(&[format!("tools.{}", source.key)]), None),
            |Lack { rule, at, grant, .. }| denied("deny", &(rule, at), Some(grant)),
        );
    }
    let Some(asked) = asked else {
        // What arguments, sessions and earlier approvals decide is not known here.
        if let Some(at) = holds.always(caller, name, effect) {
            return denied("hold", &source.place(&[format!("holds[{at}]")]), None);
        }
        let decision = if must_be_approved { "hold" } else { "allow" };
        return denied(decision, &source.place(&[format!("tools.{}", source.key)]), None);
    };
    // Requests and folders alone show what they change.
    let changes = match asked {
        Asked::Http(target, _) => !method::reads(&target.method),
        Asked::Files(access, _) => *access == Access::ReadWrite,
        Asked::Keyvalue(_)
        | Asked::Config(_)
        | Asked::Env(_)
        | Asked::Clock
        | Asked::Random
        | Asked::Custom(_) => false,
    };
    if changes && effect.repeatable() && allowance.effective().admits(asked) {
        let refused = Refused { asked: asked.clone(), why: Why::ReadsOnly };
        let Denial { rule, at, grant, .. } = source.explain(&refused, caller, is_tried);
        return Verdict { decision: "deny", rule, at, grant };
    }
    if allowance.effective().admits(asked) {
        if allowance.usual().is_none_or(|usual| usual.effective().admits(asked)) {
            return denied("allow", &source.allowing(asked), None);
        }
        let Denial { rule, at, grant, .. } = source.report(asked);
        return Verdict { decision: "report", rule, at, grant };
    }
    let why = match asked {
        Asked::Files(..) if source.grants.files.is_empty() => Why::NotGranted,
        Asked::Files(..) => Why::Beyond,
        Asked::Http(..)
        | Asked::Keyvalue(_)
        | Asked::Config(_)
        | Asked::Env(_)
        | Asked::Clock
        | Asked::Random
        | Asked::Custom(_) => Why::NotGranted,
    };
    let Denial { rule, at, grant, .. } =
        source.explain(&Refused { asked: asked.clone(), why }, caller, is_tried);
    Verdict { decision: "deny", rule, at, grant }
}

fn denied(decision: &'static str, (rule, at): &(String, String), grant: Option<String>) -> Verdict {
    Verdict { decision, rule: rule.clone(), at: at.clone(), grant }
}

impl PolicySource {
    /// The first of these rules that is written, and its file and line.
    pub(super) fn place(&self, rules: &[String]) -> (String, String) {
        let written = rules.iter().find_map(|rule| Some((rule, self.lines.get(rule)?)));
        written.map_or_else(
            || (rules.last().cloned().unwrap_or_default(), self.file.clone()),
            |(rule, line)| (rule.clone(), format!("{}:{line}", self.file)),
        )
    }

    /// The entry that allows a use.
    pub(super) fn allowing(&self, asked: &Asked) -> (String, String) {
        let below = format!("tools.{}", self.key);
        let entry = self.entry(asked).map(|entry| format!("{below}.{entry}"));
        let rules: Vec<String> = entry.into_iter().chain(self.tables(&below, asked.capability())).collect();
        self.place(&rules)
    }

    /// The name of the entry that allows a use: the first one, as for requests.
    pub(super) fn entry(&self, asked: &Asked) -> Option<String> {
        let grants = &self.grants;
        Some(match asked {
            Asked::Http(target, _) => {
                format!("grants.{HTTP}[{}]", grants.http.iter().position(|grant| grant.admits(target))?)
            }
            Asked::Files(access, path) => {
                let place = grants.files.iter().position(|grant| grant.admits(*access, path))?;
                format!("grants.{FILES}[{place}]")
            }
            Asked::Config(key) => format!("grants.config.{key}"),
            Asked::Env(key) => format!("grants.env.{key}"),
            Asked::Keyvalue(_) | Asked::Clock | Asked::Random | Asked::Custom(_) => return None,
        })
    }
}
