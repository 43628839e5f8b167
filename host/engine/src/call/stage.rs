//! The stages: each takes what the one before it made.

use std::sync::Arc;
use std::time::Duration;

use super::attempt::{Judged, judge};
use super::draft::Draft;
use super::report::{self, Cause};
use crate::admission::{Entered, NoRoom};
use crate::caller::account::Turned;
use crate::caller::budget::Exhausted;
use crate::caller::session::UnknownSession;
use crate::generation::{Candidate, Generation};
use crate::policy::permit;
use crate::policy::permit::Permit;
use crate::registry::Tool;
use crate::sandbox::outcome::Outcome;
use crate::sandbox::run;
use crate::sandbox::run::{Attempt, RunError};
use airlock_contract::caps::Caps;
use airlock_contract::tool::ValidArgs;
use airlock_contract::{caps, message};
use airlock_types::call::Arguments;
use airlock_types::code::{Code, Ran};
use airlock_types::digest::{hex, sha256};
use airlock_types::environment::ms;
use airlock_types::plan;
use airlock_types::plan::{Ended, Inputs, Jitter, Plan, RouteInput};
use airlock_types::principal::Principal;
use airlock_types::reply::ErrorReport;
use airlock_types::session::SessionKey;
use airlock_types::violation::Violation;

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

/// A tool that exists and that its caller may see, with those that stand in for it.
pub(crate) struct ResolvedCall {
    called: Candidate,
    fallbacks: Vec<Candidate>,
}

impl ResolvedCall {
    pub(crate) fn tool(&self) -> &Arc<Tool> {
        &self.called.tool
    }
}

/// Arguments that passed the inner door.
pub(crate) struct ValidCall {
    resolved: ResolvedCall,
    args: ValidArgs,
}

/// A call that may run: a permit for each route that may.
pub(crate) struct PermittedCall {
    args: ValidArgs,
    routes: Vec<(Candidate, Permit)>,
}

impl ValidCall {
    pub(crate) fn canonical(&self) -> &str {
        self.args.canonical()
    }
}

impl PermittedCall {
    /// The name of a route's tool, as the caller may read it.
    pub(super) fn shown_name(&self, route: usize) -> Arc<str> {
        self.routes[route].0.shown_name()
    }
}

