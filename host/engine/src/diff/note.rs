//! What a change means for callers and reviewers.
//!
//! Owns which changes are texts, and what becomes of calls when an argument comes or goes. Must not know whether a change
//! is wider.

use serde_json::Value;

use super::schema::TEXTS;
use airlock_types::difference::Difference;

/// What a reviewer should know about a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// A text that models read.
    Text,
    /// An optional argument that calls can no longer name.
    OptionalGone,
    /// A required argument that calls can no longer name.
    RequiredGone,
    /// An argument that every call must have now.
    NowRequired,
    /// A key that signed the accepted component did not sign this one.
    SignatureGone,
    /// The signature is of an older version than the accepted one.
    SignatureOlder,
}

impl Note {
    /// The note as a sentence.
    pub fn text(self) -> &'static str {
        match self {
            Note::Text => "models read this text: review it",
            Note::OptionalGone => {
                "an optional argument is gone: calls that name it are refused as unknown, and others stay valid"
            }
            Note::RequiredGone => {
                "a required argument is gone: calls that name it, as all did, are refused as unknown"
            }
            Note::NowRequired => "the argument is required now: calls without it are refused",
            Note::SignatureGone => {
                "signature.stripped: the accepted component was signed by this key, and this one is not"
            }
            Note::SignatureOlder => {
                "signature.rollback: the signature has a lower serial than the accepted one: it is an older version"
            }
        }
    }
}

/// The note of a change. `before` is the old schema of the arguments.
pub(super) fn of(change: &Difference, before: &Value) -> Option<Note> {
    let parts: Vec<&str> = change.path.iter().map(String::as_str).collect();
    match parts[..] {
        ["signers"] if change.after.is_none() => Some(Note::SignatureGone),
        ["signers"] => Some(Note::SignatureOlder),
        ["title" | "description" | "examples" | "error_docs"] => Some(Note::Text),
        // A message is compared as part of its relation, whose expression alone is a string.
        ["require"] if [&change.before, &change.after].into_iter().flatten().any(Value::is_object) => {
            Some(Note::Text)
        }
        ["expect"] if is_reworded(change, "/relation/message") => Some(Note::Text),
        ["hold"] if is_reworded(change, "/message") => Some(Note::Text),
        // Names of arguments are told from keywords by their place: an argument can be called `title`.
        ["input_schema" | "result_schema", ref rest @ ..] if is_text(rest) => Some(Note::Text),
        ["input_schema", ref within @ .., "properties", name] if change.after.is_none() => {
            let object = within.iter().try_fold(before, |schema, part| match schema {
                Value::Array(all) => all.get(part.parse::<usize>().ok()?),
                schema => schema.get(part),
            });
            let required = object.and_then(|object| object["required"].as_array());
            let was_required = required.is_some_and(|names| names.iter().any(|required| required == name));
            Some(if was_required { Note::RequiredGone } else { Note::OptionalGone })
        }
        ["input_schema", .., "required"] if change.after.is_some() => Some(Note::NowRequired),
        _ => None,
    }
}

/// Whether the message of a check or of a rule that holds calls, which agents read, is another one.
fn is_reworded(change: &Difference, message: &str) -> bool {
    let of = |side: &Option<Value>| side.as_ref().and_then(|value| value.pointer(message)).cloned();
    of(&change.before) != of(&change.after)
}

fn is_text(place: &[&str]) -> bool {
    match place {
        [keyword] => TEXTS.contains(keyword),
        // What follows is a name, not a keyword.
        ["properties" | "patternProperties" | "dependentSchemas" | "$defs" | "definitions", _, rest @ ..] => {
            is_text(rest)
        }
        [_, rest @ ..] => is_text(rest),
        [] => false,
    }
}
