//! Explains a call without making it: runs the functions of the same stages up to the plan.
//!
//! Owns the text and the form of the explanation. Must not decide anything by itself, or it would differ from the call.

use super::permit::{RequestBase, permitted};
use super::reply::Failed;
use super::{hold, report, routes, validate};
use crate::caller::CallerGrants;
use crate::caller::facts::FactSource;
use crate::generation::{Generation, Resolved};
use crate::registry::Tool;
use airlock_contract::tool::{Moment, Seen};
use airlock_types::call::Call;
use airlock_types::decision::{Reason, Ruling};
use airlock_types::environment::ms;
use airlock_types::grant::http::secret_texts;
use airlock_types::hold::HoldRule;
use airlock_types::plan::Plan;
use airlock_types::reply::Failure;
use airlock_types::words::quoted_list;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// What would happen to a call: the decision, then the refusal or the plan.
#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    /// The decision of policy about the called tool.
    pub ruling: Ruling,
    /// The reasons of the decision. Empty for a tool that asks for nothing.
    pub reasons: Arc<[Reason]>,
    /// The rules that hold the call until a person has decided, each with what it met.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<HoldRule>,
    /// The facts of the session that the call would be held against, each with the tools that give it. What a session has seen
    /// is not known here, so relations over them are not judged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<String>,
    /// The secrets that the host would add to requests of the tool, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// The error that the call would be answered with. Present only when it would not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Box<Failure>>,
    /// The plan. Present only when the call would run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
}

/// Explains a call. Admits, charges and records nothing.
///
/// # Errors
/// The report that the call would get when it fails before the decision: an unknown tool or invalid arguments.
pub(crate) fn explain(host: &Generation, call: &Call) -> Result<Explained, Box<Failure>> {
    explained(host, call).map_err(|failed| failed.report)
}

fn explained(host: &Generation, call: &Call) -> Result<Explained, Failed> {
    let resolved = host.visible(&call.caller).candidates(&call.tool).map_err(|err| report::unknown(&err))?;
    // On this thread, even for large arguments: `explain` serves the command line, where nothing else runs.
    let now_unix_ms = ms(host.environment().wall());
    // What its session has seen is not known here.
    let moment = Moment { now_unix_ms, seen: Seen::NotJudged };
    let args = validate::judge(host.argument_limits(), resolved.tool(), &call.arguments, moment)?;
    let Resolved { called, fallbacks } = resolved;
    // Without a session: explaining must not open one.
    let rules = host.rules(&call.caller);
    let grants = rules.as_ref().map_or(&CallerGrants::All, |rules| &rules.grants);
    let (caller, hold_rules) = (&call.caller, host.hold_rules());
    let known = host.holds().known().clone();
    let asked = RequestBase {
        caller,
        args: &args,
        session: None,
        now_unix_ms,
        grants,
        hold_rules,
        known: &known,
        suspects: None,
    };
    let decision = asked.decide(&called);
    // Copied out before the decision is consumed by `permitted`.
    let (ruling, reasons) = (decision.ruling(), decision.reasons().clone());
    let granted = called.tool.allowance.effective().http.iter();
    let secrets = secret_texts(granted.map(|access| &access.allowed));
    let facts = facts(&called.tool);
    Ok(match permitted(&called.tool.name, decision) {
        Err(failed) => {
            let (held, refused) = (Vec::new(), Some(failed.report));
            Explained { ruling, reasons, held, facts, secrets, refused, plan: None }
        }
        Ok((_, held)) if !held.is_empty() => {
            let refused = Some(Box::new(hold::would_wait(&called.tool.name)));
            Explained { ruling, reasons, held, facts, secrets, refused, plan: None }
        }
        Ok((permit, held)) => {
            let first = asked.route(called, permit);
            let permitted: Vec<_> = std::iter::once(first).chain(asked.fallbacks(fallbacks)).collect();
            // The plan as the caller may see it: explaining must not reveal a fallback that a reply would hide.
            let plan = routes::shown_plan(host, &call.caller, &permitted, &args);
            Explained { ruling, reasons, held, facts, secrets, refused: None, plan: Some(plan) }
        }
    })
}

/// The facts that calls of a tool are held against, with the tools that give them.
fn facts(tool: &Tool) -> Vec<String> {
    let read = |source: &FactSource| {
        format!("`{}` of {}", source.name, quoted_list(source.givers.iter().map(|name| &**name)))
    };
    tool.facts.iter().map(read).collect()
}

impl fmt::Display for Explained {
    /// Prints the decision first: a plan is worth reading only for a call that may run.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "decision: {}", self.ruling.as_str())?;
        if self.reasons.is_empty() {
            f.write_str("; the tool asks for nothing that has to be granted")?;
        }
        // Rules that hold are told with what they met.
        let others = |reason: &&Reason| !matches!(reason, Reason::Approval { .. });
        for reason in self.reasons.iter().filter(others) {
            write!(f, "\n- {reason}")?;
        }
        for rule in &self.held {
            write!(f, "\n- {rule}")?;
        }
        for facts in &self.facts {
            write!(f, "\n- held against facts {facts}, which are not judged here")?;
        }
        for secret in &self.secrets {
            write!(f, "\n- the host adds {secret}")?;
        }
        match (&self.plan, &self.refused) {
            (Some(plan), _) => write!(f, "\n{}", airlock_types::plan::explain(plan)),
            (None, Some(refused)) => write!(f, "\nthe call would be answered with:\n{}", refused.message),
            (None, None) => Ok(()),
        }
    }
}
