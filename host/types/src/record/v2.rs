//! Formats 1 and 2: read only. Format 1 knew one caller only; neither has policy's decision.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::v3;

#[derive(Debug, Deserialize)]
pub(super) struct Record {
    id: String,
    tool: String,
    #[serde(default = "local")]
    caller: String,
    started_unix_ms: u64,
    ended_unix_ms: u64,
    code: String,
    args: Option<Value>,
    component: Option<Arc<str>>,
    // Shared with format 3, where each field that is newer than format 2 has a default.
    plan: Option<v3::Plan>,
    path: Vec<v3::Step>,
    attempts: Vec<v3::Attempt>,
    reply: Option<Value>,
}

/// The one caller of format 1, as later formats name it.
fn local() -> String {
    "local".to_owned()
}

impl From<Record> for v3::Record {
    fn from(old: Record) -> v3::Record {
        v3::Record {
            format: v3::FORMAT,
            id: old.id,
            tool: old.tool,
            caller: old.caller,
            session: None,
            trace: None,
            started_unix_ms: old.started_unix_ms,
            ended_unix_ms: old.ended_unix_ms,
            code: Cow::Owned(old.code),
            args: old.args,
            component: old.component,
            // Not recorded before format 3.
            decision: None,
            policy: None,
            plan: old.plan,
            path: old.path,
            attempts: old.attempts,
            reply: old.reply,
            parts: Vec::new(),
            confidential: None,
            facts: None,
            repeat: None,
            hold: None,
            erased_unix_ms: None,
        }
    }
}
