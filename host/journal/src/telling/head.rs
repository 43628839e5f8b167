//! Who called what, when, how it ended, and with which arguments.

use serde_json::Value;

use super::text::{self, moment, name, passed};
use super::{Line, Section, Stand, Tone, tone};
use airlock_types::code::Code;
use airlock_types::record::Record;

/// Said of a call whose process ended while it ran.
const INTERRUPTED: &str = "Its process ended while it ran, so its outcome is unknown: it may have changed something. Find out before \
                           you repeat it.";

pub(super) fn call(record: &Record, stand: Stand) -> Section {
    let (tool, caller) = (name(&record.tool), name(&record.caller));
    let mut lines = vec![
        Line::plain(text::line(&record.id)),
        Line::plain(format!("{caller} called {tool} at {}.", moment(record.started_unix_ms))),
        ended(record, stand),
    ];
    if let Some(erased) = record.erased_unix_ms {
        let when = moment(erased);
        lines.push(Line::quiet(format!(
            "Retention erased what the caller and its tools said, at {when}. This is what is left."
        )));
    }
    for (what, value) in [("session", &record.session), ("trace", &record.trace)] {
        lines.extend(value.as_ref().map(|value| Line::quiet(format!("{what} {}", text::line(value)))));
    }
    Section::new("call", lines)
}

fn ended(record: &Record, stand: Stand) -> Line {
    let ms = record.ended_unix_ms.saturating_sub(record.started_unix_ms);
    let after = passed(ms);
    match stand {
        Stand::Running => {
            Line::new(Tone::Doubt, "It is still running. This is what was known when it began.")
        }
        Stand::Interrupted => Line::new(Tone::Bad, INTERRUPTED),
        Stand::Ended if is_unknown(record) => Line::new(Tone::Bad, INTERRUPTED),
        Stand::Ended if record.code == Code::Cancelled.as_str() => {
            Line::new(Tone::Bad, format!("It was cancelled after {after}, and nothing was answered."))
        }
        Stand::Ended => {
            Line::new(tone(&record.code), format!("It was answered after {after}: {}.", name(&record.code)))
        }
    }
}

/// Whether the record is that of the intent of a call, which says nothing of what the call did. One that ended with this code
/// had an attempt.
pub(super) fn is_unknown(record: &Record) -> bool {
    record.code == Code::OutcomeUnknown.as_str() && record.attempts.is_empty()
}

pub(super) fn asked(record: &Record) -> Section {
    let lines = match &record.args {
        None => Vec::new(),
        // As they were received: the inner door did not take them for an object.
        Some(Value::String(text)) => text::lines(text),
        Some(args) => text::json(args),
    };
    Section::new("asked", lines.into_iter().map(Line::plain).collect())
}
