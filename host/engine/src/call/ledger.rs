//! The ledger of effects in one call: whether it repeats one of its session, and what it adds.
//!
//! Owns what follows from a repeat: a failure that would come again is answered, a success is held or noted. Must not know how
//! the session remembers calls. A call of a tool that only reads, or without a session, costs one comparison here.

use std::sync::Arc;

use super::events::Events;
use super::facts::forget_changed;
use super::hold::{REPEAT, Resume};
use super::judge::decision_id;
use super::permit::PermittedRoute;
use super::reply::Failed;
use super::report;
use crate::caller::ledger::{Effectful, End, Ended, Failed as FailedBefore, Known};
use crate::caller::session::Session;
use crate::generation::{Admitted, Generation};
use crate::registry::Tool;
use airlock_contract::tool::ValidArgs;
use airlock_types::answer::RetryAdvice;
use airlock_types::caller::Caller;
use airlock_types::canonical;
use airlock_types::code::{Code, Ran};
use airlock_types::digest::sha256;
use airlock_types::duration;
use airlock_types::effect::Effect;
use airlock_types::event::{Event, Repeated};
use airlock_types::finding::Finding;
use airlock_types::hold::HoldRule;
use airlock_types::record::{Record, v3};
use airlock_types::reply::{Failure, Reply};

/// Bytes of a failure as JSON that a session remembers. One that is longer is remembered without the tool's own value.
const FAILURE_BYTES_MAX: usize = 4 << 10;

/// A call that the ledger of its session counts as running. Each call has its own, also one that runs beside the same call.
pub(super) struct Pending {
    session: Arc<Session>,
    call: Effectful,
    limits: crate::caller::ledger::LedgerLimits,
    ended: Option<Ended>,
}

impl Drop for Pending {
    /// Also of a call that was dropped: it does not run any more.
    fn drop(&mut self) {
        self.session.ledger().ends(&self.call.digest, self.ended.take(), self.limits);
    }
}

/// Looks whether a call of a tool with effects repeats one of its session.
///
/// # Errors
/// When it is answered from the ledger.
pub(super) fn check(
    host: &Generation,
    routes: &[PermittedRoute],
    args: &ValidArgs,
    admitted: &Admitted,
    events: &mut Events<'_>,
) -> Result<Option<HoldRule>, Failed> {
    let Some(tool) = routes.first().map(|route| &route.candidate.tool) else { return Ok(None) };
    if tool.effect.repeatable() {
        return Ok(None);
    }
    let Some(session) = admitted.session().and_then(|id| host.sessions().get(events.caller(), id)) else {
        return Ok(None);
    };
    let (call, limits) = (effectful(tool, args), host.ledger_limits());
    let known = session.ledger().begin(&call, limits, events.started_unix_ms());
    let mut holding = None;
    let stopped = match known {
        Known::New => None,
        Known::Recorded(repeat, failed) => Some((Repeated::read(&repeat), recorded(tool, failed))),
        // A person decided about this very repeat.
        Known::Done { record, .. } if events.is_resumed_repeat() => {
            events.push(Event::Repeated { repeated: Repeated { of: Some(record), how: Repeated::DONE } });
            session.ledger().run_again(&call);
            None
        }
        Known::Running if events.is_resumed_repeat() => {
            events.push(Event::Repeated { repeated: Repeated { of: None, how: Repeated::RUNNING } });
            session.ledger().run_again(&call);
            None
        }
        Known::Failed { failed, record, age_ms } => {
            let answer = answered(tool, *failed, (&record, age_ms, limits.failed_ms_max));
            Some((Repeated { of: Some(record), how: Repeated::FAILED }, answer))
        }
        Known::Done { record, age_ms } if is_held(tool) => {
            let first =
                format!("the same call succeeded {} ago, in record {record}", duration::about(age_ms));
            events.push(Event::Repeated { repeated: Repeated { of: Some(record), how: Repeated::DONE } });
            holding = Some(repeats(first));
            None
        }
        Known::Running if is_held(tool) => {
            events.push(Event::Repeated { repeated: Repeated { of: None, how: Repeated::RUNNING } });
            return Ok(Some(repeats("the same call runs at this moment".to_owned())));
        }
        Known::Done { record, .. } => {
            if tool.effect > Effect::Idempotent {
                events
                    .push(Event::Repeated { repeated: Repeated { of: Some(record), how: Repeated::AGAIN } });
            }
            session.ledger().run_again(&call);
            None
        }
        // Both may change something until they end.
        Known::Running => {
            session.ledger().run_again(&call);
            None
        }
    };
    if let Some((repeated, answer)) = stopped {
        events.push(Event::Repeated { repeated });
        return Err(answer);
    }
    if holding.is_none() {
        events.pending = Some(Box::new(Pending { session, call, limits, ended: None }));
    }
    Ok(holding)
}

