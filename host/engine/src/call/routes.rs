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
use airlock_types::plan::{Inputs, Jitter, Plan, RouteInput};

/// The plan of a call. Its jitter uses half of a seed: 16 bytes are enough, and shorter in the record.
pub(super) fn plan(host: &Generation, who: &Caller, routes: &[PermittedRoute], args: &ValidArgs) -> Plan {
    let seed = host.environment().seed();
    let routes = routes.iter().map(|route| input(host, who, &route.candidate.tool)).collect();
    plan::plan(inputs(host, routes, args, Jitter::Seeded(hex(&seed[..16]))))
}

/// The plan as its caller may see it: hidden fallbacks without names, and no jitter.
pub(super) fn shown_plan(
    host: &Generation,
    who: &Caller,
    routes: &[PermittedRoute],
    args: &ValidArgs,
) -> Plan {
    let shown = |PermittedRoute { candidate, .. }: &PermittedRoute| RouteInput {
        tool: candidate.shown_name(),
        component: candidate.shown_digest().unwrap_or_else(|| "hidden".into()),
        ..input(host, who, &candidate.tool)
    };
    plan::plan(inputs(host, routes.iter().map(shown).collect(), args, Jitter::Off))
}

fn input(host: &Generation, who: &Caller, tool: &Tool) -> RouteInput {
    // Read together under one lock, so that both are of the same moment.
    let (quota, breaker) = host.health(&tool.name, who);
    RouteInput {
        tool: tool.name.clone(),
        component: tool.component.digest.clone(),
        effect: tool.effect,
        // A tool without imports would repeat its trap exactly, so the plan does not retry it.
        is_closed: tool.component.info.is_closed(),
        retry: tool.retry.clone(),
        attempt_deadline_ms: tool.limits().deadline_ms,
        // An attempt never gets more than its own deadline. A larger minimum would skip every attempt.
        useful_ms_min: tool.useful_ms_min.min(tool.limits().deadline_ms),
        quota,
        breaker,
    }
}

fn inputs(host: &Generation, routes: Vec<RouteInput>, args: &ValidArgs, jitter: Jitter) -> Inputs {
    let args_digest = sha256(args.canonical().as_bytes());
    Inputs { args_digest, jitter, deadline_ms: host.call_deadline_ms(), routes }
}
