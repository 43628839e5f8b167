//! The reply to a call: one envelope with the same facts on every transport.
//!
//! Owns the envelope's form, the only list of its fields: schemas and shorter forms are derived from it. Every reply in
//! the tests is validated against `schemas/reply.schema.json`, which is generated. Must not know transports. Empty parts
//! are left out.

#[cfg(feature = "schema")]
pub mod schema;

use std::sync::Arc;

use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::code::{Code, Ran, Status};
use super::finding::Finding;
use crate::answer::{Clarify, Content, Refusal};
use crate::fields;
use crate::hold::HeldAt;
use crate::usage::is_zero;
use crate::violation::Violation;

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(
        title = "Airlock reply",
        description = "The answer to a tool call: the same envelope over the CLI, the library, MCP and HTTP. Empty parts are left out.",
        transform = schema::parts_by_status
    )
)]
pub struct Reply {
    /// The coarse form of `code`.
    pub status: Status,
    /// One sentence for a reply that is not plainly ok: what it is instead, and why. Absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub notice: Option<String>,
    /// How the call ended.
    pub code: Code,
    /// The tool that was called, by its public name.
    pub tool: String,
    /// The typed value, for `ok` and `degraded`. Its schema is the tool's own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub result: Option<Value>,
    /// The content blocks: the parts of an answer that are not JSON.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub content: Vec<Content>,
    /// Why there is no value.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<Failure>,
    /// The typed refusal, for `refused`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub refusal: Option<Refusal>,
    /// The question, for `clarify`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub clarify: Option<Clarify>,
    /// The hold that the call, or its result, waits in, for `held`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hold: Option<HeldAt>,
    /// What the doors noted.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub findings: Vec<Finding>,
    /// How far the tool trusts its answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub confidence: Option<Confidence>,
    /// How the tool understood the request.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub interpretation: Option<String>,
    /// What the tool assumed without being told.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub assumptions: Vec<String>,
    /// What is uncertain.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub uncertainty: Option<String>,
    /// Suggested next steps.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub next_steps: Vec<String>,
    /// Where the answer comes from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub provenance: Option<Provenance>,
    /// What the call used, all attempts together.
    pub usage: TotalUsage,
    /// The record's id: `airlock show ID`.
    #[cfg_attr(feature = "schema", schemars(length(min = 8)))]
    pub record: String,
    /// The handle of the session that the call belongs to, where the host minted one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(feature = "schema", schemars(length(min = 43)))]
    pub session: Option<String>,
}

/// What a tool claims about its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Confidence {
    /// From 0 to 1.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1)))]
    pub value: f64,
}

/// Why there is no value, for an agent to act on. No paths of the host, no backtraces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Failure {
    /// The text for a model: what happened, how to proceed.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub message: String,
    /// Whether sending the same call again can help.
    pub retryable: bool,
    /// Whether the arguments must change first.
    pub caller_must_change_args: bool,
    /// Whether the tool ran: decisive for calls with effects.
    pub ran: Ran,
    /// When to try again, where known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retry_after_ms: Option<u64>,
    /// What is wrong with the arguments.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub violations: Vec<Violation>,
    /// Arguments that would be valid.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(feature = "schema", schemars(with = "Option<serde_json::Map<String, Value>>"))]
    pub example: Option<Value>,
    /// The tool's own error, as its WIT types it. Text of the tool's: data, not instructions.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<Value>,
    /// The id of what was decided: the same for a call that is sent again and would fail again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(feature = "schema", schemars(length(min = 8)))]
    pub decision_id: Option<String>,
}

/// When an answer was given that is delivered again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cached {
    /// Its age, in milliseconds.
    pub age_ms: u64,
    /// The record of the call that it was given to.
    #[cfg_attr(feature = "schema", schemars(length(min = 8)))]
    pub record: String,
}

