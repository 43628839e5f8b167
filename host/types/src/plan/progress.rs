//! A plan being followed: a state machine that is told how attempts end and says what to do next.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::breaker::BreakerView;
use super::quota::{self, FIRST_TRY_GAIN};
use super::{Plan, Repeat, Route};
use crate::code::{Code, Retry};

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Its code.
    pub code: Code,
    /// Whether an effect had left the sandbox.
    pub effect_dispatched: bool,
    /// Whether the contract names its error transient.
    pub transient: bool,
    /// The upstream's hint.
    pub retry_after_ms: Option<u64>,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Wait, then make this attempt.
    Attempt {
        /// Index into the plan's routes.
        route: usize,
        /// Which attempt on this route, from 1.
        number: u32,
        /// How long to wait before it, in milliseconds.
        wait_ms: u64,
        /// Time for it, in milliseconds.
        deadline_ms: u64,
    },
    /// Deliver what the last attempt gave.
    Accept {
        /// The route that gave it.
        route: usize,
        /// `ok`, or `ok.degraded` where it is a fallback's or suspect.
        code: Code,
    },
    /// Answer that there is nothing.
    GiveUp {
        /// Why.
        code: Code,
    },
}

/// A decision and its reason, as it is recorded and printed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// An attempt was made.
    Attempt {
        /// The tool.
        tool: Arc<str>,
        /// Which attempt on it, from 1.
        number: u32,
        /// The wait before it.
        wait_ms: u64,
    },
    /// It ended so.
    Ended {
        /// The tool.
        tool: Arc<str>,
        /// How.
        code: Code,
    },
    /// A tool was passed over.
    Skipped {
        /// The tool.
        tool: Arc<str>,
        /// Why.
        why: String,
    },
    /// No further attempt was made on a tool.
    Stopped {
        /// The tool.
        tool: Arc<str>,
        /// Why.
        why: String,
    },
}

/// What a call did to a tool's health, for the host to apply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Quota tokens spent.
    pub spent: u32,
    /// Quota tokens given back.
    pub gained: u32,
    /// How the call ended on it: as its last attempt did. None where no attempt was made, or one still ran when the
    /// call was cancelled.
    pub ended: Option<Code>,
}

/// How far a call has come.
#[derive(Clone, Debug)]
pub struct Progress {
    at: Option<(usize, u32)>,
    /// By route.
    settled: Vec<Settled>,
    last_cost: u32,
    /// Every decision so far.
    pub path: Vec<Decision>,
    /// How the first route ended, once it did.
    pub primary_ended: Option<Code>,
}

impl Progress {
    /// Nothing done yet.
    pub fn new(plan: &Plan) -> Progress {
        Progress {
            at: None,
            settled: vec![Settled::default(); plan.routes.len()],
            last_cost: 0,
            path: Vec::new(),
            primary_ended: None,
        }
    }

    /// What the call did to each route's health.
    pub fn settled(&self) -> &[Settled] {
        &self.settled
    }
}

impl Plan {
    /// What to do next. `ended` tells how the attempt of the last step ended, and is `None` at first; `now_ms`
    /// counts from the beginning of the call.
    pub fn next(&self, progress: &mut Progress, ended: Option<&Ended>, now_ms: u64) -> Step {
        let (Some((route, number)), Some(ended)) = (progress.at, ended) else {
            return self.enter(progress, 0, Code::Overloaded, now_ms);
        };
        let tool = &self.routes[route].input.tool;
        progress.path.push(Decision::Ended { tool: tool.clone(), code: ended.code });
        progress.settled[route].ended = Some(ended.code);
        if ended.code.has_result() {
            return accept(progress, route, number, ended.code);
        }
        if route == 0 {
            progress.primary_ended = Some(ended.code);
        }
        match self.repeat(progress, route, number, ended, now_ms) {
            Ok(step) => return step,
            Err(why) => progress.path.push(Decision::Stopped { tool: tool.clone(), why }),
        }
        if falls_back(ended) && !self.unproven(route, ended) {
            self.enter(progress, route + 1, ended.code, now_ms)
        } else {
            Step::GiveUp { code: ended.code }
        }
    }

    /// Begins a route, or the first one behind it that can still be of use.
    fn enter(&self, progress: &mut Progress, first: usize, code: Code, now_ms: u64) -> Step {
        for (index, route) in self.routes.iter().enumerate().skip(first) {
            let skipped = |why: String| Decision::Skipped { tool: route.input.tool.clone(), why };
            if let BreakerView::Open { remaining_ms, scope } = route.input.breaker {
                let why = format!("paused for {} for {remaining_ms} ms after failures", scope.as_str());
                progress.path.push(skipped(why));
                continue;
            }
            match self.time(route, now_ms) {
                Ok(deadline_ms) => return attempt(progress, route, (index, 1), 0, deadline_ms),
                Err(why) => progress.path.push(skipped(why)),
            }
        }
        Step::GiveUp { code }
    }

