//! Reads values of the known types.
//!
//! Functions return `None` for a value of another type. The shape, checked at load, rules that case out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Answer, AsOf, Assessment, ToolError};
use crate::Val;
use airlock_types::answer::{Body, Choice, Clarify, Content, Refusal, RetryAdvice};
use airlock_types::code::Code;
use airlock_types::shorten::clean_lines;

/// A field of a record. An option around its value is unwrapped.
fn field<'v>(val: &'v Val, name: &str) -> Option<&'v Val> {
    let Val::Record(fields) = val else { return None };
    let (_, val) = fields.iter().find(|(field, _)| field == name)?;
    some(val)
}

fn some(val: &Val) -> Option<&Val> {
    if let Val::Option(inner) = val { inner.as_deref() } else { Some(val) }
}

/// A text field, cleaned for display to a person or a model.
fn words(val: &Val, name: &str) -> Option<String> {
    if let Val::String(text) = field(val, name)? { Some(clean_lines(text)) } else { None }
}

fn strings(val: Option<&Val>) -> Vec<String> {
    let Some(Val::List(items)) = val else { return Vec::new() };
    items
        .iter()
        .filter_map(|item| if let Val::String(text) = item { Some(clean_lines(text)) } else { None })
        .collect()
}

pub(super) fn refusal(val: &Val) -> Option<Refusal> {
    let retryable = match field(val, "retryable")? {
        Val::Variant(name, Some(payload)) if name == "after" => match **payload {
            Val::U64(ms) => RetryAdvice::AfterMs(ms),
            _ => return None,
        },
        Val::Variant(name, payload) if name == "after-change" => {
            RetryAdvice::AfterChange(strings(payload.as_deref()))
        }
        _ => RetryAdvice::Never,
    };
    Some(Refusal {
        code: words(val, "code")?,
        cannot: words(val, "cannot")?,
        needed: strings(field(val, "needed")),
        contact: words(val, "contact"),
        alternatives: strings(field(val, "alternatives")),
        retryable,
        decision_id: words(val, "decision-id").unwrap_or_default(),
    })
}

fn clarify(val: &Val) -> Option<Clarify> {
    let Some(Val::List(options)) = field(val, "options") else { return None };
    let choice = |val: &Val| {
        let Val::String(args) = field(val, "args")? else { return None };
        // Text that is not a JSON object is shown as it is: the question is still useful.
        let parsed = serde_json::from_str(args).ok().filter(Value::is_object);
        Some(Choice {
            label: words(val, "label")?,
            means: words(val, "means")?,
            args: parsed.unwrap_or_else(|| Value::String(args.clone())),
        })
    };
    Some(Clarify { question: words(val, "question")?, options: options.iter().filter_map(choice).collect() })
}

pub(super) fn assessment(val: &Val) -> Assessment {
    let Some(val) = some(val) else { return Assessment::default() };
    let confidence = match field(val, "confidence") {
        // NaN and infinities have no JSON form, and `clamp` keeps NaN.
        Some(Val::Float64(confidence)) if confidence.is_finite() => Some(confidence.clamp(0.0, 1.0)),
        _ => None,
    };
    Assessment {
        interpretation: words(val, "interpretation"),
        confidence,
        uncertainty: words(val, "uncertainty"),
        assumptions: strings(field(val, "assumptions")),
        next_steps: strings(field(val, "next-steps")),
    }
}

pub(super) fn as_of(val: &Val) -> Option<AsOf> {
    let val = some(val)?;
    Some(AsOf { time: words(val, "time")?, source: words(val, "source") })
}

pub(super) fn content(val: &Val) -> Option<Content> {
    let Val::Variant(tag, Some(payload)) = val else { return None };
    match (tag.as_str(), &**payload) {
        ("text", Val::String(text)) => Some(Content::Text { text: clean_lines(text) }),
        ("image", blob) => {
            Some(Content::Image { data: base64_of(blob)?, mime_type: words(blob, "mime-type")? })
        }
        ("audio", blob) => {
            Some(Content::Audio { data: base64_of(blob)?, mime_type: words(blob, "mime-type")? })
        }
        ("resource-link", link) => Some(Content::ResourceLink {
            uri: words(link, "uri")?,
            name: words(link, "name")?,
            description: words(link, "description"),
            mime_type: words(link, "mime-type"),
        }),
        ("resource", resource) => Some(Content::Resource {
            uri: words(resource, "uri")?,
            mime_type: words(resource, "mime-type"),
            body: body(field(resource, "body")?)?,
        }),
        _ => None,
    }
}

fn body(val: &Val) -> Option<Body> {
    let Val::Variant(case, Some(payload)) = val else { return None };
    match (case.as_str(), &**payload) {
        // Not cleaned, unlike the texts for display: the body of a resource is data.
        ("text", Val::String(text)) => Some(Body::Text(text.clone())),
        ("blob", bytes) => Some(Body::Blob(base64(bytes)?)),
        _ => None,
    }
}

fn base64_of(blob: &Val) -> Option<String> {
    base64(field(blob, "data")?)
}

fn base64(bytes: &Val) -> Option<String> {
    let Val::List(bytes) = bytes else { return None };
    let bytes: Option<Vec<u8>> =
        bytes.iter().map(|byte| if let Val::U8(byte) = byte { Some(*byte) } else { None }).collect();
    Some(STANDARD.encode(bytes?))
}

pub(super) fn failure(val: &Val) -> Option<Answer> {
    let Val::Variant(case, Some(payload)) = val else { return None };
    let error = |code, transient, retry_after_ms| {
        let detail =
            if let Val::String(text) = &**payload { Value::String(text.clone()) } else { Value::Null };
        Some(Answer::Error(ToolError { transient, retry_after_ms, ..ToolError::new(code, detail) }))
    };
    match case.as_str() {
        "refused" => Some(Answer::Refused(refusal(payload)?)),
        "clarify" => Some(Answer::Clarify(clarify(payload)?)),
        "transient" => error(Code::ToolError, true, None),
        "permanent" => error(Code::ToolError, false, None),
        "throttled" => {
            let hint = if let Some(Val::U64(ms)) = some(payload) { Some(*ms) } else { None };
            error(Code::ToolThrottled, true, hint)
        }
        "unavailable" => error(Code::ToolUnavailable, true, None),
        _ => None,
    }
}
