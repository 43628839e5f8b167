//! The way of a call: the order of the stages, and nothing of how they work.
//!
//! A call cannot fail: whatever happens there is a reply, and a record of it. Each stage takes what the stage before it
//! returned; what happened is appended to the events of the call, of which the record, metrics and budgets are made. To
//! add a stage: a function of the module that owns it, which takes the last stage's value, and its line in `stages`.

// Every outcome is looked at wherever outcomes are told apart.
#![warn(clippy::wildcard_enum_match_arm)]

mod attempt;
mod details;
mod events;
mod explain;
mod fold;
mod judge;
mod observe;
mod permit;
mod reply;
mod report;
mod routes;
mod seal;
mod validate;

use std::pin::pin;
use std::sync::Arc;

use tracing::Instrument as _;

use airlock_types::call::{Call, Observer};
use airlock_types::event::Event;
use airlock_types::plan::{Progress, Step};
use airlock_types::reply::Reply;
use events::Events;
pub use explain::Explained;
pub(crate) use explain::explain;
use reply::{Delivered, Failed};

use crate::generation::Generation;

/// Calls a tool. Whatever happens, there is a reply, and a record of it.
pub(crate) async fn call(host: &Generation, call: Call, observer: Option<Arc<dyn Observer>>) -> Reply {
    let mut events = Events::open(host, &call, observer);
    let span = events.span();
    // Pinned where it is: a future that is given away is copied whole, and kept twice.
    let made = pin!(async {
        let ended = stages(host, &call, &mut events).await;
        events.seal(ended).await
    });
    made.instrument(span).await
}

async fn stages(host: &Generation, call: &Call, events: &mut Events<'_>) -> Result<Delivered, Failed> {
    // First: a name that is unknown or hidden costs nothing more, and the answer is the same for both.
    let resolved = host.visible(&call.caller).candidates(&call.tool).map_err(|err| report::unknown(&err))?;
    events.push(resolved.event());
    // Before the arguments are read: reading them is work, which takes a slot and which the caller pays for.
    let admitted = host.admit(&call.caller, &call.session, &mut |event| events.push(event)).await;
    let admitted = admitted.map_err(|err| report::not_admitted(events.tool(), err))?;
    let args = validate::validate(host, &resolved, &call.arguments, &admitted, events).await?;
    events.push(validate::event(&args));
    // After the inner door: a rule may depend on the arguments, and only valid ones can be relied on.
    let permitted = permit::permit(host, &call.caller, resolved, &args, &admitted, events)?;
    // With the permits, as a fallback without one is no route.
    let plan = Arc::new(routes::plan(host, &call.caller, &permitted, &args));
    events.push(Event::Planned { plan: plan.clone() });
    // Last before anything runs: a call with effects is on record first, or it does not start.
    events.intend().await?;
    let mut progress = Progress::default();
    let mut judged = None;
    let mut step = plan.next(&mut progress, None, events.elapsed_ms());
    loop {
        events.follow(&mut progress);
        step = match step {
            Step::Attempt { route, number, wait_ms, deadline_ms } => {
                host.wait(wait_ms).await;
                let attempt =
                    attempt::Planned { index: route, route: &permitted[route], number, deadline_ms };
                let span = events.attempt_span();
                let ended = pin!(attempt::attempt(host, attempt, &args, events)).instrument(span).await;
                let next = plan.next(&mut progress, Some(&ended.for_plan()), events.elapsed_ms());
                judged = Some((route, ended));
                next
            }
            Step::Accept { code, fallback_because } => {
                return reply::accepted(events, &permitted, judged, code, fallback_because);
            }
            Step::GiveUp { code, not_run_because } => {
                return Err(reply::given_up(events, &plan, judged, code, not_run_because));
            }
        };
    }
}
