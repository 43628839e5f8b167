//! One attempt of a plan: takes its slots, runs it, judges its outcome.
//!
//! Owns what an attempt adds to the events. Must not know the other attempts of the plan.

use std::pin::pin;
use std::time::Duration;

use super::confidential;
use super::denials;
use super::details::Details;
use super::events::Events;
use super::judge::{Asked, Judged, judge};
use super::permit::PermittedRoute;
use super::recording;
use super::recording::Taped;
use super::unsettled;
use crate::execute::{Attempt, Attempted, Outcome, RunError};
use crate::generation::{Generation, Probe, Slots};
use crate::policy::Permit;
use crate::registry::{Form, Tool};
use airlock_contract::tool::ValidArgs;
use airlock_types::caller::Caller;
use airlock_types::code::Code;
use airlock_types::environment::{SharedEnvironment, ms, within};
use airlock_types::event::Event;
use airlock_types::grant::random::RandomMode;
use airlock_types::plan::{AttemptEnd, BreakerView, Jitter, Plan, Route};
use airlock_types::usage::{Traces, TrapReport};

/// When a call may come again whose code was not ready in its time, in milliseconds. A guess: how long it takes is unknown.
const AGAIN_MS: u64 = 1_000;

/// An attempt that the plan asks for.
pub(super) struct PlannedAttempt<'a> {
    /// The tool to run, with its permit.
    pub(super) route: &'a PermittedRoute,
    /// The tool that was called: the one to run, or that whose fallback it is.
    pub(super) called: &'a Tool,
    /// The attempt's number on its route, from 1.
    pub(super) number: u32,
    /// The seed of the call, as its record has it.
    pub(super) seed: &'a Jitter,
    /// Whether it is the first one of the call. The caller asked for that one itself, so it gets no notice about it.
    pub(super) is_first: bool,
    /// Its times.
    pub(super) times: Times,
    /// Whether it is one of the few that try whether a paused tool works again.
    pub(super) is_probe: bool,
}

impl<'a> PlannedAttempt<'a> {
    /// The attempt of a step, of which the plan says how long it may take, so long after the call began.
    pub(super) fn of(
        plan: &'a Plan,
        routes: &'a [PermittedRoute],
        (index, number, deadline_ms): (usize, u32, u64),
        elapsed_ms: u64,
    ) -> PlannedAttempt<'a> {
        let Route { input, reserve_ms, .. } = &plan.routes[index];
        let left_ms = plan.deadline_ms.saturating_sub(elapsed_ms);
        let window_ms = left_ms.saturating_sub(*reserve_ms);
        PlannedAttempt {
            route: &routes[index],
            called: &routes[0].candidate.tool,
            number,
            seed: &plan.jitter,
            is_first: (index, number) == (0, 1),
            times: Times { deadline_ms, window_ms, useful_ms_min: input.useful_ms_min, left_ms },
            is_probe: input.breaker == BreakerView::Probing,
        }
    }
}

/// The times of an attempt, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// For the wait for its slots, and for the attempt from then on.
    pub(super) deadline_ms: u64,
    /// For both together: what the call has left for this route.
    pub(super) window_ms: u64,
    /// The least that an attempt is worth starting with.
    pub(super) useful_ms_min: u64,
    /// What is left to the call: what both may take with the preparation of its code.
    pub(super) left_ms: u64,
}

impl Times {
    /// Time for the attempt once it has its slots, after a wait. None where that is too little: a tool that is stopped at once
    /// gives no answer, and may have had an effect until then.
    fn after(&self, waited: Duration) -> Option<Duration> {
        let Times { deadline_ms, window_ms, useful_ms_min, .. } = *self;
        // In whole milliseconds, as the plan counts: an attempt that did not wait was judged by it already.
        let left_ms = window_ms.saturating_sub(ms(waited));
        let rest = Duration::from_millis(window_ms).saturating_sub(waited);
        (left_ms >= useful_ms_min.max(1)).then(|| rest.min(Duration::from_millis(deadline_ms)))
    }
}

/// An attempt that ended, also one that did not run.
pub(super) struct EndedAttempt {
    pub(super) judged: Judged,
}

impl EndedAttempt {
    /// An attempt that did not run. What earlier ones did may still be open.
    fn not_run(route: &PermittedRoute, code: Code, details: Details) -> EndedAttempt {
        EndedAttempt { judged: unsettled::judge(Judged::failed(code, details), route.effects()) }
    }

