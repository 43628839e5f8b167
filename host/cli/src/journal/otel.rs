//! A record as a span of OpenTelemetry, in OTLP/JSON: a line is what the collector's file exporter writes and its
//! `otlpjsonfile` receiver reads.
//!
//! Names are those of the live spans (`telemetry::field`), after the conventions for GenAI and MCP, which are still in
//! development: this file has all that depends on them. Arguments, results and logs are left out. Must not know where records
//! come from.

use serde_json::{Value, json};

use airlock::telemetry::field;
use airlock_types::digest::sha256;
use airlock_types::record::Record;
use airlock_types::record::v3::{Attempt, Denial, Finding};

/// `SPAN_KIND_SERVER`, and `STATUS_CODE_ERROR`.
const KIND_SERVER: u8 = 2;
const STATUS_ERROR: u8 = 2;

/// The span of a call, with an event for each attempt, finding and denial.
pub(super) fn line(record: &Record) -> Value {
    let (trace, parent) = trace(record);
    let is_error = record.code != "ok" && record.code != "ok.degraded";
    let mut attributes = vec![
        text(field::METHOD, "tools/call"),
        text(field::OPERATION, "execute_tool"),
        text(field::TOOL, &record.tool),
        text(field::CALLER, &record.caller),
        text(field::OUTCOME, &record.code),
        text(field::RECORD, &record.id),
        int(field::FUEL, record.attempts.iter().map(|attempt| attempt.usage.fuel).sum()),
        int("airlock.attempts", record.attempts.len() as u64),
    ];
    let optional = [
        ("airlock.session", record.session.as_deref()),
        ("airlock.component", record.component.as_deref()),
        ("airlock.policy", record.policy.as_deref()),
        ("airlock.ruling", record.decision.as_ref().map(|decision| &*decision.ruling)),
        (field::ERROR, is_error.then_some(&*record.code)),
    ];
    attributes.extend(optional.into_iter().filter_map(|(key, value)| Some(text(key, value?))));
    let mut span = json!({
        "traceId": trace,
        "spanId": span_id(record),
        "name": format!("tools/call {}", record.tool),
        "kind": KIND_SERVER,
        "startTimeUnixNano": nanos(record.started_unix_ms),
        "endTimeUnixNano": nanos(record.ended_unix_ms),
        "attributes": attributes,
        "events": events(record),
    });
    if let Some(parent) = parent {
        span["parentSpanId"] = parent.into();
    }
    if is_error {
        span["status"] = json!({ "code": STATUS_ERROR });
    }
    json!({
        "resourceSpans": [{
            "resource": { "attributes": [text("service.name", "airlock")] },
            "scopeSpans": [{ "scope": { "name": "airlock" }, "spans": [span] }],
        }]
    })
}

/// The trace of the caller and its span; else a trace of its own.
fn trace(record: &Record) -> (String, Option<String>) {
    let steps: Vec<&str> = record.trace.as_deref().unwrap_or_default().split('-').collect();
    match steps[..] {
        [_, trace, span, _] if trace.len() == 32 && span.len() == 16 => {
            (trace.to_owned(), Some(span.to_owned()))
        }
        _ => (digits(record, "trace", 32), None),
    }
}

fn span_id(record: &Record) -> String {
    digits(record, "span", 16)
}

/// Digits that are the same at each export. The ids of live spans are not on record.
fn digits(record: &Record, of: &str, count: usize) -> String {
    let mut digits = sha256(format!("{of} {}", record.id).as_bytes());
    digits.truncate(count);
    digits
}

fn events(record: &Record) -> Vec<Value> {
    // When an attempt began is not on record, so that all have the end of the call as their time.
    let at = nanos(record.ended_unix_ms);
    let denied = record.decision.iter().flat_map(|decision| &decision.denied);
    let mut events: Vec<Value> = denied.map(|denial| denial_event(denial, &at)).collect();
    for attempt in &record.attempts {
        events.push(attempt_event(attempt, &at));
        events.extend(attempt.findings.iter().map(|finding| finding_event(finding, &at)));
        events.extend(attempt.denied.iter().map(|denial| denial_event(denial, &at)));
    }
    events
}

fn attempt_event(attempt: &Attempt, at: &str) -> Value {
    let mut attributes = vec![
        text(field::ROUTE, &attempt.route),
        int(field::ATTEMPT, attempt.number.into()),
        text(field::OUTCOME, &attempt.code),
        int(field::FUEL, attempt.usage.fuel),
        int("airlock.wall_us", attempt.usage.wall_us),
        int("airlock.memory_bytes", attempt.usage.memory_bytes),
    ];
    if let Some(effects) = &attempt.effects {
        attributes.push(int("airlock.effects.dispatched", effects.dispatched));
        attributes.push(int("airlock.effects.settled", effects.settled));
    }
    json!({ "name": "airlock.attempt", "timeUnixNano": at, "attributes": attributes })
}

/// What was expected and what was there is left out: both may tell of a result.
fn finding_event(finding: &Finding, at: &str) -> Value {
    let attributes = [text("airlock.finding", &finding.kind), text("airlock.verdict", &finding.verdict)];
    json!({ "name": "airlock.finding", "timeUnixNano": at, "attributes": attributes })
}

fn denial_event(denial: &Denial, at: &str) -> Value {
    let attributes = [
        text("airlock.capability", &denial.capability),
        text("airlock.denial", &denial.kind),
        text("airlock.rule", &denial.rule),
    ];
    json!({ "name": "airlock.denial", "timeUnixNano": at, "attributes": attributes })
}

/// Whole numbers of 64 bits are strings in OTLP/JSON.
fn int(key: &str, value: u64) -> Value {
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn nanos(unix_ms: u64) -> String {
    format!("{unix_ms}000000")
}
