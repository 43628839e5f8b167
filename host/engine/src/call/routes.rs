//! Collects the inputs of a plan: the tools that may answer, and the state of their quotas and breakers now.
//!
//! Must not know how a plan is made from them.

use super::permit::PermittedRoute;
use crate::generation::Generation;
use crate::registry::Tool;
use airlock_contract::tool::ValidArgs;
use airlock_types::caller::Caller;
use airlock_types::digest::{hex, sha256};
use airlock_types::plan;
use airlock_types::plan::{Inputs, Jitter, Plan, RouteInput, Verify};

/// The plan of a call. Its jitter uses half of a seed: 16 bytes are enough, and shorter in the record.
pub(super) fn plan(host: &Generation, who: &Caller, routes: &[PermittedRoute], args: &ValidArgs) -> Plan {
    let seed = host.environment().seed();
    let routes = routes.iter().map(|route| input(host, who, route)).collect();
    plan::plan(inputs(host, routes, args, Jitter::Seeded(hex(&seed[..16]))))
}

/// The plan as its caller may see it: hidden fallbacks without names, and no jitter.
pub(super) fn shown_plan(
    host: &Generation,
    who: &Caller,
    routes: &[PermittedRoute],
    args: &ValidArgs,
) -> Plan {
    let shown = |route: &PermittedRoute| RouteInput {
        tool: route.candidate.shown_name(),
        component: route.candidate.shown_digest().unwrap_or_else(|| "hidden".into()),
        ..input(host, who, route)
    };
    plan::plan(inputs(host, routes.iter().map(shown).collect(), args, Jitter::Off))
}

fn input(host: &Generation, who: &Caller, route: &PermittedRoute) -> RouteInput {
    let tool = &*route.candidate.tool;
    // Read together under one lock, so that both are of the same moment.
    let (quota, breaker) = host.health(&tool.name, who);
    let input = RouteInput {
        tool: tool.name.clone(),
        component: tool.component.digest.clone(),
        effect: tool.effect,
        // A tool without imports would repeat its trap exactly, so the plan does not retry it.
        is_closed: tool.component.info.is_closed(),
        retry: tool.retry.clone(),
        attempt_deadline_ms: tool.limits().deadline_ms,
        useful_ms_min: useful_ms_min(tool),
        quota,
        breaker,
        verify: verify(route),
        cached_ms_max: None,
    };
    match route.candidate.cached_ms_max {
        Some(age_ms_max) => input.cached(age_ms_max),
        None => input,
    }
}

/// The least time in which an attempt of a tool is started. It never gets more than its own deadline, and a larger
/// minimum would skip every attempt.
fn useful_ms_min(tool: &Tool) -> u64 {
    tool.useful_ms_min.min(tool.limits().deadline_ms)
}

/// The tool that a route is verified by, and when. Only what its caller may call, so its name may be shown.
fn verify(route: &PermittedRoute) -> Option<Verify> {
    let question = route.verify.as_ref()?;
    let by = &question.route.candidate.tool;
    Some(Verify {
        tool: by.name.clone(),
        after_ms: question.after_ms,
        attempt_deadline_ms: by.limits().deadline_ms,
        useful_ms_min: useful_ms_min(by),
    })
}

fn inputs(host: &Generation, routes: Vec<RouteInput>, args: &ValidArgs, jitter: Jitter) -> Inputs {
    let args_digest = sha256(args.canonical().as_bytes());
    Inputs { args_digest, jitter, deadline_ms: host.call_deadline_ms(), routes }
}