    /// The part of the outcome that the plan decides by.
    pub(super) fn for_plan(&self) -> AttemptEnd {
        let Judged { code, ref details, .. } = self.judged;
        let Details { transient, retry_after_ms, ended_by, ref effects, .. } = **details;
        AttemptEnd { code, ended_by: ended_by.unwrap_or(code), left: effects.left, transient, retry_after_ms }
    }
}

/// Makes one attempt. Guest failures, missing slots and host failures are all returned as an [`EndedAttempt`], so that
/// the plan decides what follows.
pub(super) async fn attempt(
    host: &Generation,
    planned: PlannedAttempt<'_>,
    args: &ValidArgs,
    events: &mut Events<'_>,
) -> EndedAttempt {
    let PlannedAttempt { route, called, number, is_first, seed, times, is_probe } = planned;
    let PermittedRoute { candidate, permit, .. } = route;
    let (tool, environment) = (&candidate.tool, host.environment());
    let left_until = environment.monotonic().saturating_add(Duration::from_millis(times.left_ms));
    // Held to the end of this function: judging the result counts as work of the attempt, too.
    let (_places, until) = match enter(host, (&tool.name, events.caller()), times, is_probe).await {
        Ok(entered) => entered,
        Err(details) => return EndedAttempt::not_run(route, Code::Overloaded, details),
    };
    let linked = tool.runnable.as_ref().and_then(|runnable| runnable.linked(permit));
    let (form, until) = match linked {
        Some(form) => (Ok(form), until),
        // Boxed: all other calls would carry its state.
        None => Box::pin(first(environment, tool, permit, (until, left_until))).await,
    };
    let Form { linked, function } = match form {
        Ok(form) => form,
        Err(retry_after_ms) => {
            return EndedAttempt::not_run(route, Code::Overloaded, Details::unready(retry_after_ms));
        }
    };
    // The time that is left after the wait for slots: the guest may use no more than the plan allows.
    let deadline = until.saturating_sub(environment.monotonic());
    let started = Event::AttemptStarted {
        tool: tool.name.clone(),
        shown_as: candidate.shown_name(),
        component: tool.component.digest.clone(),
        number,
        is_first,
    };
    let random = permit.effective().random;
    let seed =
        if random == Some(RandomMode::Seeded) { seed.bytes_of(&tool.name) } else { environment.seed() };
    let tape = recording::tape(tool, permit);
    if confidential::of(host, &events.head.tool, &[]).is_some() {
        tape.set_confidential(confidential::WHY);
    }
    // Before `start`, which borrows the events mutably for the traces.
    let (listener, http) = (events.listener(), route.http(&events.head.id));
    let attempt = Attempt {
        tool: &tool.name,
        number,
        linked,
        function,
        has_result: tool.contract.function.ty.result.is_some(),
        args: args.values(),
        permit,
        seed,
        deadline,
        ledger: route.ledger().filter(|_| events.is_intended()).cloned(),
        http,
        files: route.files(),
        keeper: route.keeper.clone(),
        listener,
        tape: tape.clone(),
        traces: events.start(started),
    };
    let has_intent = attempt.ledger.is_some();
    let attempted = host.execute().run(attempt).await;
    let taped = Taped { tape, tool, permit, seed, has_intent };
    ended(host, (route, Asked { tool, called, args }), (attempted, taped), events)
}

/// Waits for the slots of an attempt. Also returns until when it may run.
///
/// # Errors
/// When there is none in time, or too little time after it, or as many calls try the paused tool as may.
async fn enter<'h>(
    host: &'h Generation,
    (tool, who): (&str, &Caller),
    times: Times,
    is_probe: bool,
) -> Result<((Slots, Probe<'h>), Duration), Details> {
    let environment = host.environment();
    let began = environment.monotonic();
    let until = began.saturating_add(Duration::from_millis(times.deadline_ms));
    let slots = host.enter(tool, who, until).await.map_err(|_| Details::no_slot())?;
    // Its own time begins here: what the wait took is not the tool's, whose breaker would count it.
    let entered = environment.monotonic();
    let time = times.after(entered.saturating_sub(began)).ok_or_else(Details::no_slot)?;
    let probe = host.probe(tool, who, is_probe).ok_or_else(Details::probed)?;
    Ok(((slots, probe), entered.saturating_add(time)))
}

/// What runs under a permit, when it is not linked yet, and until when it may run: what its preparation took comes on top, within
/// what is left to the call. If it cannot be prepared, or not in that time: after how many milliseconds it may be.
async fn first<'t>(
    environment: &SharedEnvironment,
    tool: &'t Tool,
    permit: &Permit,
    (until, left_until): (Duration, Duration),
) -> (Result<Form<'t>, u64>, Duration) {
    let Some(runnable) = &tool.runnable else {
        tracing::error!("`{}` was loaded to be looked at and has no code", tool.name);
        return (Err(AGAIN_MS), until);
    };
    let began = environment.monotonic();
    let made = within(&**environment, left_until, pin!(runnable.under(permit, environment))).await;
    let form = match made {
        Some(Ok(form)) => Ok(form),
        Some(Err(err)) => {
            let (path, again_ms) = (tool.component.path.display(), err.retry_after_ms(environment));
            tracing::error!("`{}` cannot run: `{path}`: {err}; not tried again for {again_ms} ms", tool.name);
            Err(again_ms)
        }
        // It is made all the same, for the next call.
        None => {
            tracing::error!("`{}` cannot run: its code was not ready in the time of the call", tool.name);
            Err(AGAIN_MS)
        }
    };
    let took = environment.monotonic().saturating_sub(began);
    (form, until.saturating_add(took).min(left_until))
}

