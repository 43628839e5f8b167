//! What follows when an attempt fails, decided before it starts.
//!
//! A plan is a pure function of policy, component digests, canonical arguments, effect classes, seed, deadline
//! and a snapshot of the tools' health: same inputs, same bytes, on any machine. It can be printed before the
//! call and compared with what happened after it. Owns retries, fallbacks, quotas, breakers. Must not know
//! clocks, randomness or I/O: times are milliseconds since the call began, and are passed in.

// A match on outcomes must name every variant, so that a new one is a compile error.
#![warn(clippy::wildcard_enum_match_arm)]

mod bounds;
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

pub use bounds::{Wait, WorstCase};
pub use breaker::{BreakerView, Breakers, Scope};
pub use explain::explain;
pub use progress::Progress;
pub use quota::Quota;
pub use retry::{Jitter, RetryPolicy};
pub use settle::Settled;
pub use step::{AttemptEnd, PathStep, Recalled, Step};

/// The version of the rules by which waits and worst cases follow from a plan, and of its form.
pub const VERSION: u32 = 1;

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

/// The most that a call will do, in order. As JSON it has the waits of each route and the worst case, too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "bounds::Written")]
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
    let planned = routes.into_iter().map(|input| {
        reserve_ms = reserve_ms.saturating_sub(input.useful_ms_min);
        route(input, reserve_ms)
    });
    let routes = planned.collect();
    Plan { version: VERSION, args_digest, jitter, deadline_ms, routes }
}

fn route(input: RouteInput, reserve_ms: u64) -> Route {
    // Every effect leaves through an import of the host, so the host can tell that none was dispatched. That is the
    // proof. An irreversible effect is not repeated even with it.
    let repeat = match input.effect {
        Effect::Pure | Effect::Read => Repeat::Freely,
        Effect::Idempotent | Effect::Write => Repeat::WithProof,
        Effect::Irreversible => Repeat::Never,
    };
    Route { input, repeat, reserve_ms }
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
