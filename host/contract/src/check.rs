//! The outer door: checks whether a result of the right type is plausible.
//!
//! Owns the kinds of checks and their findings. Checks see only values that a tool returned as its answer; a check
//! never masks an error that the tool returned. Must not know the engine, retries or transports. To add a kind: a file
//! under `check/`, a variant of [`Kind`] and a line in [`ALL`]; the compiler reports the remaining places.

mod age;
mod echo;
mod empty;
mod finite;
mod freshness;
mod length;
mod order;
mod range;
mod relation;
mod rule;
mod scalar;
mod schema;
mod sum;
mod truncation;
mod unique;

pub use age::{parse_age_ms, parse_rfc3339_ms};
pub use rule::{Kind, Rule, RuleError};

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::Val;
use crate::compact::Compact;
use crate::expression::{Bindings, Bounds, Expression, Judgement, Scope, Terms};
use crate::path::Path;
use crate::ty::{Field, FunctionTy, Ty};
use airlock_types::finding::{Finding, Verdict};
use airlock_types::shorten::clean;

/// Length of the longest finding list. A longer list is cut, and its last entry states how many findings are missing.
pub const FINDINGS_MAX: usize = 20;

/// Every kind with its default verdict, sorted by name.
pub const ALL: &[(&str, Verdict)] = &[
    ("echo", Verdict::Reject),
    ("empty", Verdict::Suspect),
    ("finite", Verdict::Suspect),
    ("freshness", Verdict::Warn),
    ("length", Verdict::Reject),
    ("order", Verdict::Suspect),
    ("range", Verdict::Reject),
    ("relation", Verdict::Reject),
    ("sum", Verdict::Suspect),
    ("truncation", Verdict::Suspect),
    ("unique", Verdict::Reject),
];

/// The facts that a check can use.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The function's parameters.
    pub params: &'a [Field],
    /// The arguments of the call, one for each parameter.
    pub args: &'a [Val],
    /// The tool's returned value.
    pub result: &'a Val,
    /// The time that the tool's data describes, as RFC 3339.
    pub as_of: Option<&'a str>,
    /// The time of the call in milliseconds since the Unix epoch, from the injected clock.
    pub now_unix_ms: u64,
}

impl<'a> Context<'a> {
    fn bindings(&self) -> Bindings<'a> {
        let Context { params, args, result, now_unix_ms, .. } = *self;
        Bindings { params, args, result: Some(result), now_unix_ms: Some(now_unix_ms), facts: None }
    }
}

/// A finding without its kind.
struct Doubt {
    path: String,
    expected: String,
    got: String,
    /// Verdict of this finding. It overrides the kind's default, but not the verdict that a rule declares.
    verdict: Option<Verdict>,
}

/// The first findings of one check, and the number of further ones. Bounded, because every row of a result can have a
/// finding.
#[derive(Default)]
struct Doubts {
    kept: Vec<Doubt>,
    more: usize,
}

impl Doubts {
    /// Adds a finding. `write` runs only if the finding is kept, so that discarded findings cost no formatting.
    fn push(&mut self, write: impl FnOnce() -> Doubt) {
        if self.kept.len() < FINDINGS_MAX { self.kept.push(write()) } else { self.more += 1 }
    }
}

impl FromIterator<Doubt> for Doubts {
    fn from_iter<I: IntoIterator<Item = Doubt>>(doubts: I) -> Doubts {
        let mut doubts = doubts.into_iter();
        let kept = doubts.by_ref().take(FINDINGS_MAX).collect();
        Doubts { kept, more: doubts.count() }
    }
}

// Boxed, because each kind captures other settings and paths.
type Check = Box<dyn Fn(&Context<'_>) -> Doubts + Send + Sync>;

/// One compiled check.
pub(crate) struct Compiled {
    kind: &'static str,
    default: Verdict,
    declared: Option<Verdict>,
    told: Compact,
    when: Option<Expression>,
    check: Check,
}

/// The compiled checks of one tool.
pub struct Checks {
    list: Vec<Compiled>,
    /// The keywords at places of the result. Their schema tells them.
    stated: Vec<Compiled>,
    /// Told with each call, and so not found out then.
    may_escalate: bool,
}

impl std::fmt::Debug for Checks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.list.iter().map(|one| one.kind)).finish()
    }
}

impl Checks {
    /// Compiles the rules against the function's type. `scope` has what their expressions may name. `finite` is added unless a rule declares it for every call.
    pub fn compile(rules: &[Rule], function: &FunctionTy, scope: &Arc<Scope>) -> Result<Checks, RuleError> {
        let checks = rules.iter().map(|rule| rule.compile(function, scope));
        Checks::of(checks.collect::<Result<_, _>>()?, function, scope)
    }

    /// The checks that were compiled one by one, with `finite` unless one of them is it for every call.
    pub(crate) fn of(
        mut checks: Vec<Compiled>,
        function: &FunctionTy,
        scope: &Arc<Scope>,
    ) -> Result<Checks, RuleError> {
        // NaN and infinities pass the types of every float, so this check applies to tools that declare
        // nothing.
        if !checks.iter().any(|check| check.kind == "finite" && check.when.is_none()) {
            checks.push(
                Rule { kind: Kind::Finite(finite::Settings {}), verdict: None, when: None }
                    .compile(function, scope)?,
            );
        }
        checks.shrink_to_fit();
        let may_escalate = checks.iter().any(|one| one.declared == Some(Verdict::Escalate));
        Ok(Checks { list: checks, stated: Vec::new(), may_escalate })
    }

