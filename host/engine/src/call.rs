//! The way of a call: the order of the stages, and nothing of how they work.
//!
//! `call` cannot fail: it opens a draft of the record, runs the stages, seals and replies. A draft that is
//! dropped half-way seals itself as cancelled. To add a stage: a function that takes the last one's type, and
//! its line in `stages`.

// Every outcome is looked at wherever outcomes are told apart.
#![warn(clippy::wildcard_enum_match_arm)]

mod attempt;
mod draft;
mod execution;
mod report;
mod stage;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use tracing::Instrument as _;

use airlock_types::call::{Call, Observer, TraceParent};
use airlock_types::reply::Reply;
use draft::Draft;
use execution::Execution;
use stage::End;

use crate::generation::Generation;
use crate::telemetry;
use crate::telemetry::field;
use airlock_types::plan::{Plan, Step};
use airlock_types::shorten;

/// Calls a tool. Whatever happens, there is a reply, and a record of it.
pub(crate) async fn call(host: &Generation, raw: Call, observer: Option<Arc<dyn Observer>>) -> Reply {
    let span = span(&raw);
    // Pinned where it is: a future that is given away is copied whole, and kept twice.
    let call = pin!(async {
        let mut draft = Draft::open(host, &raw, observer);
        let end = match stages(host, raw, &mut draft).await {
            Ok(end) | Err(end) => end,
        };
        draft.seal(end).await
    });
    call.instrument(span).await
}

/// The one span of a call; its outcome is added when it is sealed.
fn span(raw: &Call) -> tracing::Span {
    let span = tracing::info_span!(
        "tools/call",
        "otel.kind" = "server",
        // A made-up name may be of any length, and hide anything.
        "otel.name" = %format_args!("tools/call {:.80}", Shown(&raw.tool)),
        "otel.status_code" = tracing::field::Empty,
        { field::METHOD } = "tools/call",
        { field::OPERATION } = "execute_tool",
        { field::TOOL } = %format_args!("{:.80}", Shown(&raw.tool)),
        { field::CALLER } = %raw.caller,
        { field::OUTCOME } = tracing::field::Empty,
        { field::ERROR } = tracing::field::Empty,
        { field::RECORD } = tracing::field::Empty,
        { field::FUEL } = tracing::field::Empty,
    );
    if let Some(TraceParent { parent, state }) = raw.trace.as_ref().filter(|_| !span.is_disabled()) {
        telemetry::trace::adopt(&span, parent, state.as_deref());
    }
    span
}

/// A caller's text in a log or a trace. Cleaned only where one is written.
struct Shown<'t>(&'t str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&shorten::clean(&shorten::clip(self.0, 400)))
    }
}

/// The plan of a call that is not made.
pub(crate) fn explain(host: &Generation, raw: Call) -> Result<Plan, End> {
    let resolved = stage::resolve(host, &raw.caller, &raw.tool)?;
    let valid = stage::judge_arguments(host.caps(), resolved, raw.arguments)?;
    Ok(stage::explain(host, &raw.caller, &valid))
}

async fn stages(host: &Generation, raw: Call, draft: &mut Draft<'_>) -> Result<End, End> {
    let resolved = draft.resolved(stage::resolve(host, &raw.caller, &raw.tool)?);
    let _place = stage::admit(host, &raw.caller, raw.session, draft).await?;
    let valid = stage::validate(host, resolved, raw.arguments, draft).await?;
    let permitted = stage::authorize(draft.valid(valid))?;
    let plan = draft.planned(stage::plan(host, &raw.caller, &permitted));
    draft.intend().await?;
    let mut execution = Execution::new(host, raw.caller, plan);
    let mut step = execution.next(None, draft.elapsed_ms());
    loop {
        let ended = match step {
            Step::Attempt { route, number, wait_ms, deadline_ms } => {
                draft.announce(|| permitted.shown_name(route), route, number);
                stage::wait(wait_ms).await;
                let span = tracing::info_span!(
                    "attempt",
                    { field::ROUTE } = &*execution.plan.routes[route].input.tool,
                    { field::ATTEMPT } = number,
                    { field::OUTCOME } = tracing::field::Empty,
                );
                let attempt = pin!(stage::attempt(host, &permitted, draft, (route, number), deadline_ms));
                attempt.instrument(span).await
            }
            Step::Accept { .. } | Step::GiveUp { .. } => {
                return Ok(draft.finished(&execution.plan, &step, &mut execution.progress));
            }
        };
        step = execution.next(Some(&ended), draft.elapsed_ms());
        draft.follow(&mut execution.progress);
    }
}