pub(super) fn resolve(host: &Generation, who: &Principal, name: &str) -> Result<ResolvedCall, End> {
    match host.visible(who).candidates(name) {
        Ok((called, fallbacks)) => Ok(ResolvedCall { called, fallbacks }),
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

/// The inner door. Arguments that may take long to judge are judged off the runtime's workers: see [`aside`].
pub(super) async fn validate(
    host: &Generation,
    call: ResolvedCall,
    arguments: Arguments,
    draft: &mut Draft<'_>,
) -> Result<ValidCall, End> {
    let contract = &call.tool().contract;
    let is_heavy = match &arguments {
        Arguments::Text(text) => contract.is_heavy(text.len()),
        Arguments::Parsed(args) => contract.is_heavy(caps::bytes_of(args)),
    };
    if is_heavy {
        return Box::pin(aside(host, call, arguments, draft)).await;
    }
    let begun = draft.now();
    let judged = judge_arguments(host.caps(), call, arguments);
    draft.worked_since(begun);
    judged
}

/// Judges arguments on a thread of its own, within the deadline of the call. The number of such threads is bounded: a
/// place is held until the thread is back, whether or not the call still waits for it, and the thread always comes
/// back, as the cost of the inner door is bounded.
async fn aside(
    host: &Generation,
    call: ResolvedCall,
    arguments: Arguments,
    draft: &Draft<'_>,
) -> Result<ValidCall, End> {
    let (name, caps, payer) = (call.tool().name.clone(), *host.caps(), draft.payer());
    let within = Duration::from_millis(host.call_deadline_ms().saturating_sub(draft.elapsed_ms()));
    let before = host.environment().monotonic();
    let place = host.heavy_arguments().enter(within).await;
    let place = place.map_err(|NoRoom| End::failed(&name, Code::Overloaded, &no_room()))?;
    let within = within.saturating_sub(host.environment().monotonic().saturating_sub(before));
    let judged = tokio::task::spawn_blocking(move || {
        let _place = place;
        payer.charged(|| judge_arguments(&caps, call, arguments))
    });
    match tokio::time::timeout(within, judged).await {
        Ok(Ok(judged)) => judged,
        Ok(Err(err)) => {
            tracing::error!("the arguments of `{name}` could not be judged: {err}");
            Err(End::failed(&name, Code::HostInternal, &Cause::default()))
        }
        Err(_) => Err(too_slow(&name, host.call_deadline_ms())),
    }
}

/// The deadline of the call ended it before the tool was started.
fn too_slow(tool: &str, deadline_ms: u64) -> End {
    let cause = Cause { limit: Some(format!("{deadline_ms} ms")), ..Cause::default() };
    let mut end = End::failed(tool, Code::LimitDeadline, &cause);
    if let Some(report) = &mut end.report {
        report.ran = Ran::No;
        report.message = format!(
            "Call to `{tool}` was not run: its arguments were not checked within {deadline_ms} ms.\nThe tool did not \
             run.\nRepeating it later may help; sending less data in one call helps more."
        );
    }
    end
}

pub(super) fn judge_arguments(
    caps: &Caps,
    call: ResolvedCall,
    arguments: Arguments,
) -> Result<ValidCall, End> {
    let tool = call.tool();
    let args = match arguments {
        Arguments::Text(text) => caps::parse(&text, caps),
        Arguments::Parsed(args) => caps::admit(&args, caps).map(|()| args),
    };
    let args = args.map_err(|violation| invalid(tool, vec![violation], None))?;
    match tool.contract.validate(args) {
        Ok(args) => Ok(ValidCall { resolved: call, args }),
        Err((violations, args)) => {
            let example = tool.contract.offer(&args);
            Err(invalid(tool, violations, example))
        }
    }
}

fn invalid(tool: &Tool, violations: Vec<Violation>, example: Option<serde_json::Value>) -> End {
    let violations: Vec<Violation> = violations.into_iter().map(Violation::shown).collect();
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
pub(super) fn authorize(call: ValidCall) -> Result<PermittedCall, End> {
    let ValidCall { resolved: ResolvedCall { called, fallbacks }, args } = call;
    let permit = |tool: &Tool| permit::authorize(&tool.effective, &tool.missing, &tool.limits);
    let first = permit(&called.tool).map_err(|denied| {
        let mut kinds: Vec<String> = denied.missing.into_iter().map(|missing| missing.capability).collect();
        kinds.dedup();
        End::failed(&called.tool.name, Code::PolicyDenied, &Cause { denied: kinds, ..Cause::default() })
    })?;
    let fallbacks = fallbacks.into_iter().filter_map(|fallback| {
        let permit = permit(&fallback.tool).ok()?;
        Some((fallback, permit))
    });
    let routes = std::iter::once((called, first)).chain(fallbacks).collect();
    Ok(PermittedCall { args, routes })
}

pub(super) fn plan(host: &Generation, who: &Principal, call: &PermittedCall) -> Plan {
    let seed = host.environment().seed();
    let routes = call.routes.iter().map(|(candidate, _)| route(host, who, &candidate.tool)).collect();
    plan::plan(inputs(host, routes, &call.args, Jitter::Seeded(hex(&seed[..16]))))
}

/// Without jitter: every wait is the longest that it could be. Made to be shown to the caller.
pub(super) fn explain(host: &Generation, who: &Principal, call: &ValidCall) -> Plan {
    let ResolvedCall { called, fallbacks } = &call.resolved;
    let shown = |candidate: &Candidate| RouteInput {
        tool: candidate.shown_name(),
        component: candidate.shown_digest().unwrap_or_else(|| "hidden".into()),
        ..route(host, who, &candidate.tool)
    };
    let routes = std::iter::once(called).chain(fallbacks).map(shown).collect();
    plan::plan(inputs(host, routes, &call.args, Jitter::Off))
}

fn route(host: &Generation, who: &Principal, tool: &Tool) -> RouteInput {
    let (quota, breaker) = host.health(&tool.name, who);
    RouteInput {
        tool: tool.name.clone(),
        component: tool.component.digest.clone(),
        effect: tool.effect,
        is_closed: tool.component.surface.is_closed(),
        retry: tool.retry.clone(),
        attempt_deadline_ms: tool.limits.deadline_ms,
        useful_ms_min: tool.useful_ms_min.min(tool.limits.deadline_ms),
        quota,
        breaker,
    }
}

fn inputs(host: &Generation, routes: Vec<RouteInput>, args: &ValidArgs, jitter: Jitter) -> Inputs {
    let args_digest = sha256(args.canonical().as_bytes());
    Inputs { args_digest, jitter, deadline_ms: host.call_deadline_ms(), routes }
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
    let (candidate, permit) = &call.routes[route];
    let tool = &candidate.tool;
    let within = Duration::from_millis(deadline_ms);
    let before = draft.now();
    let Ok(_place) = host.enter(&tool.name, within).await else {
        return draft.attempted(candidate, number, None, no_place());
    };
    let deadline = within.saturating_sub(draft.now().saturating_sub(before));
    let listener = draft.listener();
    let attempt = Attempt {
        linked: &tool.linked,
        function: &tool.export,
        has_result: tool.contract.function.ty.result.is_some(),
        args: call.args.values(),
        permit,
        seed: host.environment().seed(),
        deadline,
        listener,
        traces: draft.begin_attempt(tool, number),
    };
    let failed = |code| Judged::failed(code, Cause::default());
    match run::run(host.engine(), host.environment(), attempt).await {
        Ok(mut outcome) => {
            let (ended, now) = (draft.now(), ms(host.environment().wall()));
            let judged = judge(tool, &call.args, &mut outcome, draft.denials(), now).unwrap_or_else(|err| {
                tracing::error!("a value of `{}` is not of its type: {err}", tool.name);
                failed(Code::HostInternal)
            });
            draft.worked_since(ended);
            let trap = if let Outcome::Trap(trap) = outcome { Some(trap) } else { None };
            draft.attempted(candidate, number, trap, judged)
        }
        Err(RunError::Exhausted) => {
            tracing::warn!("the engine has no room for `{}`: lower `host.calls_max`", tool.name);
            draft.forget_attempt();
            draft.attempted(candidate, number, None, no_place())
        }
        Err(RunError::Failed(err)) => {
            tracing::error!("the sandbox failed while it ran `{}`: {err:#}", tool.name);
            draft.attempted(candidate, number, None, failed(Code::HostInternal))
        }
    }
}

fn no_place() -> Judged {
    Judged::failed(Code::Overloaded, no_room())
}