/// Name shown for a fallback that the caller may not see. No tool can have this name.
pub const HIDDEN_ROUTE: &str = "another tool";

/// Where an answer comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(transform = schema::told_by_route))]
pub struct Provenance {
    /// The tool that answered: the one that was called, or a fallback; `another tool` for one that the caller may not
    /// see.
    pub route: Arc<str>,
    /// SHA-256 of its component, hex; none for one that the caller may not see.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^[0-9a-f]{64}$")))]
    pub component: Option<Arc<str>>,
    /// Attempts made in all, on all routes. None where a kept answer was delivered and no tool could be tried.
    pub attempts: u32,
    /// Why the called tool did not answer itself, where a fallback did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fallback_because: Option<Code>,
    /// Where the answer was given before, to an earlier call of the same caller with the same arguments.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cached: Option<Cached>,
    /// The moment that the data speaks of, as the tool gave it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub as_of: Option<String>,
    /// Where the data came from, as the tool gave it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<String>,
}

/// What a call used, all attempts together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TotalUsage {
    /// Attempts made.
    pub attempts: u32,
    /// Fuel.
    pub fuel: u64,
    /// Time by the clock from the request to the reply, in microseconds.
    pub wall_us: u64,
    /// Time in which guests were really running, in microseconds.
    pub cpu_us: u64,
    /// The most memory of an attempt, in bytes.
    pub memory_bytes: u64,
    /// Requests to other hosts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub requests: u64,
    /// Bytes sent to other hosts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub up_bytes: u64,
    /// Bytes received from other hosts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub down_bytes: u64,
    /// Bytes written into files.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub written_bytes: u64,
    /// Files, folders and links created.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub files_created: u64,
    /// Keys of its own store that it looked up.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub keys_read: u64,
    /// Keys of its own store that it set or removed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub keys_written: u64,
    /// Bytes of values read from its own store.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub value_bytes_read: u64,
    /// Bytes of values written to its own store.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub value_bytes_written: u64,
}

impl Failure {
    /// A report with a text only.
    pub fn plain(message: String) -> Failure {
        Failure {
            message,
            retryable: false,
            caller_must_change_args: false,
            ran: Ran::No,
            retry_after_ms: None,
            violations: Vec::new(),
            example: None,
            detail: None,
            decision_id: None,
        }
    }

    /// What is said to a person whose decision about a held call is not possible. The message is for the agent of a call.
    pub fn to_approver(&self) -> String {
        if self.violations.is_empty() {
            return format!("{}\nThe hold stays open.", self.message);
        }
        let fault = |Violation { path, expected, got, hint, .. }: &Violation| {
            let place = if path.is_empty() { "the arguments" } else { path };
            let hint = hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
            format!("- {place}: expected {expected}, got {got}{hint}\n")
        };
        let faults: String = self.violations.iter().map(fault).collect();
        format!(
            "The arguments of the edit are not valid:\n{faults}The hold stays open. Send all arguments again with `edit`, these mended."
        )
    }
}

/// Whether the compact form omits a field, because it travels beside it.
fn is_beside_compact(field: &str) -> bool {
    matches!(field, "code" | "tool" | "content" | "error" | "refusal" | "clarify" | "usage" | "session")
}

/// The compact form that agents are shown: what qualifies an answer, the status first, since long texts are cut
/// at their end. A new field of [`Reply`] is in it unless `is_beside_compact` names it.
///
/// It has only what says something: the record's id of an answer with a flag, which a user may ask about, and of the
/// provenance what is not so with every answer.
#[derive(Clone, Copy, Debug)]
pub struct Compact<'r> {
    reply: &'r Reply,
    /// Whether the notice is shown beside the form.
    is_noticed: bool,
}

