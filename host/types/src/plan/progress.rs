//! The progress through a plan: a state machine that takes the end of each attempt and returns the next step.

use std::sync::Arc;

use super::breaker::BreakerView;
use super::quota;
use super::step::{AttemptEnd, PathStep, Recalled, Step};
use super::{Plan, Repeat, Route};
use crate::code::{Code, Retry};
use crate::effect::{Left, Verified};

/// The state of one call on its way through a plan.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// The last attempt: the index of its route and its number there, from 1.
    at: Option<(usize, u32)>,
    /// Tokens that this call spent of the current route's retry quota. A route is never entered twice.
    spent: u32,
    /// Outcome of the last attempt on the called tool that gave no result.
    primary_ended: Option<Code>,
    /// The kept answer that is looked for: the index of its route, and the code without one.
    sought: Option<(usize, Code)>,
    /// The last attempt, while a tool is asked whether its effect happened.
    asked_about: Option<AttemptEnd>,
    /// Steps since the last [`Progress::take_path`].
    path: Vec<PathStep>,
    /// Why the first skipped tool was skipped.
    skipped_because: Option<String>,
}

impl Progress {
    /// Removes and returns the steps since the last call of this function, in order.
    pub fn take_path(&mut self) -> impl Iterator<Item = PathStep> + '_ {
        self.path.drain(..)
    }

    fn skip(&mut self, tool: &Arc<str>, why: String) {
        // Shown only if no attempt was made, and then the first reason is the one of the tool that was called.
        self.skipped_because.get_or_insert_with(|| why.clone());
        self.path.push(PathStep::Skipped { tool: tool.clone(), why });
    }

    fn give_up(&self, code: Code) -> Step {
        let not_run_because = if self.at.is_none() { self.skipped_because.clone() } else { None };
        Step::GiveUp { code, not_run_because }
    }
}

impl Plan {
    /// What to do next. `ended` tells how the attempt of the last step ended, and is `None` at first; `now_ms`
    /// counts from the beginning of the call.
    pub fn next(&self, progress: &mut Progress, ended: Option<&AttemptEnd>, now_ms: u64) -> Step {
        let (Some((route, number)), Some(ended)) = (progress.at, ended) else {
            // No attempt has ended yet. If no route can start, all are paused or short of time, which is an overload.
            return self.enter(progress, 0, Code::Overloaded, now_ms);
        };
        let tool = &self.routes[route].input.tool;
        // The end goes onto the path before any decision, so that a reader sees each decision after its cause.
        progress.path.push(PathStep::Ended { tool: tool.clone(), code: ended.code });
        if ended.code.has_result() {
            return accept(progress, route, ended.code);
        }
        self.after(progress, (route, number), ended, now_ms)
    }

    /// What to do once a tool has said whether the effect of the last attempt happened. `left` is what still left if it
    /// did not: effects that were answered are not asked about.
    pub fn verified(&self, progress: &mut Progress, found: Verified, left: Left, now_ms: u64) -> Step {
        let (Some(at), Some(ended)) = (progress.at, progress.asked_about.take()) else {
            return progress.give_up(Code::OutcomeUnknown);
        };
        if let Some(verify) = &self.routes[at.0].input.verify {
            progress.path.push(PathStep::Verified { tool: verify.tool.clone(), found });
        }
        match found {
            // As if what was open had never left.
            Verified::NotApplied => {
                let proven = AttemptEnd { code: ended.ended_by, left, ..ended };
                self.after(progress, at, &proven, now_ms)
            }
            Verified::Applied | Verified::Unknown => progress.give_up(Code::OutcomeUnknown),
        }
    }

    /// What to do once a kept answer was looked for.
    pub fn recalled(&self, progress: &mut Progress, found: Recalled, now_ms: u64) -> Step {
        let Some((route, code)) = progress.sought.take() else {
            return progress.give_up(Code::HostInternal);
        };
        progress.path.push(PathStep::Recalled { tool: self.routes[route].input.tool.clone(), found });
        match found {
            Recalled::Kept { .. } => accept(progress, route, Code::Ok),
            // There is an answer, so the call is not told that there is none: it ends as one that is declined.
            Recalled::Stale { .. } => self.enter(progress, route + 1, Code::Refused, now_ms),
            Recalled::Nothing => self.enter(progress, route + 1, code, now_ms),
        }
    }

