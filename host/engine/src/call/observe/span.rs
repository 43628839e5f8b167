//! The spans of a call: one for the call, one for each attempt. Field names come from `telemetry::field` only.
//!
//! A span is opened when its work begins: it cannot be backdated, and spans inside it need a live parent.

use std::fmt;

use crate::telemetry::{self, field};
use airlock_types::call::{Call, TraceParent};
use airlock_types::event::Event;
use airlock_types::plan::PathStep;
use airlock_types::shorten;
use tracing::Span;

/// The open spans of one call.
pub(in crate::call) struct Spans {
    call: Span,
    attempt: Span,
}

impl Spans {
    pub(super) fn new(call: &Call) -> Spans {
        Spans { call: open(call), attempt: Span::none() }
    }

    pub(in crate::call) fn call(&self) -> Span {
        self.call.clone()
    }

    pub(in crate::call) fn attempt(&self) -> Span {
        self.attempt.clone()
    }

    pub(super) fn observe(&mut self, event: &Event) {
        match event {
            // At the plan's step, before the wait for slots, so that the span contains it.
            Event::Stepped { step: PathStep::Attempt { tool, number, .. } } => {
                self.attempt = tracing::info_span!(
                    parent: &self.call,
                    "attempt",
                    { field::ROUTE } = &**tool,
                    { field::ATTEMPT } = number,
                    { field::OUTCOME } = tracing::field::Empty,
                );
            }
            Event::Stepped { step: PathStep::Ended { code, .. } } => {
                self.attempt.record(field::OUTCOME, code.as_str());
                // An event inside the span, so that logs without an exporter show the end of each attempt, too.
                self.attempt.in_scope(|| tracing::debug!(code = code.as_str(), "attempt"));
                self.attempt = Span::none();
            }
            Event::Resolved { .. }
            | Event::Counted
            | Event::Admitted { .. }
            | Event::Validated { .. }
            | Event::Decided { .. }
            | Event::Planned { .. }
            | Event::Intended
            | Event::Withdrawn
            | Event::Stepped {
                step:
                    PathStep::Skipped { .. }
                    | PathStep::Stopped { .. }
                    | PathStep::Asked { .. }
                    | PathStep::Verified { .. }
                    | PathStep::Recalled { .. },
            }
            | Event::AttemptStarted { .. }
            | Event::AttemptEnded { .. }
            | Event::AttemptWithdrawn
            | Event::Looked { .. }
            | Event::Unchecked { .. }
            | Event::Repeated { .. }
            | Event::Held { .. }
            | Event::Worked { .. }
            | Event::Answered { .. } => {}
        }
    }

    /// Writes the outcome of the call to its span.
    pub(in crate::call) fn finish(&self, reply: &airlock_types::reply::Reply) {
        self.call.record(field::OUTCOME, reply.code.as_str());
        self.call.record(field::RECORD, reply.record.as_str());
        self.call.record(field::FUEL, reply.usage.fuel);
        if reply.error.is_some() {
            self.call.record(field::ERROR, reply.code.as_str());
            // OpenTelemetry's own field: backends find failed spans by it.
            self.call.record("otel.status_code", "ERROR");
        }
    }
}

/// Opens the span of a call, as a child of the caller's span when it names one.
fn open(call: &Call) -> Span {
    let span = tracing::info_span!(
        "tools/call",
        // OpenTelemetry's conventions for MCP make the span of a tool call one of kind server.
        "otel.kind" = "server",
        // A requested name may be of any length and contain control characters: it is cleaned and cut.
        "otel.name" = %format_args!("tools/call {:.80}", Shown(&call.tool)),
        "otel.status_code" = tracing::field::Empty,
        { field::METHOD } = "tools/call",
        { field::OPERATION } = "execute_tool",
        { field::TOOL } = %format_args!("{:.80}", Shown(&call.tool)),
        { field::CALLER } = %call.caller,
        { field::OUTCOME } = tracing::field::Empty,
        { field::ERROR } = tracing::field::Empty,
        { field::RECORD } = tracing::field::Empty,
        { field::FUEL } = tracing::field::Empty,
    );
    // A disabled span has no children to place, so its parent is not parsed.
    if let Some(TraceParent { parent, state }) = call.trace.as_ref().filter(|_| !span.is_disabled()) {
        telemetry::trace::adopt(&span, parent, state.as_deref());
    }
    span
}

/// Text of a caller in a log or a trace. Cleaned when it is formatted, so a disabled span costs nothing.
struct Shown<'t>(&'t str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Clipped first: the name may be megabytes long. The formats above show 80 characters, at most 320 bytes.
        f.pad(&shorten::clean(&shorten::clip(self.0, 400)))
    }
}
