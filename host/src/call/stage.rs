//! The stages: each takes what the one before it made.

use std::sync::Arc;
use std::time::Duration;

use super::attempt::{AttemptRecord, Judged, judge};
use super::code::Code;
use super::draft::Draft;
use super::raw::Arguments;
use super::reply::ErrorReport;
use super::report::{self, Cause};
use super::room::{Entered, NoRoom};
use crate::caller::Principal;
use crate::caller::account::Turned;
use crate::caller::budget::Exhausted;
use crate::caller::session::{SessionKey, UnknownSession};
use crate::contract::digest::{hex, sha256};
use crate::contract::tool::ValidArgs;
use crate::contract::violation::Violation;
use crate::contract::{caps, example, message};
use crate::environment::ms;
use crate::host::Generation;
use crate::plan::{self, Ended, Inputs, Jitter, Plan, RouteInput};
use crate::policy::permit::{self, Permit};
use crate::registry::Tool;
use crate::sandbox::outcome::{Attempted, Outcome, Usage};
use crate::sandbox::run::{self, Attempt};

/// How a call ends.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) code: Code,
    /// For whatever is no answer.
    pub(crate) report: Option<Box<ErrorReport>>,
}

impl End {
    fn failed(tool: &str, code: Code, cause: &Cause) -> End {
        End { code, report: Some(Box::new(report::report(tool, code, cause))) }
    }
}

/// A tool that exists.
pub(crate) struct ResolvedCall {
    pub(crate) tool: Arc<Tool>,
}

/// Arguments that passed the inner door.
pub(crate) struct ValidCall {
    tool: Arc<Tool>,
    args: ValidArgs,
}

/// A call that may run: a permit for each route that may.
pub(crate) struct PermittedCall {
    args: ValidArgs,
    routes: Vec<(Arc<Tool>, Permit)>,
}

impl ValidCall {
    pub(crate) fn canonical(&self) -> &str {
        self.args.canonical()
    }
}

pub(super) fn resolve(host: &Generation, who: &Principal, name: &str) -> Result<ResolvedCall, End> {
    match host.visible(who).resolve(name) {
        Ok(tool) => Ok(ResolvedCall { tool: tool.clone() }),
        Err(unknown) => {
            let mut end = End::failed(&unknown.name, Code::Unknown, &Cause::default());
            if let Some(report) = &mut end.report {
                report.message = format!("{unknown}. The tool did not run.");
            }
            Err(end)
        }
    }
}

/// Room for one more call of this caller, and its session. What it uses goes into the caller's account.
pub(super) async fn admit(
    host: &Generation,
    who: &Principal,
    session: SessionKey,
    draft: &mut Draft<'_>,
) -> Result<Entered, End> {
    let tool = draft.tool().to_owned();
    let environment = host.environment();
    let now_ms = ms(environment.wall());
    // Who may not even see a tool does not come this far.
    let rules = host.rules(who).ok_or_else(|| End::failed(&tool, Code::PolicyDenied, &Cause::default()))?;
    let account = host.accounts().open(who, &rules, now_ms).map_err(|turned| match turned {
        Turned::Full => End::failed(&tool, Code::Overloaded, &no_room()),
        Turned::Exhausted(Exhausted { budget, retry_after_ms }) => {
            let limit = Some(budget.to_string());
            let cause = Cause { limit, retry_after_ms: Some(retry_after_ms), ..Cause::default() };
            End::failed(&tool, Code::RateLimited, &cause)
        }
    })?;
    draft.admitted(account.clone());
    let has_handle = matches!(session, SessionKey::New | SessionKey::Handle(_));
    let session = host.sessions().enter(who, session, environment.seed(), now_ms);
    if let Some(session) = session.map_err(|unknown| no_session(&tool, unknown))? {
        draft.in_session(session, has_handle);
    }
    let within = Duration::from_millis(host.call_deadline_ms());
    account.enter(within).await.map_err(|NoRoom| End::failed(&tool, Code::Overloaded, &no_room()))
}

fn no_session(tool: &str, unknown: UnknownSession) -> End {
    let mut end = End::failed(tool, Code::ArgsPrecondition, &Cause::default());
    if let Some(report) = &mut end.report {
        report.message = format!(
            "Call to `{tool}` was not run: {unknown}.\nOpen a new session (`new` in the place of the handle), or \
             leave the handle out: then the call is its own session."
        );
    }
    end
}

fn no_room() -> Cause {
    Cause { retry_after_ms: Some(1_000), ..Cause::default() }
}

pub(super) fn validate(
    host: &Generation,
    call: ResolvedCall,
    arguments: Arguments,
) -> Result<ValidCall, End> {
    let ResolvedCall { tool } = call;
    let caps = host.caps();
    let args = match arguments {
        Arguments::Text(text) => caps::parse(&text, caps),
        Arguments::Parsed(args) => caps::admit(&args, caps).map(|()| args),
    };
    let args = args.map_err(|violation| invalid(&tool, vec![violation], None))?;
    match tool.contract.validate(args) {
        Ok(args) => Ok(ValidCall { tool, args }),
        Err((violations, args)) => {
            let author = tool.contract.examples.first().map(|example| &example.args);
            let example = example::offer(author, tool.contract.validator(), &args);
            Err(invalid(&tool, violations, example))
        }
    }
}