    /// What follows an attempt without a result.
    fn after(
        &self,
        progress: &mut Progress,
        (route, number): (usize, u32),
        ended: &AttemptEnd,
        now_ms: u64,
    ) -> Step {
        if route == 0 {
            // A fallback's answer tells the caller how the called tool ended.
            progress.primary_ended = Some(ended.code);
        }
        match self.repeat(progress, route, number, ended, now_ms) {
            Ok(step) => return step,
            // Asked only where no retry follows: one under the same key needs no answer.
            Err(why) => match self.ask(progress, route, ended, now_ms) {
                Some(step) => return step,
                None => {
                    let tool = self.routes[route].input.tool.clone();
                    progress.path.push(PathStep::Stopped { tool, why });
                }
            },
        }
        // A fallback does the same work, so after an effect it could apply it twice, like a retry. It would not send the
        // same idempotency key either.
        if ended.code.facts().falls_back.given(ended.transient) && ended.left == Left::Nothing {
            self.enter(progress, route + 1, ended.code, now_ms)
        } else {
            progress.give_up(ended.code)
        }
    }

    /// Starts this route, or the next one that can still succeed.
    fn enter(&self, progress: &mut Progress, first: usize, code: Code, now_ms: u64) -> Step {
        for (index, route) in self.routes.iter().enumerate().skip(first) {
            if route.input.is_cached() {
                progress.sought = Some((index, code));
                return Step::Recall { route: index };
            }
            if let BreakerView::Open { remaining_ms, scope } = route.input.breaker {
                let why = format!("paused for {} for {remaining_ms} ms after failures", scope.as_str());
                progress.skip(&route.input.tool, why);
                continue;
            }
            match self.time(route, now_ms) {
                Ok(deadline_ms) => {
                    // Each tool has its own quota.
                    progress.spent = 0;
                    return attempt(progress, route, (index, 1), (0, 0), deadline_ms);
                }
                Err(why) => progress.skip(&route.input.tool, why),
            }
        }
        progress.give_up(code)
    }

    /// The question whether an effect happened that was not settled, where a tool can be asked in time.
    fn ask(&self, progress: &mut Progress, index: usize, ended: &AttemptEnd, now_ms: u64) -> Option<Step> {
        let verify = self.routes[index].input.verify.as_ref();
        let verify = verify.filter(|_| ended.code == Code::OutcomeUnknown)?;
        let (tool, wait_ms) = (verify.tool.clone(), verify.after_ms);
        let remaining = self.deadline_ms.saturating_sub(now_ms).saturating_sub(wait_ms);
        // At least 1, as for attempts.
        if remaining < verify.useful_ms_min.max(1) {
            let why =
                format!("it may be asked after {wait_ms} ms, and {remaining} ms of the call are left then");
            progress.path.push(PathStep::Skipped { tool, why });
            return None;
        }
        progress.path.push(PathStep::Asked { tool, wait_ms });
        progress.asked_about = Some(ended.clone());
        Some(Step::Verify { route: index, wait_ms, deadline_ms: remaining.min(verify.attempt_deadline_ms) })
    }

