//! What follows when an attempt fails, decided before it starts.
//!
//! A plan is a pure function of policy, component digests, canonical arguments, effect classes, seed, deadline
//! and a snapshot of the tools' health: same inputs, same bytes, on any machine. It can be printed before the
//! call and compared with what happened after it. Owns retries, fallbacks, quotas, breakers. Must not know
//! clocks, randomness or I/O: times are milliseconds since the call began, and are passed in.

// A match on outcomes must name every variant, so that a new one is a compile error.
#![warn(clippy::wildcard_enum_match_arm)]

mod breaker;
mod explain;
mod progress;
mod quota;
mod retry;
mod settle;
mod step;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::digest::sha256;
use crate::effect::Effect;

pub use breaker::{BreakerView, Breakers, Scope};
pub use explain::explain;
pub use progress::Progress;
pub use quota::Quota;
pub use retry::{Jitter, RetryPolicy};
pub use settle::Settled;
pub use step::{AttemptEnd, PathStep, Recalled, Step};

/// All inputs of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// Digest of the canonical arguments, hex.
    pub args_digest: String,
    /// Source of the jitter.
    pub jitter: Jitter,
    /// Time for the whole call, in milliseconds.
    pub deadline_ms: u64,
    /// The tool that is called, then its fallbacks.
    pub routes: Vec<RouteInput>,
}

/// The inputs of one route: a tool that may answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouteInput {
    /// Its public name.
    pub tool: Arc<str>,
    /// SHA-256 of its component, hex.
    pub component: Arc<str>,
    /// What it may do to the world.
    pub effect: Effect,
    /// Whether it imports no function: what such a tool does depends on its arguments alone.
    #[serde(default)]
    pub is_closed: bool,
    /// Its retries.
    pub retry: RetryPolicy,
    /// Time for one attempt, in milliseconds.
    pub attempt_deadline_ms: u64,
    /// No attempt starts with less time than this, in milliseconds.
    pub useful_ms_min: u64,
    /// Tokens left in its retry quota.
    pub quota: u32,
    /// The state of its breakers for this caller, when the plan is made.
    pub breaker: BreakerView,
    /// The read-only tool that says whether an effect happened that was not settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<Verify>,
    /// The greatest age of a kept answer, in milliseconds. A route with one runs nothing: it delivers what the tool
    /// answered to the same arguments before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_ms_max: Option<u64>,
}

/// A read-only tool that says whether an effect of another tool happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verify {
    /// Its public name.
    pub tool: Arc<str>,
    /// The wait before it is asked, in milliseconds, from the end of the attempt: what is not applied yet may be a second
    /// later.
    pub after_ms: u64,
    /// Time for its answer, in milliseconds.
    pub attempt_deadline_ms: u64,
    /// It is not asked with less time than this, in milliseconds.
    pub useful_ms_min: u64,
}

/// The most that a call will do, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The version of this form.
    pub version: u32,
    /// Digest of the canonical arguments, hex.
    pub args_digest: String,
    /// Where the jitter comes from.
    pub jitter: Jitter,
    /// Time for the whole call, in milliseconds.
    pub deadline_ms: u64,
    /// The routes, in order: the called tool, then its fallbacks.
    pub routes: Vec<Route>,
    /// Upper bounds over all routes.
    pub worst_case: WorstCase,
}

/// One tool that may answer, and what is planned for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// The input that the route was planned from.
    #[serde(rename = "from")]
    pub input: RouteInput,
    /// Whether an attempt that failed may be repeated.
    pub repeat: Repeat,
    /// Time kept back for later routes, in milliseconds: the sum of their `useful_ms_min`.
    pub reserve_ms: u64,
    /// The wait before each retry when the upstream gives no hint.
    pub waits: Vec<Wait>,
}

/// The wait before one retry, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// After a transient fault.
    pub transient_ms: u64,
    /// After throttling.
    pub throttled_ms: u64,
}

/// Whether an attempt that failed may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Repeat {
    /// Always, since it changes nothing outside the sandbox.
    Freely,
    /// Only if no effect has left the sandbox.
    WithProof,
    /// Never.
    Never,
}

impl Repeat {
    /// As it is recorded.
    pub fn as_str(self) -> &'static str {
        match self {
            Repeat::Freely => "freely",
            Repeat::WithProof => "with-proof",
            Repeat::Never => "never",
        }
    }
}

/// The most that a call can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorstCase {
    /// Attempts in all, with those of the tools that verify.
    pub executions: u32,
    /// Time, in milliseconds.
    pub latency_ms: u64,
    /// Quota tokens spent, all routes together.
    pub quota: u32,
}