/// What is said to a call that relations refuse, and that succeeded before or runs at this moment. `None` where that is not known.
pub(super) fn made(
    host: &Generation,
    tool: &Tool,
    args: &ValidArgs,
    admitted: &Admitted,
    events: &mut Events<'_>,
) -> Option<String> {
    let session = admitted.session().and_then(|id| host.sessions().get(events.caller(), id))?;
    let call = effectful(tool, args);
    let known = session.ledger().look(&call, host.ledger_limits(), events.started_unix_ms());
    let (of, how) = match known {
        Known::Done { record, .. } => (Some(record), Repeated::DONE),
        Known::Running => (None, Repeated::RUNNING),
        Known::Recorded(v3::Repeat { of, how }, _) if how == Repeated::DONE => (of, Repeated::DONE),
        Known::Recorded(v3::Repeat { of, how }, _) if how == Repeated::RUNNING => (of, Repeated::RUNNING),
        Known::Recorded(..) | Known::Failed { .. } | Known::New => return None,
    };
    let said = match &of {
        Some(record) => {
            format!("This same call was made before in this session, and succeeded (record {record})")
        }
        None => "This same call runs at this moment".to_owned(),
    };
    events.push(Event::Repeated { repeated: Repeated { of, how } });
    Some(format!("{said}: do not send it with other arguments to have the same done."))
}

/// Adds a call of a session that another process made, or this one without the session: one that a person approved.
pub(super) fn note(host: &Generation, who: &Caller, session: &str, record: &Record) {
    let (Some(session), Some(args), Some(reply)) =
        (host.sessions().get(who, session), &record.args, &record.reply)
    else {
        return;
    };
    let (Ok(tool), Ok(reply)) =
        (host.registry().resolve(&record.tool), serde_json::from_value::<Reply>(reply.clone()))
    else {
        return;
    };
    if tool.effect.repeatable() || record.attempts.is_empty() {
        return;
    }
    let call = effectful_of(tool, &canonical::of(args));
    forget_changed(&session, tool, record.ended_unix_ms);
    if let Some(ended) = ended(call, &reply, Some(record.ended_unix_ms), record.ended_unix_ms) {
        session.ledger().add(ended, host.ledger_limits());
    }
}

fn effectful(tool: &Tool, args: &ValidArgs) -> Effectful {
    effectful_of(tool, args.canonical())
}

fn effectful_of(tool: &Tool, canonical: &str) -> Effectful {
    let component = &tool.component.digest;
    let facts = tool.contract.facts.as_ref();
    Effectful {
        tool: tool.name.clone(),
        component: component.clone(),
        digest: sha256(format!("{}\n{component}\n{canonical}", tool.name).as_bytes()),
        reads: facts
            .map_or_else(Vec::new, |facts| facts.reads.iter().map(|read| read.name.clone()).collect()),
        changes: facts.map_or_else(Vec::new, |facts| facts.changes.clone()),
    }
}

/// Whether a second success is held: where the author or the operator says that the tool writes. What only its grants make
/// possible is a guess, which must not stop calls.
fn is_held(tool: &Tool) -> bool {
    tool.is_effect_declared && tool.effect > Effect::Idempotent
}

/// The answer to a repeat of a call that failed.
fn answered(tool: &Tool, failed: FailedBefore, (record, age_ms, most_ms): (&str, u64, u64)) -> Failed {
    let FailedBefore { code, mut failure, refusal } = failed;
    let name = &tool.name;
    // Its line about whether the tool ran is of the first call.
    let first: Vec<&str> = failure.message.lines().filter(|line| *line != report::ran(Ran::Ran)).collect();
    let (age, most) = (duration::about(age_ms), duration::about(most_ms));
    failure.message = format!(
        "`{name}` was not run: the same call failed {age} ago, and nothing that it depends on has changed since.\n{}\nThe tool \
         did not run.\nIt will not be run again in this session unless its arguments change, a call in between changes what \
         it depends on, or {most} have passed since it failed (record {record}).",
        first.join("\n")
    );
    (failure.ran, failure.retryable, failure.retry_after_ms) = (Ran::No, false, None);
    Failed::before(code, failure, refusal)
}

/// The rule that holds a call which would do again what was done.
fn repeats(first: String) -> HoldRule {
    let message = Some("the same call was made before, and would do the same a second time".to_owned());
    HoldRule { message, ..HoldRule::plain(REPEAT, vec![first]) }
}

/// The end of a recorded call that was held as a repeat.
fn held(tool: &Tool, first: &str) -> Failed {
    let name = &tool.name;
    let mut failed = report::failed(name, Code::PolicyDuplicate, &Default::default());
    failed.report.message = format!(
        "`{name}` was not run: the same call {first}, and would do the same a second time.\nThe tool did not run.\nDo not send \
         it again: nobody can approve it here. Tell your user what was done already. If they want it a second time, make the \
         call in another session, or with arguments that tell the two apart."
    );
    failed
}

