//! A call that waits for a person: what is asked, who may answer, and what they said.
//!
//! Owns the words of a hold and of its decisions. Must not know how a hold is kept, nor how its call is run.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::caller::Caller;

/// Characters of a hold's id: 32 random bytes in base64url. Whoever has one may ask for the reply, so it cannot be guessed.
pub const HOLD_ID_CHARS: usize = 43;

/// Characters of an id that are enough to name a hold to the operator.
pub const HOLD_PREFIX_CHARS_MIN: usize = 8;

/// Characters of what a person writes: a reason, or an answer in place of the tool's.
pub const NOTE_CHARS_MAX: usize = 4_000;

/// A rule that holds a call, as it was met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HoldRule {
    /// The rule: its expression as it was written, or `effect`, `caller`, `tool`, `first-use`, `suspect`, `repeat`,
    /// `check`.
    pub rule: String,
    /// What its author says.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<String>,
    /// The values that decided it: `args.amount is 900`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub values: Vec<String>,
    /// How many must approve.
    pub approvals: u32,
    /// Who may approve: names under `[callers]`, and `operator`. Empty: every approver.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub approvers: Vec<String>,
}

impl HoldRule {
    /// A rule that one person, whoever may approve, answers.
    pub fn plain(rule: &str, values: Vec<String>) -> HoldRule {
        HoldRule { rule: rule.to_owned(), message: None, values, approvals: 1, approvers: Vec::new() }
    }
}

/// What became of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It waits for a decision.
    Open,
    /// It was approved, and its call runs.
    Running,
    /// Its call ran, or its result may be delivered.
    Done,
    /// It was rejected.
    Rejected,
    /// A person answered instead of the tool.
    Responded,
    /// Nobody decided in time.
    Expired,
    /// What it was bound to has changed.
    Void,
}

impl Standing {
    /// As it is printed and stored.
    pub fn as_str(self) -> &'static str {
        match self {
            // Stored, so that they do not change when a variant is renamed.
            Standing::Open => "open",
            Standing::Running => "running",
            Standing::Done => "done",
            Standing::Rejected => "rejected",
            Standing::Responded => "responded",
            Standing::Expired => "expired",
            Standing::Void => "void",
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a person decided.
#[derive(Clone, Debug, PartialEq)]
pub enum HoldDecision {
    /// The call may run as it is.
    Approve,
    /// The call may run with these arguments.
    Edit {
        /// The arguments, in the tool's published form.
        arguments: Value,
    },
    /// The call may not run.
    Reject {
        /// Why, for the agent.
        reason: String,
    },
    /// The call does not run, and this is said to the agent instead.
    Respond {
        /// What is said.
        text: String,
    },
}

impl HoldDecision {
    /// As it is printed and stored.
    pub fn as_str(&self) -> &'static str {
        match self {
            HoldDecision::Approve => "approve",
            HoldDecision::Edit { .. } => "edit",
            HoldDecision::Reject { .. } => "reject",
            HoldDecision::Respond { .. } => "respond",
        }
    }

    /// What the person wrote, for the ones with a text.
    pub fn note(&self) -> Option<&str> {
        match self {
            HoldDecision::Approve | HoldDecision::Edit { .. } => None,
            HoldDecision::Reject { reason } => Some(reason),
            HoldDecision::Respond { text } => Some(text),
        }
    }
}

/// Who decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Approver {
    /// Whoever may write to the folder of the host.
    Operator,
    /// A caller with `approve = true`.
    Caller(Caller),
    /// The user of the client that made the call, where the operator lets them: `approve = "client-user"`.
    ClientUser(Caller),
}

impl Approver {
    /// The name of the operator among approvers.
    pub const OPERATOR: &'static str = "operator";

    /// The name by which rules list them.
    pub fn entry(&self) -> &str {
        match self {
            Approver::Operator => Approver::OPERATOR,
            Approver::Caller(caller) | Approver::ClientUser(caller) => caller.entry(),
        }
    }
}

impl fmt::Display for Approver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Approver::Operator => f.write_str(Approver::OPERATOR),
            Approver::Caller(caller) => write!(f, "{caller}"),
            Approver::ClientUser(caller) => write!(f, "the user of {caller}"),
        }
    }
}

/// One decision about a hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Decided {
    /// Who decided.
    pub by: String,
    /// When, in milliseconds since the Unix epoch.
    pub at_unix_ms: u64,
    /// `approve`, `edit`, `reject` or `respond`.
    pub what: String,
    /// What they wrote.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
}

/// A call, or its result, that waits for a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Hold {
    /// Its id.
    pub id: String,
    /// What became of it.
    pub standing: Standing,
    /// The tool, by its public name.
    pub tool: String,
    /// Whose call it is.
    pub caller: String,
    /// The record of the held call.
    pub record: String,
    /// The arguments. None where some are confidential.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub arguments: Option<Value>,
    /// SHA-256 of the canonical arguments, hex.
    pub args_digest: String,
    /// SHA-256 of the component, hex.
    pub component: String,
    /// SHA-256 of what the tool is allowed for the caller, hex.
    pub policy: String,
    /// The rules that hold it.
    pub rules: Vec<HoldRule>,
    /// Whether the call ran, and its result waits.
    pub is_result: bool,
    /// When it was held, in milliseconds since the Unix epoch.
    pub created_unix_ms: u64,
    /// Until when it may be decided, in milliseconds since the Unix epoch.
    pub expires_unix_ms: u64,
    /// How many must approve.
    pub approvals: u32,
    /// What was decided until now.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub decided: Vec<Decided>,
    /// The record of the call that ended it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ended_by: Option<String>,
}

impl Hold {
    /// The texts of its rules, for an agent and its user.
    pub fn rule_texts(&self) -> Vec<String> {
        self.rules.iter().map(|rule| rule.message.clone().unwrap_or_else(|| rule.rule.clone())).collect()
    }
}

/// What a reply says of the hold that its call waits in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HeldAt {
    /// The hold's id.
    #[cfg_attr(feature = "schema", schemars(length(equal = 43)))]
    pub id: String,
    /// Until when it may be decided, in milliseconds since the Unix epoch.
    pub expires_unix_ms: u64,
    /// How many must approve.
    pub approvals: u32,
    /// What the rules say that hold it.
    pub rules: Vec<String>,
}