impl RouteInput {
    /// The route of a tool's kept answers. Nothing runs, so its health does not count and it needs no time.
    #[must_use]
    pub fn cached(self, cached_ms_max: u64) -> RouteInput {
        RouteInput {
            retry: RetryPolicy { attempts_max: 1, ..self.retry },
            attempt_deadline_ms: 0,
            useful_ms_min: 0,
            quota: 0,
            breaker: BreakerView::Closed,
            verify: None,
            cached_ms_max: Some(cached_ms_max),
            ..self
        }
    }

    /// Whether the route delivers a kept answer.
    pub fn is_cached(&self) -> bool {
        self.cached_ms_max.is_some()
    }
}

/// Makes the plan.
pub fn plan(inputs: Inputs) -> Plan {
    let Inputs { args_digest, jitter, deadline_ms, routes } = inputs;
    // Begins as the sum over all routes. Each route takes its own share out, so it keeps back time for later routes
    // only.
    let mut reserve_ms: u64 = routes.iter().map(|input| input.useful_ms_min).fold(0, u64::saturating_add);
    let planned = routes.into_iter().enumerate().map(|(index, input)| {
        reserve_ms = reserve_ms.saturating_sub(input.useful_ms_min);
        let factors = jitter.factors(&args_digest, index);
        route(input, reserve_ms, |retry| factors.factor(retry))
    });
    let routes: Vec<Route> = planned.collect();
    let worst_case = worst_case(deadline_ms, &routes);
    Plan { version: 1, args_digest, jitter, deadline_ms, routes, worst_case }
}

fn route(input: RouteInput, reserve_ms: u64, factor: impl Fn(u32) -> f64) -> Route {
    // Every effect leaves through an import of the host, so the host can tell that none was dispatched. That is the
    // proof. An irreversible effect is not repeated even with it.
    let repeat = match input.effect {
        Effect::Pure | Effect::Read => Repeat::Freely,
        Effect::Idempotent | Effect::Write => Repeat::WithProof,
        Effect::Irreversible => Repeat::Never,
    };
    let retries = if repeat == Repeat::Never { 0 } else { input.retry.attempts_max.saturating_sub(1) };
    let wait = |k| {
        let factor = factor(k);
        let wait_ms = |throttled| input.retry.wait_ms(k, throttled, factor, None);
        Wait { transient_ms: wait_ms(false), throttled_ms: wait_ms(true) }
    };
    let waits = (1..=retries).map(wait).collect();
    Route { input, repeat, reserve_ms, waits }
}

fn worst_case(deadline_ms: u64, routes: &[Route]) -> WorstCase {
    // The plan holds the breakers as they were when it was made, so a route that is paused then is never attempted.
    let open = routes.iter().filter(|route| !route.input.breaker.is_open() && !route.input.is_cached());
    let mut worst = WorstCase { executions: 0, latency_ms: 0, quota: 0 };
    for route in open {
        // Both are upper bounds: the cheapest kind of retry bounds their number, the dearest kind bounds what they
        // cost.
        let affordable = route.input.quota / quota::RETRY_COST_MIN;
        let retries = u32::try_from(route.waits.len()).unwrap_or(u32::MAX).min(affordable);
        worst.executions += 1 + retries;
        if let Some(verify) = &route.input.verify {
            // Each attempt may be asked about, the last one too: the caller shall know.
            worst.executions += 1 + retries;
            let once = verify.after_ms.saturating_add(verify.attempt_deadline_ms);
            worst.latency_ms = worst.latency_ms.saturating_add(once.saturating_mul(u64::from(1 + retries)));
        }
        worst.quota += (retries * quota::RETRY_COST).min(route.input.quota);
        let waits: u64 = route
            .waits
            .iter()
            .take(retries as usize)
            // An upstream's hint can lengthen any wait, throttled or not, by at most this much.
            .map(|wait| wait.throttled_ms.saturating_add(retry::HINT_MS_MAX))
            .fold(0, u64::saturating_add);
        // Saturating: a registry may set any deadline.
        let running = route.input.attempt_deadline_ms.saturating_mul(u64::from(1 + retries));
        worst.latency_ms = worst.latency_ms.saturating_add(running).saturating_add(waits);
    }
    // No attempt starts or runs beyond the deadline of the call, whatever the routes add up to.
    worst.latency_ms = worst.latency_ms.min(deadline_ms);
    worst
}

impl Plan {
    /// The plan as canonical JSON (RFC 8785).
    pub fn bytes(&self) -> Vec<u8> {
        serde_json_canonicalizer::to_vec(self).unwrap_or_default()
    }

    /// SHA-256 of [`Plan::bytes`], hex.
    pub fn digest(&self) -> String {
        sha256(&self.bytes())
    }
}
