//! What an attempt was refused, and what passed by a grant of `report` alone, explained for the operator.
//!
//! Owns what the log says of it. Must not know the words that agents read.

use super::events::Events;
use super::permit::PermittedRoute;
use crate::policy::Decision;
use crate::registry::Tool;
use airlock_types::caller::Caller;
use airlock_types::grant::{Denial, Lack, Refused};
use airlock_types::usage::Traces;

/// Adds the explanations to the traces of an attempt, and logs each.
pub(super) fn explain(events: &Events<'_>, route: &PermittedRoute, traces: &mut Traces) {
    // Most attempts were refused nothing and tried nothing.
    if traces.refused.is_empty() && traces.tried.is_empty() {
        return;
    }
    let (tool, caller) = (&route.candidate.tool, events.caller().entry());
    let is_tried = route.permit.usual().is_some();
    let refused = traces.refused.iter().map(|refused| tool.source.explain(refused, caller, is_tried));
    let tried = traces.tried.iter().map(|(asked, _)| tool.source.report(asked));
    let denials: Vec<Denial> = refused.chain(tried).collect();
    for denial in &denials {
        log(events, route, denial);
    }
    traces.denials = denials;
}

/// What a denied call lacks, explained and logged.
pub(super) fn lacks(events: &Events<'_>, tool: &Tool, caller: &Caller, decision: &Decision) -> Vec<Lack> {
    let Decision::Deny(denied) = decision else { return Vec::new() };
    let lacks: Vec<Lack> =
        denied.reasons.iter().filter_map(|reason| tool.source.lack(reason, caller.entry())).collect();
    let (record, component) = (&events.head.id, &tool.component.digest);
    let policy = denied.policy.as_deref().unwrap_or_default();
    for Lack { capability, asked: _, rule, at, grant: _, below: _, how: _, replaces: _ } in &lacks {
        tracing::warn!(
            record,
            tool = &*tool.name,
            component = &**component,
            policy,
            capability,
            rule,
            at,
            "denied: {capability} is not granted; `airlock show {record}` has the grant that would allow it"
        );
    }
    lacks
}

fn log(events: &Events<'_>, route: &PermittedRoute, denial: &Denial) {
    let Denial { refused, rule, at, grant, below: _, how: _, replaces: _, is_reported } = denial;
    let tool = &route.candidate.tool;
    // Not what was asked for: it may come from arguments, which no log has. The record has it, with the grant.
    let (record, kind, component) = (&events.head.id, refused.kind(), &tool.component.digest);
    let (capability, policy) = (refused.asked.capability(), route.permit.policy());
    let passed = if *is_reported { "would be denied" } else { "denied" };
    let there = if grant.is_some() {
        "what was asked for and the grant that would allow it"
    } else {
        "what was asked for; no grant of the registry allows it"
    };
    tracing::warn!(
        record,
        tool = &*tool.name,
        component = &**component,
        policy = &**policy,
        capability,
        rule,
        at,
        "{passed}: {kind}; `airlock show {record}` has {there}"
    );
}

/// The refusals that the agent reads, as kinds.
pub(super) fn kinds(refused: &[Refused]) -> Vec<String> {
    let mut kinds: Vec<String> = Vec::new();
    for kind in refused.iter().map(Refused::kind) {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds
}
