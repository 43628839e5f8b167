//! The outer door: a value of the right type can still be a lie, and is doubted here.
//!
//! Owns which doubts there are and what each found. Checks see values that a tool returned as its answer; an
//! error that the tool returned is never masked by a check. Must not know the engine, retries or doors.
//! To add a kind: a file under `check/`, a variant of [`Kind`] and a line in [`ALL`]; the compiler asks for the rest.

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
mod sum;
mod truncation;
mod unique;

pub use age::{parse_age_ms, parse_rfc3339_ms};
pub use rule::{Kind, Rule, RuleError};

use serde_json::Value;

use crate::Val;
use crate::ty::{Field, FunctionTy, Ty};
use airlock_types::finding::{Finding, Verdict};
use airlock_types::shorten::clean;

/// A finding list longer than this is cut; its last entry says how many more there were.
pub const FINDINGS_MAX: usize = 20;

/// Every kind with the verdict that it has unless a rule says otherwise, sorted by name.
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

/// What a check may look at.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The function's parameters.
    pub params: &'a [Field],
    /// The arguments of the call, one for each parameter.
    pub args: &'a [Val],
    /// What the tool returned.
    pub result: &'a Val,
    /// How old the tool says its data is, as RFC 3339.
    pub as_of: Option<&'a str>,
    /// The time of the call, from the injected clock.
    pub now_unix_ms: u64,
}

/// One doubt, before it knows its kind.
struct Doubt {
    path: String,
    expected: String,
    got: String,
    /// Where the kind has more than one: overrides the default, not the declaration.
    verdict: Option<Verdict>,
}

/// The first doubts of one check, and how many more there were: each row of a result may be doubtful.
#[derive(Default)]
struct Doubts {
    kept: Vec<Doubt>,
    more: usize,
}

impl Doubts {
    /// Takes one in. It is only written where it is kept.
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

type Check = Box<dyn Fn(&Context<'_>) -> Doubts + Send + Sync>;

struct Compiled {
    kind: &'static str,
    default: Verdict,
    declared: Option<Verdict>,
    told: Value,
    check: Check,
}

/// The checks of one tool, ready to run.
pub struct Checks(Vec<Compiled>);

impl std::fmt::Debug for Checks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|one| one.kind)).finish()
    }
}

impl Checks {
    /// Checks the rules against the function's type; `finite` is added unless a rule declares it.
    pub fn compile(rules: &[Rule], function: &FunctionTy) -> Result<Checks, RuleError> {
        let mut checks = rules.iter().map(|rule| rule.compile(function)).collect::<Result<Vec<_>, _>>()?;
        if !checks.iter().any(|one| one.kind == "finite") {
            checks.push(Rule { kind: Kind::Finite(finite::Settings {}), verdict: None }.compile(function)?);
        }
        Ok(Checks(checks))
    }

    /// The checks as data, those that a tool has without a word of its author's included.
    pub fn told(&self) -> Vec<Value> {
        self.0.iter().map(|one| one.told.clone()).collect()
    }

    /// What is doubtful, the worst first, at most [`FINDINGS_MAX`]; nothing where the tool returned an error.
    pub fn findings(&self, context: &Context<'_>) -> Vec<Finding> {
        let Some(result) = answer(context.result) else { return vec![] };
        let context = Context { result, ..*context };
        let (mut found, mut more) = (Vec::new(), 0);
        for one in &self.0 {
            let doubts = (one.check)(&context);
            more += doubts.more;
            found.extend(doubts.kept.into_iter().map(|doubt| one.finding(doubt)));
        }
        capped(found, more)
    }
}

impl Compiled {
    /// What is said of a value is text of the tool's.
    fn finding(&self, doubt: Doubt) -> Finding {
        Finding {
            kind: self.kind.to_owned(),
            verdict: self.declared.or(doubt.verdict).unwrap_or(self.default),
            path: clean(&doubt.path),
            expected: clean(&doubt.expected),
            got: clean(&doubt.got),
        }
    }
}

/// The worst verdict.
pub fn verdict(findings: &[Finding]) -> Verdict {
    findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Pass)
}

/// The type that checks see: what `ok` carries, where the function returns a `result`.
pub(crate) fn answer_ty(function: &FunctionTy) -> Option<&Ty> {
    match function.result.as_ref()? {
        Ty::Result(ok, _) => ok.as_deref(),
        other => Some(other),
    }
}

fn answer(val: &Val) -> Option<&Val> {
    match val {
        Val::Result(Ok(Some(inner))) => Some(inner),
        Val::Result(_) => None,
        other => Some(other),
    }
}

/// The worst come first, so that what is cut is never worse than what is shown. `more` were found beside these.
fn capped(mut findings: Vec<Finding>, more: usize) -> Vec<Finding> {
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
    let all = findings.len() + more;
    findings.truncate(FINDINGS_MAX);
    if let Some(last) = findings.last_mut().filter(|_| all > FINDINGS_MAX) {
        last.path = String::new();
        last.expected = "fewer findings".into();
        last.got = format!("{} more", all - (FINDINGS_MAX - 1));
    }
    findings
}

#[cfg(test)]
mod tests;
