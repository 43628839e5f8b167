//! A plan in words.

use std::fmt::Write as _;

use crate::duration;
use crate::effect::Effect;

use super::{BreakerView, Plan, Repeat, Route, Wait};

/// The plan as people read it, its worst case first.
pub fn explain(plan: &Plan) -> String {
    let worst = plan.worst_case();
    let mut out = format!(
        "plan {}\nworst case: {} executions, {} ms, {} of retry quota\nwithin {} ms in all:\n",
        &plan.digest()[..12],
        worst.executions,
        worst.latency_ms,
        worst.quota,
        plan.deadline_ms
    );
    for (index, route) in plan.routes.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(out, "{}", one(index, route, &plan.waits(index)));
    }
    out.push_str("no route left: the call fails with the code of the last attempt");
    out
}

fn one(index: usize, route: &Route, waits: &[Wait]) -> String {
    let input = &route.input;
    if let Some(cached_ms_max) = input.cached_ms_max {
        let age = duration::print(cached_ms_max);
        return format!(
            "{}. else the last answer of {} to the same arguments, at most {age} old; it is `degraded`\n",
            index + 1,
            input.tool
        );
    }
    let title = if index == 0 { "call" } else { "else fall back to" };
    let mut out = format!(
        "{}. {title} {} ({}, component {})\n",
        index + 1,
        input.tool,
        input.effect.as_str(),
        // A plan can be deserialized, so the digest may be shorter than it should be.
        input.component.get(..12).unwrap_or(&input.component)
    );
    let mut line = |text: String| {
        out.push_str("   ");
        out.push_str(&text);
        out.push('\n');
    };
    match input.breaker {
        BreakerView::Closed => {}
        BreakerView::Probing => line("its breaker lets probes through".into()),
        BreakerView::Open { remaining_ms, scope } => {
            line(format!("skipped: paused for {} for {remaining_ms} ms after failures", scope.as_str()));
        }
    }
    let reserve = if route.reserve_ms > 0 {
        format!(", {} ms kept back for fallbacks", route.reserve_ms)
    } else {
        String::new()
    };
    line(format!(
        "up to {} ms for an attempt, none below {} ms{reserve}",
        input.attempt_deadline_ms, input.useful_ms_min
    ));
    line(retries(route, waits));
    if let Some(verify) = &input.verify {
        line(format!(
            "if an effect was not settled: asks {} after {} ms, and tries again only where it says that nothing happened",
            verify.tool, verify.after_ms
        ));
    }
    if index > 0 {
        line("an answer from here is `degraded`".into());
    }
    out
}

fn retries(route: &Route, waits: &[Wait]) -> String {
    if waits.is_empty() {
        return "one attempt".into();
    }
    let list = |pick: fn(&Wait) -> u64| {
        waits.iter().map(|wait| pick(wait).to_string()).collect::<Vec<_>>().join(", ")
    };
    let proof = match route.repeat {
        Repeat::Freely => "",
        Repeat::WithProof if route.input.effect == Effect::Idempotent => {
            ", while every effect that has left may be made again"
        }
        Repeat::WithProof => ", only while no effect has left the sandbox",
        Repeat::Never => ", never",
    };
    let trap = if route.input.is_closed { "; none after a trap, which would repeat itself" } else { "" };
    format!(
        "up to {} retries{proof}: after {} ms, or {} ms when throttled; quota {}{trap}",
        waits.len(),
        list(|wait| wait.transient_ms),
        list(|wait| wait.throttled_ms),
        route.input.quota
    )
}
