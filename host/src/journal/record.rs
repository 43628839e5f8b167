//! A call on record: the stored form. A change to it is a new version of [`FORMAT`].

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::call::attempt::AttemptRecord;
use crate::call::code::Code;
use crate::plan::{Decision, Plan};

/// The version of the stored form.
pub const FORMAT: u32 = 2;

/// A call on record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallRecord {
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
    pub args: Option<Value>,
    /// SHA-256 of the called tool's component, hex.
    pub component: Option<String>,
    /// What was planned.
    pub plan: Option<Plan>,
    /// What was done of it, and why.
    pub path: Vec<Decision>,
    /// The attempts.
    pub attempts: Vec<AttemptRecord>,
    /// The reply as it was given; none for a call that nobody waited for any more.
    pub reply: Option<Value>,
}

/// Format 1 knew no other caller.
fn local() -> String {
    crate::caller::LOCAL.to_owned()
}
