//! What became of a recorded call: the comparison of its record with the reply of now.
//!
//! Owns the kinds of differences, and which is told where there are several. Must not know how the reply was made.

use serde::Serialize;
use serde_json::Value;

use airlock_types::code::{Code, Status};
use airlock_types::record::Record;
use airlock_types::reply::Reply;
use airlock_types::violation::Violation;

/// What became of a recorded call.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Tested {
    /// The kind of the difference.
    pub change: Change,
    /// The code on record.
    pub was: String,
    /// The code that it would get; none where that is not known.
    pub now: Option<Code>,
    /// What decided, in words. Empty where nothing changed.
    pub why: String,
}

/// How a call would fare under the new registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Change {
    /// It was stopped, and would pass: an argument, a rule, a limit or a check is weaker.
    Passes,
    /// Its arguments would be refused.
    Refused,
    /// It, or something that it did, would be denied.
    Denied,
    /// It would be held for a human.
    Held,
    /// A limit would end it.
    Limited,
    /// Its answer would be rejected.
    Rejected,
    /// Its answer would be flagged.
    Flagged,
    /// Another tool would answer.
    FallsBack,
    /// The answer would be another one.
    Differs,
    /// It would fail in another way.
    Fails,
    /// It failed, and would be answered.
    Answered,
    /// Nothing would change.
    Same,
    /// What it would come to is not known.
    Unknown,
}

impl Change {
    /// As output has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Change::Passes => "passes",
            Change::Refused => "refused",
            Change::Denied => "denied",
            Change::Held => "held",
            Change::Limited => "limited",
            Change::Rejected => "rejected",
            Change::Flagged => "flagged",
            Change::FallsBack => "falls-back",
            Change::Differs => "differs",
            Change::Fails => "fails",
            Change::Answered => "answered",
            Change::Same => "same",
            Change::Unknown => "unknown",
        }
    }
}

impl Tested {
    fn new(record: &Record, change: Change, reply: &Reply, why: String) -> Tested {
        Tested { change, was: record.code.to_string(), now: Some(reply.code), why }
    }

    pub(super) fn stopped(record: &Record, change: Change, code: Code, why: String) -> Tested {
        // What was stopped before is stopped still.
        let change = if record.code.starts_with("ok") { change } else { Change::Same };
        Tested { change, was: record.code.to_string(), now: Some(code), why }
    }

    /// Of a call of which an attempt was to be made that cannot be. If it was stopped before any, nothing stops it there now.
    pub(super) fn unanswered(record: &Record, why: String) -> Tested {
        let tested = Tested::unknown(record, why);
        if record.attempts.is_empty() && is_stop(&record.code) {
            let why =
                format!("`{}` stopped it before it ran; what it would come to is not known", record.code);
            return Tested { change: Change::Passes, why, ..tested };
        }
        tested
    }

    /// Of a call whose reply is known.
    pub(super) fn compared(record: &Record, reply: &Reply) -> Tested {
        match (record.code.starts_with("ok"), reply.code.has_result()) {
            // It was held then, too, and this is the record of what a person decided.
            (_, false) if was_decided(record) && reply.code.facts().status == Status::Held => {
                Tested::new(record, Change::Same, reply, String::new())
            }
            (true, true) => Tested::answered(record, reply),
            (false, true) if is_stop(&record.code) => {
                Tested::new(record, Change::Passes, reply, format!("`{}` stopped it", record.code))
            }
            (false, true) => {
                Tested::new(record, Change::Answered, reply, format!("it ended with `{}`", record.code))
            }
            // It is not stopped there any more, whatever it comes to.
            (false, false)
                if record.attempts.is_empty()
                    && is_before(&record.code)
                    && !is_before(reply.code.as_str()) =>
            {
                let (was, now) = (&record.code, reply.code.as_str());
                let why = format!("`{was}` stopped it before it ran; it would run, and end with `{now}`");
                Tested::new(record, Change::Passes, reply, why)
            }
            (_, false) if *reply.code.as_str() == *record.code => {
                Tested::new(record, Change::Same, reply, String::new())
            }
            (_, false) => Tested::new(record, by_code(reply.code), reply, said(reply)),
        }
    }

    pub(super) fn unknown(record: &Record, why: String) -> Tested {
        Tested { change: Change::Unknown, was: record.code.to_string(), now: None, why }
    }

    /// Of a call that had an answer, and would have one.
    fn answered(record: &Record, reply: &Reply) -> Tested {
        let was = |name: &str| record.reply.as_ref().and_then(|reply| reply.pointer(name));
        let (route, routed) = (was("/provenance/route").and_then(Value::as_str), reply.provenance.as_ref());
        let routed = routed.map(|from| &*from.route);
        if routed != route {
            let who = routed.unwrap_or("another tool");
            let change = if routed == Some(&*record.tool) { Change::Differs } else { Change::FallsBack };
            return Tested::new(record, change, reply, format!("`{who}` would answer"));
        }
        let found = was("/findings").and_then(Value::as_array).map_or(0, Vec::len);
        let is_flagged = reply.code == Code::Degraded && record.code == Code::Ok.as_str();
        if is_flagged || reply.findings.len() > found {
            let newest = reply.findings.last();
            let why = newest.map_or_else(String::new, |finding| {
                format!(
                    "{} at `{}`: expected {}, got {}",
                    finding.kind, finding.path, finding.expected, finding.got
                )
            });
            return Tested::new(record, Change::Flagged, reply, why);
        }
        if *reply.code.as_str() != *record.code {
            return Tested::new(
                record,
                Change::Differs,
                reply,
                "it would not be flagged any more".to_owned(),
            );
        }
        if was("/result").unwrap_or(&Value::Null) != reply.result.as_ref().unwrap_or(&Value::Null) {
            let why = "the result is another one".to_owned();
            return Tested::new(record, Change::Differs, reply, why);
        }
        Tested::new(record, Change::Same, reply, String::new())
    }
}

fn was_decided(record: &Record) -> bool {
    record.hold.as_ref().is_some_and(|hold| hold.of.is_some())
}

/// Whether a code means that the host stopped a call by its rules before anything ran.
fn is_before(code: &str) -> bool {
    ["args.", "policy.", "admission.", "resolve."].iter().any(|kind| code.starts_with(kind))
}

/// Whether a code means that the host stopped a call by its rules.
fn is_stop(code: &str) -> bool {
    ["args.", "policy.", "limit.", "check.", "admission.", "resolve."]
        .iter()
        .any(|kind| code.starts_with(kind))
}

/// How a call without an answer fares, by its code.
fn by_code(code: Code) -> Change {
    let text = code.as_str();
    match text.split('.').next().unwrap_or(text) {
        _ if code.facts().status == Status::Held => Change::Held,
        "args" => Change::Refused,
        "policy" | "resolve" | "admission" => Change::Denied,
        "limit" => Change::Limited,
        "check" => Change::Rejected,
        _ => Change::Fails,
    }
}

/// What a reply says about its failure, on one line.
fn said(reply: &Reply) -> String {
    let error = reply.error.as_ref();
    if let Some(Violation { path, expected, hint, .. }) = error.and_then(|error| error.violations.first()) {
        let hint = hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
        return format!("`{path}`: expected {expected}{hint}");
    }
    let text = error.map(|error| error.message.as_str());
    let text = text.or(reply.refusal.as_ref().map(|refusal| refusal.cannot.as_str()));
    text.unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}