/// The answer to a recorded call that was stopped, as it was then.
fn recorded(tool: &Tool, failed: Option<Box<FailedBefore>>) -> Failed {
    match failed {
        Some(failed) => Failed::before(failed.code, failed.failure, failed.refusal),
        None => held(tool, "was made before"),
    }
}

impl Events<'_> {
    /// Whether a person approved that the call is made a second time.
    fn is_resumed_repeat(&self) -> bool {
        let is_repeat = |resume: &Resume| resume.hold.rules.iter().any(|rule| rule.rule == REPEAT);
        self.resumed.as_deref().is_some_and(is_repeat)
    }

    /// The findings about repeats that ran all the same.
    pub(super) fn repeat_findings(&self) -> Option<Finding> {
        let of = self.list.iter().find_map(|event| {
            let Event::Repeated { repeated } = event else { return None };
            repeated.of.as_deref().filter(|_| repeated.how == Repeated::AGAIN)
        });
        of.map(Finding::repeated)
    }

    /// Gives a failure that would come again its decision id, which its repeats have, too.
    pub(super) fn decide(&self, reply: &mut Reply) {
        if self.pending.is_none() || !is_deterministic(reply) {
            return;
        }
        let (component, args) = (self.component().unwrap_or_default(), self.args().unwrap_or_default());
        let made = || decision_id(component, args, reply.code.as_str());
        let id = reply.refusal.as_ref().map_or_else(made, |refusal| refusal.decision_id.clone());
        if let Some(error) = &mut reply.error {
            error.decision_id = Some(id);
        }
    }

    /// Notes for the ledger how the call ended: `reply` is none for one that was cut off, and `has_changed` is whether it may have
    /// changed anything. The call runs on until its [`Pending`] is dropped.
    pub(super) fn settle(&mut self, reply: Option<&Reply>, has_changed: bool) {
        let Some(mut pending) = self.pending.take() else { return };
        let ended_unix_ms = self.started_unix_ms() + self.elapsed_ms();
        let (call, changed_unix_ms) = (pending.call.clone(), has_changed.then_some(ended_unix_ms));
        pending.ended = match reply {
            Some(reply) => ended(call, reply, changed_unix_ms, ended_unix_ms),
            None => {
                let record = self.head.id.clone();
                let cut_off = Ended { call, end: End::Unknown, changed_unix_ms, record, ended_unix_ms };
                has_changed.then_some(cut_off)
            }
        };
        self.pending = Some(pending);
    }
}

/// What the end of a call says about a repeat. None if nothing.
fn ended(call: Effectful, reply: &Reply, changed_unix_ms: Option<u64>, ended_unix_ms: u64) -> Option<Ended> {
    let failed = reply.error.as_ref().filter(|_| is_deterministic(reply));
    let end = match failed {
        Some(failure) => {
            let failure = bounded(failure.clone());
            let refusal = reply.refusal.clone().map(Box::new);
            End::Failed(Box::new(FailedBefore { code: reply.code, failure, refusal }))
        }
        // A result that waits for a person is the result of a call that was made.
        None if reply.code.has_result() || ran_and_waits(reply) => End::Done,
        None if changed_unix_ms.is_some() => End::Unknown,
        None => return None,
    };
    Some(Ended { call, end, changed_unix_ms, record: reply.record.clone(), ended_unix_ms })
}

fn ran_and_waits(reply: &Reply) -> bool {
    reply.code == Code::PolicyHeld && reply.error.as_ref().is_some_and(|error| error.ran == Ran::Ran)
}

/// Whether the same call would fail in the same way again. Time, load and upstreams are no part of it.
fn is_deterministic(reply: &Reply) -> bool {
    let is_final = reply.error.as_ref().is_some_and(|error| !error.retryable && error.ran == Ran::Ran);
    let kinds = [
        Code::ToolError,
        Code::LimitFuel,
        Code::LimitMemory,
        Code::LimitTable,
        Code::LimitOutput,
        Code::LimitStack,
        Code::LimitResources,
    ];
    let declines = |advice: &RetryAdvice| matches!(advice, RetryAdvice::Never);
    let is_refused = reply.refusal.as_ref().is_some_and(|refusal| declines(&refusal.retryable));
    is_final && (kinds.contains(&reply.code) || (reply.code == Code::Refused && is_refused))
}

fn bounded(failure: Failure) -> Failure {
    let is_long = serde_json::to_vec(&failure).is_ok_and(|text| text.len() > FAILURE_BYTES_MAX);
    if is_long { Failure { detail: None, ..failure } } else { failure }
}
