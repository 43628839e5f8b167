//! What makes two calls, or two errors, the same for the loop guard, and its warnings.
//!
//! Must not know where repeats are counted.

use serde_json::Value;

use super::events::Events;
use super::fold;
use crate::caller::repeats::{Ended, Failed, Repeat};
use airlock_types::call::Arguments;
use airlock_types::code::Code;
use airlock_types::digest::sha256;
use airlock_types::event::Event;
use airlock_types::reply::Failure;
use airlock_types::violation::Violation;

/// How a call ended. `failed` is none for a success.
pub(super) fn ended<'e>(events: &'e Events<'_>, code: Code, failed: Option<&Failure>) -> Ended<'e> {
    let tool = events.head.tool.as_str();
    // Another component may answer otherwise.
    let component = events.list.iter().find_map(|event| {
        if let Event::Resolved { component, .. } = event { Some(&**component) } else { None }
    });
    let component = component.unwrap_or_default();
    // The cleaned name holds no line break, so the separators are unambiguous.
    let digest = |text: String| sha256(format!("{tool}\n{component}\n{text}").as_bytes());
    let failure = failed.map(|failure| {
        // Only where the arguments are to blame: other errors may rightly be the same for different arguments.
        let error = failure.caller_must_change_args.then(|| digest(error(code, failure)));
        Failed { error }
    });
    Ended { tool, call: digest(args(events)), failure }
}

/// The warning about a repeat in the caller's session.
pub(super) fn in_session(repeat: Repeat) -> String {
    match repeat {
        Repeat::Call(times) => {
            format!("You have sent this same call {times} times; its answer will not change.")
        }
        Repeat::Error(times) => {
            format!("You have got this same error {times} times; what it names is still wrong.")
        }
    }
}

/// The warning about a repeat among all calls of the caller. It does not say "you": several agents may be one caller.
pub(super) fn of_caller(repeat: Repeat) -> String {
    match repeat {
        Repeat::Call(times) => {
            format!("This same call was sent {times} times within ten minutes; its answer will not change.")
        }
        Repeat::Error(times) => {
            format!("This same error came {times} times within ten minutes; what it names is still wrong.")
        }
    }
}

/// The arguments in one form for all their spellings as JSON: order of keys, white space, escapes.
fn args(events: &Events<'_>) -> String {
    let valid = events.list.iter().find_map(|event| {
        if let Event::Validated { args } = event { Some(args.as_str().to_owned()) } else { None }
    });
    valid.unwrap_or_else(|| invalid_args(&events.head.call.arguments))
}

fn invalid_args(arguments: &Arguments) -> String {
    let text = fold::args_as_they_came(arguments);
    // Longer arguments are cut, and then are no JSON.
    serde_json::from_str::<Value>(&text)
        .map(|mut args| {
            args.sort_all_objects();
            args.to_string()
        })
        .unwrap_or(text)
}

/// An error without what the caller wrote: what was expected where, or else the tool's text.
fn error(code: Code, failure: &Failure) -> String {
    if failure.violations.is_empty() {
        return format!("{code}\n{}", failure.message);
    }
    let mut expected: Vec<String> = failure.violations.iter().map(rule).collect();
    expected.sort();
    format!("{code}\n{}", expected.join("\n"))
}

/// What a violation says about the tool.
fn rule(violation: &Violation) -> String {
    let Violation { code, pointer, keyword, expected, got, path: _, hint: _ } = violation;
    // Whatever is wrong with a text that is not JSON, an object was expected.
    if *code == Code::ArgsSyntax {
        return format!("{code} {got}");
    }
    // The last part of an unknown name's place is the caller's own word.
    if *code == Code::ArgsUnknown {
        return format!("{code} {} {expected}", pointer.rsplit_once('/').map_or("", |(parent, _)| parent));
    }
    format!("{code} {pointer} {keyword} {expected}")
}