/// Judges the outcome of an attempt and appends its end to the events.
fn ended(
    host: &Generation,
    (route, asked): (&PermittedRoute, Asked<'_>),
    (attempted, taped): (Attempted, Taped<'_>),
    events: &mut Events<'_>,
) -> EndedAttempt {
    // Read first: judging the outcome is the host's work, and `worked_since` charges it to the caller.
    let ended = host.environment().monotonic();
    let mut traces = events.take_traces();
    denials::explain(events, route, &mut traces);
    // Before the outcome is judged, which takes its value.
    traces.recording = taped.finish(&attempted, &traces.usage);
    let (mut judged, trap) = match attempted {
        Ok(outcome) => read(host, asked, outcome, &traces),
        Err(RunError::Exhausted) => {
            // The pool is sized for `host.calls_max` calls. A component that takes several places can still exhaust it,
            // which a setting of the host mends and which is not the tool's fault: breakers must not count it.
            tracing::warn!("the engine has no room for `{}`: lower `host.calls_max`", asked.tool.name);
            // The guest never ran, so the record must not list an attempt.
            events.push(Event::AttemptWithdrawn);
            return EndedAttempt::not_run(route, Code::Overloaded, Details::no_slot());
        }
        Err(RunError::Failed(err)) => {
            tracing::error!("the sandbox failed while it ran `{}`: {err:#}", asked.tool.name);
            (Judged::failed(Code::HostInternal, Details::default()), None)
        }
    };
    traces.confidential = match &judged.accepted {
        Some(accepted) => confidential::values(asked, accepted.result.as_ref()),
        None => std::mem::take(&mut judged.details.confidential),
    };
    // However it ended, and whatever was judged: what is not settled may have happened.
    let judged = unsettled::judge(judged, traces.effects.clone());
    events.worked_since(ended);
    let (code, findings) = (judged.code, judged.findings().to_vec());
    events.push(Event::AttemptEnded { code, traces: Box::new(traces), trap, findings });
    EndedAttempt { judged }
}

/// The verdict about an outcome, and its trap report, which goes into the record only.
fn read(
    host: &Generation,
    asked: Asked<'_>,
    mut outcome: Outcome,
    traces: &Traces,
) -> (Judged, Option<TrapReport>) {
    let now_unix_ms = ms(host.environment().wall());
    // The engine lifts values by their types, so a value that does not fit its type is a fault of the host.
    let judged = judge(asked, &mut outcome, traces, now_unix_ms).unwrap_or_else(|err| {
        tracing::error!("a value of `{}` is not of its type: {err}", asked.tool.name);
        Judged::failed(Code::HostInternal, Details::default())
    });
    let trap = if let Outcome::Trap(trap) = outcome { Some(trap) } else { None };
    (judged, trap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_for_slots_takes_nothing_of_the_attempt_but_what_the_call_has_not() {
        let times = Times { deadline_ms: 300, window_ms: 1_000, useful_ms_min: 290, left_ms: 2_000 };
        let after =
            |waited_ms: u64| times.after(Duration::from_millis(waited_ms)).map(|time| time.as_millis());
        assert_eq!([after(0), after(299), after(700)], [Some(300); 3]);
        assert_eq!([after(705), after(710)], [Some(295), Some(290)]);
        assert_eq!([after(711), after(1_000), after(5_000)], [None; 3]);
        // Parts of a millisecond are not counted, as the plan does not count them.
        let least = Times { window_ms: 290, ..times };
        assert!(least.after(Duration::from_micros(900)).is_some());
        let none = Times { window_ms: 0, useful_ms_min: 0, ..times };
        assert!(none.after(Duration::ZERO).is_none(), "no time is of no use");
    }
}