    /// Another attempt on the same route, or why not.
    fn repeat(
        &self,
        progress: &mut Progress,
        index: usize,
        number: u32,
        ended: &AttemptEnd,
        now_ms: u64,
    ) -> Result<Step, String> {
        let route = &self.routes[index];
        // The first failed check is the reason that people read. The outcome and its effects come first, then what is
        // left of attempts, quota and time.
        if !worth_repeating(route, number, ended) {
            return Err(format!("`{}` would end the same way", ended.ended_by));
        }
        if route.repeat == Repeat::Never || ended.left == Left::Once {
            return Err("it may have had an effect".into());
        }
        if number >= route.input.retry.attempts_max {
            return Err(format!("{number} of {number} attempts are made"));
        }
        let facts = ended.ended_by.facts();
        let throttled = facts.retry == Retry::Throttled;
        let cost = quota::cost(throttled);
        if route.input.quota.saturating_sub(progress.spent) < cost {
            return Err("its retry quota is spent".into());
        }
        // Computed again from the plan's inputs, since the planned wait knows no hint. It differs from it by the hint
        // only.
        let factor = self.jitter.factors(&self.args_digest, index).factor(number);
        let wait_ms = route.input.retry.wait_ms(number, throttled, factor, ended.retry_after_ms);
        // The tool would refuse again before its own time has passed. The wait follows a hint up to a bound only.
        if facts.retry == Retry::AsRefused && ended.retry_after_ms.is_none_or(|hint| hint > wait_ms) {
            return Err("it declines for longer than the plan would wait".into());
        }
        let deadline_ms = self.time(route, now_ms.saturating_add(wait_ms))?;
        // Charged last: a retry that has no time left costs nothing.
        progress.spent += cost;
        Ok(attempt(progress, route, (index, number + 1), (wait_ms, cost), deadline_ms))
    }

    /// Time for an attempt that starts at `start_ms`, in milliseconds, or why that is too little.
    fn time(&self, route: &Route, start_ms: u64) -> Result<u64, String> {
        let remaining = self.deadline_ms.saturating_sub(start_ms).saturating_sub(route.reserve_ms);
        // At least 1, so that a minimum of 0 starts no attempt without any time.
        if remaining < route.input.useful_ms_min.max(1) {
            return Err(format!(
                "{remaining} ms are left for it; it is of no use below {} ms",
                route.input.useful_ms_min
            ));
        }
        Ok(remaining.min(route.input.attempt_deadline_ms))
    }

    /// Whether a path is one that this plan allows: every attempt is planned, in the planned order, and no wait exceeds
    /// the planned one by more than a hint may add.
    pub fn allows(&self, path: &[PathStep]) -> bool {
        let mut at = (0, 0);
        path.iter().all(|step| {
            let PathStep::Attempt { tool, number, wait_ms, .. } = step else { return true };
            let Some(index) = self.routes.iter().position(|route| route.input.tool == *tool) else {
                return false;
            };
            let follows = if index == at.0 { *number == at.1 + 1 } else { index > at.0 && *number == 1 };
            at = (index, *number);
            let route = &self.routes[index];
            // Waits begin with the second attempt. The first has no wait: its index wraps around and finds none.
            let waits = self.waits(index);
            let planned = waits.get((*number as usize).wrapping_sub(2));
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
    (wait_ms, cost): (u64, u32),
    deadline_ms: u64,
) -> Step {
    progress.at = Some((index, number));
    progress.path.push(PathStep::Attempt { tool: route.input.tool.clone(), number, wait_ms, cost });
    Step::Attempt { route: index, number, wait_ms, deadline_ms }
}

fn accept(progress: &Progress, route: usize, code: Code) -> Step {
    if route == 0 {
        return Step::Accept { code, fallback_because: None };
    }
    // A called tool that was passed over had no outcome of its own: it was paused, or had no time.
    let because = progress.primary_ended.unwrap_or(Code::Overloaded);
    Step::Accept { code: Code::Degraded, fallback_because: Some(because) }
}

fn worth_repeating(route: &Route, number: u32, ended: &AttemptEnd) -> bool {
    match ended.ended_by.facts().retry {
        Retry::Never => false,
        Retry::ByEffects | Retry::AfterHint | Retry::Throttled => true,
        Retry::UnlessClosed => !route.input.is_closed,
        Retry::IfTransient => ended.transient,
        Retry::IfDeclared => route.input.retry.implausible,
        Retry::AsRefused => ended.retry_after_ms.is_some(),
        Retry::Once => number == 1,
    }
}