    /// Adds the checks of what a contract states at places of the result, which has this type. `is_known` says that all of it
    /// compiled before.
    ///
    /// # Errors
    /// With the path and the reason, where the validator does not take the keywords.
    pub(crate) fn state(
        &mut self,
        keywords: &BTreeMap<Path, Map<String, Value>>,
        result: &Ty,
        is_known: bool,
    ) -> Result<(), (Path, String)> {
        for (path, keywords) in keywords {
            let check = schema::compile(path, keywords, result, is_known);
            self.stated.extend(check.map_err(|err| (path.clone(), err.to_string()))?);
        }
        Ok(())
    }

    /// The checks as data, including those that apply without a rule.
    pub fn told(&self) -> Vec<Value> {
        self.list.iter().map(|one| Value::from(&one.told)).collect()
    }

    /// Whether one of the checks may hold a result until a person has seen it.
    pub fn may_escalate(&self) -> bool {
        self.may_escalate
    }

    /// Whether one of the checks is of this kind.
    pub fn has(&self, kind: &str) -> bool {
        self.list.iter().chain(&self.stated).any(|one| one.kind == kind)
    }

    /// Runs all checks. Returns at most [`FINDINGS_MAX`] findings, the worst first; none if the tool returned an
    /// error.
    pub fn findings(&self, context: &Context<'_>) -> Vec<Finding> {
        Self::run(self.list.iter().chain(&self.stated), context)
    }

    /// Runs those that hold for whatever tool answers: that compare what was asked with what was answered, and the keywords that
    /// agents are shown of a result.
    pub fn of_any_answer(&self, context: &Context<'_>) -> Vec<Finding> {
        Self::run(self.list.iter().filter(|one| one.kind == "echo").chain(&self.stated), context)
    }

    fn run<'c>(checks: impl Iterator<Item = &'c Compiled>, context: &Context<'_>) -> Vec<Finding> {
        // An error that the tool returned is its answer; no check may turn it into an implausible result.
        let Some(result) = answer(context.result) else { return vec![] };
        let context = Context { result, ..*context };
        let (mut found, mut more) = (Vec::new(), 0);
        for one in checks.filter(|one| one.applies(&context)) {
            let doubts = (one.check)(&context);
            more += doubts.more;
            found.extend(doubts.kept.into_iter().map(|doubt| one.finding(doubt)));
        }
        capped(found, more)
    }
}

impl Compiled {
    /// Whether the condition of the check holds. A condition without a value does not excuse a result from its check.
    fn applies(&self, context: &Context<'_>) -> bool {
        let judged = self.when.as_ref().map(|when| when.eval(&context.bindings()));
        !matches!(judged, Some(Judgement::Fails(_)))
    }

    /// Completes a finding with its kind and verdict. Texts are cleaned because they contain parts of the tool's
    /// value.
    fn finding(&self, doubt: Doubt) -> Finding {
        Finding {
            kind: self.kind.to_owned(),
            // The author knows the tool better than the kind does, and a finding knows more than the default of
            // its kind.
            verdict: self.declared.or(doubt.verdict).unwrap_or(self.default),
            path: clean(&doubt.path),
            expected: clean(&doubt.expected),
            got: clean(&doubt.got),
        }
    }
}

/// The worst verdict of all findings. `Pass` if there are none.
pub fn verdict(findings: &[Finding]) -> Verdict {
    findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Pass)
}

/// The type that checks see: the `ok` payload of a `result`, or the type itself.
pub(crate) fn answer_ty(function: &FunctionTy) -> Option<&Ty> {
    match function.result.as_ref()? {
        Ty::Result(ok, _) => ok.as_deref(),
        other => Some(other),
    }
}

/// What the expressions of checks may name.
pub(crate) fn scope(function: &FunctionTy, bounds: Bounds, terms: Terms) -> Scope {
    Scope {
        args: function.params.as_slice().into(),
        result: answer_ty(function).cloned().map(Arc::new),
        bounds: Arc::new(bounds),
        terms,
        facts: Vec::new(),
        is_known: false,
    }
}

fn answer(val: &Val) -> Option<&Val> {
    match val {
        Val::Result(Ok(Some(inner))) => Some(inner),
        Val::Result(_) => None,
        other => Some(other),
    }
}

/// Sorts the worst findings first, so that the cut drops only milder ones. `more` is the number of findings not in the
/// list.
fn capped(mut findings: Vec<Finding>, more: usize) -> Vec<Finding> {
    // A stable sort keeps the order of the checks among findings of one verdict.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
    let all = findings.len() + more;
    findings.truncate(FINDINGS_MAX);
    // The last place is spent on the count, so the list never exceeds its bound.
    if let Some(last) = findings.last_mut().filter(|_| all > FINDINGS_MAX) {
        last.path = String::new();
        last.expected = "fewer findings".into();
        last.got = format!("{} more", all - (FINDINGS_MAX - 1));
    }
    findings
}

#[cfg(test)]
mod tests;
