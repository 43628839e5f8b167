//! A call on record: the stored form. A change to it is a new version of [`FORMAT`].

use crate::finding::Finding;
use crate::usage::{TrapReport, Usage};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::code::Code;
use crate::plan::{Decision, Plan};

/// The version of the stored form.
pub const FORMAT: u32 = 2;

/// JSON as text, for a record that is written: a call needs no tree of what it only puts away.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Json {
    /// A value as JSON; none for one that JSON cannot say.
    pub fn of(value: &impl Serialize) -> Option<Json> {
        serde_json::value::to_raw_value(value).ok().map(Json)
    }

    /// Text that is JSON already; none where it is not.
    pub fn text(text: &str) -> Option<Json> {
        RawValue::from_string(text.to_owned()).ok().map(Json)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

/// One attempt as it goes into the record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// The tool that ran, by its public name.
    pub route: Arc<str>,
    /// SHA-256 of its component, hex.
    pub component: Arc<str>,
    /// Which attempt on this route, from 1.
    pub number: u32,
    /// How it ended.
    pub code: Code,
    /// What it used.
    pub usage: Usage,
    /// What it logged or printed, bounded.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub log: String,
    /// Why the guest aborted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub trap: Option<TrapReport>,
    /// Capabilities that it reached for without a grant.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub denials: Vec<String>,
    /// What the outer door found.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub findings: Vec<Finding>,
}

/// A call on record: with trees of JSON where it is read, with text where it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallRecord<J = Value> {
    /// The version of this form.
    pub format: u32,
    /// The id that the reply carries.
    pub id: String,
    /// The tool that was called, by its public name.
    pub tool: String,
    /// Who called.
    #[serde(default = "local")]
    pub caller: String,
    /// When the call came, by the wall clock.
    pub started_unix_ms: u64,
    /// When it was answered.
    pub ended_unix_ms: u64,
    /// How it ended.
    pub code: Code,
    /// The arguments: canonical where they were valid, else as they came, cut where they were too large.
    pub args: Option<J>,
    /// SHA-256 of the called tool's component, hex.
    pub component: Option<Arc<str>>,
    /// What was planned.
    pub plan: Option<Arc<Plan>>,
    /// What was done of it, and why.
    pub path: Vec<Decision>,
    /// The attempts.
    pub attempts: Vec<AttemptRecord>,
    /// The reply as it was given; none for a call that nobody waited for any more.
    pub reply: Option<J>,
}

impl<J> CallRecord<J> {
    /// What can be said of a call that just began; who drops it leaves it cancelled.
    pub fn begun(unix_ms: u64) -> CallRecord<J> {
        CallRecord {
            format: FORMAT,
            id: String::new(),
            tool: String::new(),
            caller: String::new(),
            started_unix_ms: unix_ms,
            ended_unix_ms: unix_ms,
            code: Code::Cancelled,
            args: None,
            component: None,
            plan: None,
            path: Vec::new(),
            attempts: Vec::new(),
            reply: None,
        }
    }
}

/// Format 1 knew no other caller.
fn local() -> String {
    crate::principal::LOCAL.to_owned()
}
