//! The record of a call, in the newest stored format.
//!
//! Owns which event fills which field. Must not know how records are stored.

use std::sync::Arc;

use crate::call::events::Head;
use airlock_types::call::Arguments;
use airlock_types::code::Code;
use airlock_types::digest::sha256;
use airlock_types::event::{Event, Repeated};
use airlock_types::grant::Refused;
use airlock_types::json::Json;
use airlock_types::record::Record;
use airlock_types::record::v3::{Attempt, Decision, Denial, Effects, FORMAT, Recording, Repeat, Use};
use airlock_types::usage::Traces;

/// Bytes of invalid arguments that go on record: enough to see the mistake, and a bound on what a caller can make the
/// journal store.
pub(crate) const INVALID_ARGS_BYTES_MAX: usize = 4 << 10;

/// Bytes of a `traceparent` of version 00.
const TRACE_PARENT_BYTES: usize = 55;

/// Hexadecimal digits that tell the sessions of a journal apart.
const SESSION_DIGITS: usize = 16;

/// The attempt that started last: its tool, component and number.
type Started = (Arc<str>, Arc<str>, u32);

/// Makes the record. `reply` is none for a call that was cancelled or only begins.
pub(in crate::call) fn record(
    head: &Head<'_>,
    events: Vec<Event>,
    ended_unix_ms: u64,
    code: Code,
    reply: Option<Json>,
) -> Box<Record<Json>> {
    // Boxed: the record moves through several futures and the queue, and each would copy it whole.
    let mut record = Box::new(Record {
        format: FORMAT,
        id: head.id.clone(),
        tool: head.tool.clone(),
        caller: head.call.caller.to_string(),
        session: None,
        trace: trace(head),
        started_unix_ms: head.started_unix_ms,
        ended_unix_ms,
        code: code.into(),
        args: None,
        facts: None,
        repeat: None,
        component: None,
        hold: None,
        decision: None,
        policy: None,
        plan: None,
        path: Vec::new(),
        attempts: Vec::new(),
        reply,
        parts: Vec::new(),
        confidential: None,
        erased_unix_ms: None,
    });
    let mut started = None;
    for event in events {
        put(&mut record, &mut started, event);
    }
    // No `Validated` event: the arguments were invalid, or the call ended before they were judged.
    if record.args.is_none() {
        record.args = Json::of(&args_as_they_came(&head.call.arguments));
    }
    record
}

/// Puts one event into the record.
fn put(record: &mut Record<Json>, started: &mut Option<Started>, event: Event) {
    match event {
        Event::Resolved { component, .. } => record.component = Some(component),
        Event::Admitted { session } => record.session = session.as_deref().map(session_digest),
        Event::Validated { args } => record.args = Some(args),
        Event::Looked { facts } => record.facts = Some(facts),
        Event::Repeated { repeated: Repeated { of, how } } => {
            record.repeat = Some(Repeat { of, how: how.into() })
        }
        // Of a call that a person approved and whose result waits, too: who approved it. Its reply names the other hold.
        Event::Held { held, is_result: _ } => {
            record.hold.get_or_insert(held);
        }
        Event::Decided { ruling, reasons, policy, lacks } => {
            record.decision = Some(Decision::new(ruling, &reasons, lacks));
            record.policy = policy;
        }
        Event::Planned { plan } => record.plan = Some(plan.into()),
        Event::Stepped { step } => record.path.push(step.into()),
        Event::AttemptStarted { tool, component, number, .. } => *started = Some((tool, component, number)),
        // The attempt never ran.
        Event::AttemptWithdrawn => *started = None,
        Event::AttemptEnded { code, traces, trap, findings } => {
            // Each end has its start in the list. An end without one would be a fault of the host and has nothing to
            // show.
            let Some((route, component, number)) = started.take() else { return };
            // Most calls have one attempt, and the record is kept until it is committed. Amortized growth would reserve
            // space for four.
            record.attempts.reserve_exact(1);
            let (denials, denied) = (capabilities(&traces.refused), denied(&traces));
            record.attempts.push(Attempt {
                route,
                component,
                number,
                code: code.into(),
                usage: traces.usage.into(),
                log: traces.log,
                trap: trap.map(Into::into),
                denials,
                denied,
                uses: traces.uses.iter().chain(&traces.tried).map(Use::new).collect(),
                findings: findings.into_iter().map(Into::into).collect(),
                effects: Effects::of(traces.effects),
                recording: traces.recording.map(Recording::from),
            });
        }
        Event::Counted
        | Event::Intended
        | Event::Withdrawn
        | Event::Worked { .. }
        | Event::Unchecked { .. }
        | Event::Answered { .. } => {}
    }
}

/// The caller's span. Text of another length is none, and is not kept: callers can send anything.
fn trace(head: &Head<'_>) -> Option<String> {
    let trace = head.call.trace.as_ref()?;
    (trace.parent.len() == TRACE_PARENT_BYTES).then(|| trace.parent.clone())
}

/// What names a session on record. The name of the session itself would let a reader of the journal join it.
pub(in crate::call) fn session_digest(name: &str) -> String {
    let mut digest = sha256(name.as_bytes());
    digest.truncate(SESSION_DIGITS);
    digest
}

/// The names of the refused capabilities, each run of the same one as one.
fn capabilities(refused: &[Refused]) -> Vec<String> {
    let mut names: Vec<String> =
        refused.iter().map(|refused| refused.asked.capability().to_owned()).collect();
    names.dedup();
    names
}

/// The refusals. Those of an attempt that was dropped were not explained.
fn denied(traces: &Traces) -> Vec<Denial> {
    if traces.denials.is_empty() {
        let tried = traces.tried.iter().map(|(asked, _)| Denial::tried(asked));
        return traces.refused.iter().map(Denial::from).chain(tried).collect();
    }
    traces.denials.iter().cloned().map(Denial::from).collect()
}

/// The beginning of the arguments as they were received, as text.
pub(in crate::call) fn args_as_they_came(arguments: &Arguments) -> String {
    let mut text = match arguments {
        Arguments::Text(text) => {
            // Cut before decoding: text of any size may be here.
            String::from_utf8_lossy(&text[..text.len().min(INVALID_ARGS_BYTES_MAX)]).into_owned()
        }
        Arguments::Parsed(args) => serde_json::to_string(args).unwrap_or_default(),
    };
    // Decoding may have replaced invalid bytes by longer ones, and a parsed value was not cut yet.
    text.truncate(text.floor_char_boundary(INVALID_ARGS_BYTES_MAX));
    text
}

/// The size in bytes of the arguments as they were received, as JSON.
pub(super) fn bytes_as_they_came(arguments: &Arguments) -> u64 {
    match arguments {
        Arguments::Text(text) => text.len() as u64,
        Arguments::Parsed(args) => airlock_contract::arguments::bytes_of(args) as u64,
    }
}