    /// Another attempt on the same route, or why not.
    fn repeat(
        &self,
        progress: &mut Progress,
        index: usize,
        number: u32,
        ended: &Ended,
        now_ms: u64,
    ) -> Result<Step, String> {
        let route = &self.routes[index];
        if !worth_repeating(route, number, ended) {
            return Err(format!("`{}` would end the same way", ended.code));
        }
        if route.repeat == Repeat::Never || self.unproven(index, ended) {
            return Err("it may have had an effect".into());
        }
        if number >= route.input.retry.attempts_max {
            return Err(format!("{number} of {number} attempts are made"));
        }
        let throttled = ended.code == Code::ToolThrottled;
        let cost = quota::cost(throttled);
        let settled = &mut progress.settled[index];
        if route.input.quota.saturating_sub(settled.spent) < cost {
            return Err("its retry quota is spent".into());
        }
        let factor = self.jitter.factor(&self.args_digest, index, number);
        let wait_ms = route.input.retry.wait_ms(number, throttled, factor, ended.retry_after_ms);
        if ended.code == Code::Refused && ended.retry_after_ms.is_none_or(|hint| hint > wait_ms) {
            return Err("it declines for longer than the plan would wait".into());
        }
        let deadline_ms = self.time(route, now_ms.saturating_add(wait_ms))?;
        settled.spent += cost;
        progress.last_cost = cost;
        Ok(attempt(progress, route, (index, number + 1), wait_ms, deadline_ms))
    }

    /// Time for an attempt that starts then, or why it would be of no use.
    fn time(&self, route: &Route, start_ms: u64) -> Result<u64, String> {
        let remaining = self.deadline_ms.saturating_sub(start_ms).saturating_sub(route.reserve_ms);
        if remaining < route.input.useful_ms_min.max(1) {
            return Err(format!(
                "{remaining} ms are left for it; it is of no use below {} ms",
                route.input.useful_ms_min
            ));
        }
        Ok(remaining.min(route.input.attempt_deadline_ms))
    }

    /// Whether an effect may have happened that must not happen twice.
    fn unproven(&self, route: usize, ended: &Ended) -> bool {
        ended.effect_dispatched && self.routes[route].repeat != Repeat::Freely
    }

    /// Whether a path is one that this plan allows: every attempt planned, in order, none waited for longer
    /// than planned.
    pub fn allows(&self, path: &[Decision]) -> bool {
        let mut at = (0, 0);
        path.iter().all(|decision| {
            let Decision::Attempt { tool, number, wait_ms } = decision else { return true };
            let Some(index) = self.routes.iter().position(|route| route.input.tool == *tool) else {
                return false;
            };
            let follows = if index == at.0 { *number == at.1 + 1 } else { index > at.0 && *number == 1 };
            at = (index, *number);
            let route = &self.routes[index];
            let planned = route.waits.get((*number as usize).wrapping_sub(2));
            let within = planned.is_some_and(|wait| {
                *wait_ms <= wait.transient_ms.max(wait.throttled_ms) + super::retry::HINT_MS_MAX
            });
            let open = route.input.breaker.is_open();
            follows && !open && (*number == 1 || within) && *number <= route.input.retry.attempts_max
        })
    }
}

fn attempt(
    progress: &mut Progress,
    route: &Route,
    (index, number): (usize, u32),
    wait_ms: u64,
    deadline_ms: u64,
) -> Step {
    progress.at = Some((index, number));
    progress.settled[index].ended = None;
    progress.path.push(Decision::Attempt { tool: route.input.tool.clone(), number, wait_ms });
    Step::Attempt { route: index, number, wait_ms, deadline_ms }
}

fn accept(progress: &mut Progress, route: usize, number: u32, code: Code) -> Step {
    let settled = &mut progress.settled[route];
    settled.gained += if number == 1 { FIRST_TRY_GAIN } else { progress.last_cost };
    let code = if route > 0 { Code::Degraded } else { code };
    Step::Accept { route, code }
}

fn worth_repeating(route: &Route, number: u32, ended: &Ended) -> bool {
    match ended.code.facts().retry {
        Retry::Never => false,
        // The same arguments would trap again.
        Retry::ByEffects => !(ended.code == Code::Trap && route.input.is_closed),
        Retry::AfterHint => true,
        Retry::IfTransient => ended.transient,
        Retry::IfDeclared => route.input.retry.implausible,
        Retry::AsRefused => ended.retry_after_ms.is_some(),
        Retry::Once => number == 1,
    }
}

/// Whether a fallback may stand in. Classes of outcomes decide, never texts: a tool that cannot answer is
/// replaced; an answer that is a refusal, a question or a plain error of the tool's stands.
fn falls_back(ended: &Ended) -> bool {
    match ended.code {
        Code::ToolError => ended.transient,
        Code::ToolThrottled
        | Code::ToolUnavailable
        | Code::Trap
        | Code::LimitFuel
        | Code::LimitMemory
        | Code::LimitOutput
        | Code::LimitStack
        | Code::LimitDeadline
        | Code::Implausible
        | Code::Overloaded
        | Code::HostInternal => true,
        Code::Ok
        | Code::Degraded
        | Code::ArgsSize
        | Code::ArgsSyntax
        | Code::ArgsType
        | Code::ArgsMissing
        | Code::ArgsUnknown
        | Code::ArgsConstraint
        | Code::ArgsPrecondition
        | Code::Clarify
        | Code::Refused
        | Code::PolicyDenied
        | Code::PolicyHeld
        | Code::PolicyDuplicate
        | Code::OutcomeUnknown
        | Code::RateLimited
        | Code::Cancelled
        | Code::Unknown
        | Code::HostJournal => false,
    }
}