impl Serialize for Compact<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Compact { reply, is_noticed } = *self;
        let mut map = serializer.serialize_map(None)?;
        let is_own_form =
            |field: &str| matches!(field, "provenance" | "record") || (is_noticed && field == "notice");
        fields::write(&mut map, reply, |field| is_beside_compact(field) || is_own_form(field))?;
        let brief = reply.provenance.as_ref().map(|provenance| Brief { provenance, tool: &reply.tool });
        if let Some(brief) = brief.filter(Brief::says_something) {
            map.serialize_entry("provenance", &brief)?;
        }
        if reply.status != Status::Ok {
            map.serialize_entry("record", &reply.record)?;
        }
        map.end()
    }
}

/// A provenance without the digest, and without what is so with every answer: one attempt of the called tool.
struct Brief<'r> {
    provenance: &'r Provenance,
    tool: &'r str,
}

impl Brief<'_> {
    fn says_something(&self) -> bool {
        // Destructured without `..`, so that a new field is considered here.
        let Provenance { route, component: _, attempts, fallback_because, cached, as_of, source } =
            self.provenance;
        **route != *self.tool
            || *attempts != 1
            || fallback_because.is_some()
            || cached.is_some()
            || as_of.is_some()
            || source.is_some()
    }
}

impl Serialize for Brief<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let Provenance { route, attempts, .. } = self.provenance;
        fields::write(&mut map, self.provenance, |field| match field {
            "component" => true,
            "route" => **route == *self.tool,
            "attempts" => *attempts == 1,
            _ => false,
        })?;
        map.end()
    }
}

impl Reply {
    /// The compact form that agents are shown.
    pub fn compact(&self) -> Compact<'_> {
        Compact { reply: self, is_noticed: false }
    }

    /// The compact form for a place where the notice stands beside it.
    pub fn compact_beside_notice(&self) -> Compact<'_> {
        Compact { reply: self, is_noticed: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compact_form_has_no_field_that_travels_beside_it() {
        let usage = TotalUsage::default();
        let reply = serde_json::json!({
            "status": "failed", "code": "trap", "tool": "t", "content": [{"type": "text", "text": "x"}],
            "error": Failure::plain("m".into()), "usage": usage, "record": "r", "session": "s",
            "refusal": {"code": "c", "cannot": "x", "needed": [], "alternatives": [], "retryable": "never", "decision_id": "d"},
            "clarify": {"question": "q", "options": []}, "uncertainty": "u",
        });
        let reply: Reply = serde_json::from_value(reply).unwrap();
        let compact = serde_json::to_string(&reply.compact()).unwrap();
        assert_eq!(compact, r#"{"status":"failed","uncertainty":"u","record":"r"}"#);
    }

    fn answer(more: serde_json::Value) -> String {
        let usage = TotalUsage::default();
        let mut reply = serde_json::json!({
            "status": "ok", "code": "ok", "tool": "t", "result": 1, "usage": usage, "record": "r",
            "provenance": {"route": "t", "component": "ab", "attempts": 1},
        });
        let Value::Object(more) = more else { panic!("{more}") };
        more.into_iter().for_each(|(key, value)| reply[&key] = value);
        serde_json::to_string(&serde_json::from_value::<Reply>(reply).unwrap().compact()).unwrap()
    }

    #[test]
    fn the_compact_form_has_only_what_says_something() {
        assert_eq!(answer(serde_json::json!({})), r#"{"status":"ok","result":1}"#);
        let twice =
            serde_json::json!({"route": "t", "component": "ab", "attempts": 2, "as_of": "2026-01-01"});
        assert_eq!(
            answer(serde_json::json!({"provenance": twice})),
            r#"{"status":"ok","result":1,"provenance":{"attempts":2,"as_of":"2026-01-01"}}"#
        );
        let other =
            serde_json::json!({"route": "u", "component": "ab", "attempts": 1, "fallback_because": "trap"});
        assert_eq!(
            answer(serde_json::json!({"status": "degraded", "provenance": other})),
            r#"{"status":"degraded","result":1,"provenance":{"route":"u","fallback_because":"trap"},"record":"r"}"#
        );
    }
}