fn invalid(tool: &Tool, violations: Vec<Violation>, example: Option<serde_json::Value>) -> End {
    let code = message::code(&violations);
    let report = ErrorReport {
        message: message::text(&tool.name, &violations, example.as_ref()),
        retryable: false,
        caller_must_change_args: true,
        ran: code.facts().ran,
        retry_after_ms: None,
        violations,
        example,
        detail: None,
    };
    End { code, report: Some(Box::new(report)) }
}

/// A permit for the tool and for each fallback; a fallback that has none is left out.
pub(super) fn authorize(host: &Generation, call: ValidCall) -> Result<PermittedCall, End> {
    let ValidCall { tool, args } = call;
    let permit = |tool: &Tool| permit::authorize(&tool.effective, &tool.missing, &tool.limits);
    let first = permit(&tool).map_err(|denied| {
        let mut kinds: Vec<String> = denied.missing.into_iter().map(|missing| missing.capability).collect();
        kinds.dedup();
        End::failed(&tool.name, Code::PolicyDenied, &Cause { denied: kinds, ..Cause::default() })
    })?;
    let fallbacks = tool.fallback.iter().filter_map(|name| host.registry().resolve(name).ok());
    let fallbacks: Vec<_> = fallbacks.filter_map(|tool| Some((tool.clone(), permit(tool).ok()?))).collect();
    let routes = std::iter::once((tool, first)).chain(fallbacks).collect();
    Ok(PermittedCall { args, routes })
}

pub(super) fn plan(host: &Generation, call: &PermittedCall) -> Plan {
    let tools = call.routes.iter().map(|(tool, _)| &**tool);
    let seed = host.environment().seed();
    plan::plan(inputs(host, tools, &call.args, Jitter::Seeded(hex(&seed[..16]))))
}

/// Without jitter: every wait is the longest that it could be.
pub(super) fn explain(host: &Generation, call: &ValidCall) -> Plan {
    let fallbacks = call.tool.fallback.iter().filter_map(|name| host.registry().resolve(name).ok());
    let tools = std::iter::once(&*call.tool).chain(fallbacks.map(|tool| &**tool));
    plan::plan(inputs(host, tools, &call.args, Jitter::Off))
}

fn inputs<'t>(
    host: &Generation,
    tools: impl Iterator<Item = &'t Tool>,
    args: &ValidArgs,
    jitter: Jitter,
) -> Inputs {
    let route = |tool: &Tool| {
        let (quota, breaker) = host.health(&tool.name);
        RouteInput {
            tool: tool.name.clone(),
            component: tool.component.digest.clone(),
            effect: tool.effect,
            retry: tool.retry.clone(),
            attempt_deadline_ms: tool.limits.deadline_ms,
            useful_ms_min: tool.useful_ms_min.min(tool.limits.deadline_ms),
            quota,
            breaker,
        }
    };
    let args_digest = sha256(args.canonical().as_bytes());
    Inputs { args_digest, jitter, deadline_ms: host.call_deadline_ms(), routes: tools.map(route).collect() }
}

pub(super) async fn wait(ms: u64) {
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

/// One attempt, from waiting for a place to its outcome. What it came to stays in the draft.
pub(super) async fn attempt(
    host: &Generation,
    call: &PermittedCall,
    draft: &mut Draft<'_>,
    (route, number): (usize, u32),
    deadline_ms: u64,
) -> Ended {
    let (tool, permit) = &call.routes[route];
    let within = Duration::from_millis(deadline_ms);
    let before = host.environment().monotonic();
    let Ok(_place) = host.enter(&tool.name, within).await else {
        return draft.attempted(tool, number, None, no_place());
    };
    let deadline = within.saturating_sub(host.environment().monotonic().saturating_sub(before));
    let attempt = Attempt {
        linked: &tool.linked,
        function: &tool.export,
        has_result: tool.contract.function.ty.result.is_some(),
        args: call.args.values(),
        permit,
        seed: host.environment().seed(),
        deadline,
        listener: draft.listener(),
    };
    match run::run(host.engine(), host.environment(), attempt).await {
        Ok(mut attempted) => {
            let trap = if let Outcome::Trap(trap) = &attempted.outcome { Some(trap.clone()) } else { None };
            let now = ms(host.environment().wall());
            let judged = judge(tool, &call.args, &mut attempted, now).unwrap_or_else(|err| {
                tracing::error!("a value of `{}` is not of its type: {err}", tool.name);
                Judged::failed(Code::HostInternal, Cause::default())
            });
            let record = record(tool, number, &attempted, trap, &judged);
            draft.attempted(tool, number, Some((record, attempted.effect_dispatched)), judged)
        }
        Err(err) => {
            tracing::error!("the sandbox failed while it ran `{}`: {err:#}", tool.name);
            draft.attempted(tool, number, None, Judged::failed(Code::HostInternal, Cause::default()))
        }
    }
}

fn no_place() -> Judged {
    Judged::failed(Code::Overloaded, no_room())
}

fn record(
    tool: &Tool,
    number: u32,
    attempted: &Attempted,
    trap: Option<crate::sandbox::outcome::TrapReport>,
    judged: &Judged,
) -> AttemptRecord {
    let findings = match &judged.accepted {
        Some(accepted) => accepted.findings.clone(),
        None => judged.cause.findings.clone(),
    };
    let Attempted { outcome: _, usage, log, denials, effect_dispatched: _ } = attempted;
    AttemptRecord {
        route: tool.name.clone(),
        component: tool.component.digest.clone(),
        number,
        code: judged.code,
        usage: Usage::clone(usage),
        log: log.clone(),
        trap,
        denials: denials.clone(),
        findings,
    }
}
