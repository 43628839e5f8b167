//! The order of the stages of a call, and nothing of how they work.
//!
//! Owns the one function in which every stage is called. A call cannot fail: every outcome is a reply with a record.
//! Each stage takes the value that the stage before it returned. What happened is appended to the events of the call,
//! and the record, metrics and budgets are folds over these events. Must not know transports, or how a stage decides.
//! To add a stage: a function in the module that owns it, which takes the value of the stage before it, and a line in
//! `stages`.

// A new outcome code must be handled at every match on codes.
#![warn(clippy::wildcard_enum_match_arm)]

mod attempt;
mod cache;
mod confidential;
mod denials;
mod details;
mod events;
mod explain;
mod facts;
mod fold;
pub(crate) mod hold;
mod idempotency;
pub(crate) mod judge;
mod ledger;
mod made;
mod notice;
mod observe;
mod pause;
mod permit;
mod recall;
pub(crate) mod recording;
mod repeat;
mod reply;
mod report;
mod routes;
mod same;
mod seal;
#[cfg(test)]
mod tests;
mod unsettled;
mod validate;
mod verify;

use std::pin::pin;
use std::sync::Arc;

use tracing::Instrument as _;

use airlock_types::call::{Call, Observer};
use airlock_types::environment::{Environment, ms};
use airlock_types::event::Event;
use airlock_types::plan::{Progress, Step};
use airlock_types::reply::Reply;
use attempt::PlannedAttempt;
use events::Events;
pub use explain::Explained;
pub(crate) use explain::explain;
pub(crate) use fold::INVALID_ARGS_BYTES_MAX;
use hold::Resume;
use reply::{Delivered, Failed};
pub(crate) use same::args_digest;

use crate::generation::Generation;

/// Calls a tool. Every call gets a reply, and a record of it.
pub(crate) async fn call(host: &Generation, call: Call, observer: Option<Arc<dyn Observer>>) -> Reply {
    make(host, &call, Events::open(host, &call, observer)).await
}

async fn make(host: &Generation, call: &Call, mut events: Events<'_>) -> Reply {
    // Cloned before the future below takes the events for the rest of the call.
    let span = events.span();
    // Pinned in place: passing a future by value copies its whole state and keeps both copies.
    let made = pin!(async {
        let ended = stages(host, call, &mut events).await;
        // After the stages, which end with what would be delivered.
        let ended = hold::result(host, &mut events, ended).await;
        events.seal(ended).await
    });
    made.instrument(span).await
}

/// The id of a record that is to be written.
pub(crate) fn new_record(environment: &dyn Environment) -> String {
    events::id(ms(environment.wall()), &environment.seed())
}

/// Makes the call that ends a hold: it runs if a person approved it, and has a record in any case.
pub(crate) async fn resume(host: &Generation, call: Call, resume: Resume) -> Reply {
    let mut events = Events::open(host, &call, None);
    // Chosen before, so that the hold leads to the record however the call ends.
    events.head.id.clone_from(&resume.record);
    events.resumed = Some(Box::new(resume));
    make(host, &call, events).await
}

/// Runs the stages in order. `Err` is a reply without a result; it ends the call at that stage.
async fn stages(host: &Generation, call: &Call, events: &mut Events<'_>) -> Result<Delivered, Failed> {
    // Before the first stage: how a hold ended is on record, however this call does.
    hold::resumed(events)?;
    // First: an unknown name ends here and costs no budget. A hidden tool gets the same answer as an unknown one.
    let resolved = host.visible(&call.caller).candidates(&call.tool).map_err(|err| report::unknown(&err))?;
    events.push(resolved.event());
    // Before the arguments are read: parsing them is work, for which the call needs a slot and its caller pays.
    let admitted = host.admit(&call.caller, &call.session, &mut |event| events.push(event)).await;
    let admitted = admitted.map_err(|err| report::not_admitted(events.tool(), err))?;
    // The inner door: every later stage sees arguments of the right types only.
    let args = match validate::validate(host, &resolved, &call.arguments, &admitted, events).await {
        Ok(args) => args,
        // Boxed: this path is rare, and its state would otherwise enlarge the future of every call.
        Err(unfit) => return Box::pin(made::before(host, call, resolved, unfit, &admitted, events)).await,
    };
    events.push(validate::event(&args));
    events.unchecked(&args);
    // After validation: a rule may depend on the arguments, and only valid ones can be relied on.
    let (permitted, mut holding) = permit::permit(host, &call.caller, resolved, &args, &admitted, events)?;
    // After the permits: what a caller may not do any more is not answered from memory either.
    if let Some(key) = &call.idempotency
        // Boxed: this path is rare, and its state would otherwise enlarge the future of every call.
        && let Some(again) = Box::pin(idempotency::check(host, key, &args, events)).await?
    {
        return Ok(again);
    }
    holding.extend(ledger::check(host, &permitted, &args, &admitted, events)?);
    // Last of what may stop a call: a person is asked only about one that would run.
    if let Some(ended) = hold::check(host, &permitted, holding, &admitted, events).await? {
        return Ok(ended);
    }
    // Of tools that only read, which the ledger does not stop.
    if let Some(again) = cache::check(&permitted, &args, admitted.session().map(String::as_str), events) {
        return Ok(again);
    }
    // After the permits: a fallback without a permit is not part of the plan.
    let plan = Arc::new(routes::plan(host, &call.caller, &permitted, &args));
    events.push(Event::Planned { plan: plan.clone() });
    // Last before anything runs: a call with effects is on record first, or it does not start.
    events.intend().await?;
    // The plan decides every step; this loop only carries the steps out.
    let mut progress = Progress::default();
    // Only the latest attempt is kept: the reply delivers its value or reports its failure.
    let mut judged = None;
    let mut step = plan.next(&mut progress, None, events.elapsed_ms());
    loop {
        // Before the step is carried out: spans and breakers follow the plan's steps as they are taken.
        events.follow(&mut progress);
        step = match step {
            Step::Attempt { route, number, wait_ms, deadline_ms } => {
                // Before the slots are taken, so that a call that backs off holds no slot of its tool.
                host.wait(wait_ms).await;
                let step = (route, number, deadline_ms);
                let attempt = PlannedAttempt::of(&plan, &permitted, step, events.elapsed_ms());
                // `follow` opened the span of this attempt when its step was observed.
                let span = events.attempt_span();
                let ended = pin!(attempt::attempt(host, attempt, &args, events)).instrument(span).await;
                // The plan decides with the time that is left now, after the attempt and its waits.
                let next = plan.next(&mut progress, Some(&ended.for_plan()), events.elapsed_ms());
                judged = Some((route, ended));
                next
            }
            Step::Verify { route, wait_ms, deadline_ms } => {
                // What was sent may be applied for as long as the upstream takes; asked earlier, the answer proves nothing.
                host.wait(wait_ms).await;
                let (route, how) = (&permitted[route], (&plan.jitter, deadline_ms));
                let (found, left) = pin!(verify::verify(host, route, how, &mut judged, events)).await;
                plan.verified(&mut progress, found, left, events.elapsed_ms())
            }
            Step::Recall { route } => {
                let (found, answer) = recall::recall(events, &plan, &permitted[route]).await;
                judged = answer.map(|answer| (route, answer)).or(judged);
                plan.recalled(&mut progress, found, events.elapsed_ms())
            }
            Step::Accept { code, fallback_because } => {
                return reply::accepted(events, (&permitted, &args), judged, code, fallback_because);
            }
            Step::GiveUp { code, not_run_because } => {
                return Err(reply::given_up(events, &plan, judged, code, not_run_because));
            }
        };
    }
}
