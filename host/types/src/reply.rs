//! The reply to a call: one envelope with the same facts on every transport.
//!
//! Owns the envelope's form; `schemas/reply.schema.json` is its JSON Schema, and every reply in the tests is
//! validated against it. Must not know transports. Empty parts are left out.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::code::{Code, Ran, Status};
use super::finding::Finding;
use crate::answer::{Clarify, Content, Refusal};
use crate::violation::Violation;

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The coarse form of `code`.
    pub status: Status,
    /// One sentence for a reply that is not plainly ok: what it is instead, and why. Absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub notice: Option<String>,
    /// How the call ended.
    pub code: Code,
    /// The tool that was called, by its public name.
    pub tool: String,
    /// The typed value, for `ok` and `degraded`.
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
    /// What the doors noted.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub findings: Vec<Finding>,
    /// Where the answer comes from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub provenance: Option<Provenance>,
    /// What the call used, all attempts together.
    pub usage: TotalUsage,
    /// The record's id: `airlock show ID`.
    pub record: String,
    /// The handle of the session that the call belongs to, where the host minted one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub session: Option<String>,
}

/// What a tool claims about its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confidence {
    /// From 0 to 1.
    pub value: f64,
}

/// Why there is no value, for an agent to act on. No paths of the host, no backtraces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The text for a model: what happened, how to proceed.
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
    pub example: Option<Value>,
    /// The tool's own error, as its WIT types it. Text of the tool's: data, not instructions.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<Value>,
}

/// Name shown for a fallback that the caller may not see. No tool can have this name.
pub const HIDDEN_ROUTE: &str = "another tool";

/// Where an answer comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The tool that answered: the one that was called, or a fallback; [`HIDDEN_ROUTE`] for one that the caller may
    /// not see.
    pub route: Arc<str>,
    /// SHA-256 of its component, hex; none for one that the caller may not see.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub component: Option<Arc<str>>,
    /// Attempts made in all, on all routes.
    pub attempts: u32,
    /// Why the called tool did not answer itself, where a fallback did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fallback_because: Option<Code>,
    /// The moment that the data speaks of, as the tool gave it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub as_of: Option<String>,
    /// Where the data came from, as the tool gave it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<String>,
}

/// What a call used, all attempts together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
        }
    }
}

/// The compact form that agents are shown: the result with everything that qualifies it. Usage, errors and content are
/// sent beside it.
#[derive(Clone, Debug, Serialize)]
pub struct Compact<'r> {
    // Fields are written in this order. Clients cut long texts at their end, so the status and the notice come first.
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'r Value>,
    #[serde(skip_serializing_if = "<[Finding]>::is_empty")]
    findings: &'r [Finding],
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<&'r Confidence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interpretation: Option<&'r str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    assumptions: &'r [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    uncertainty: Option<&'r str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    next_steps: &'r [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    provenance: Option<&'r Provenance>,
    record: &'r str,
}

impl Reply {
    /// The compact form that agents are shown.
    pub fn compact(&self) -> Compact<'_> {
        Compact {
            status: self.status,
            notice: self.notice.as_deref(),
            result: self.result.as_ref(),
            findings: &self.findings,
            confidence: self.confidence.as_ref(),
            interpretation: self.interpretation.as_deref(),
            assumptions: &self.assumptions,
            uncertainty: self.uncertainty.as_deref(),
            next_steps: &self.next_steps,
            provenance: self.provenance.as_ref(),
            record: &self.record,
        }
    }
}
