//! A call that waits for a person: what is asked, who may answer, and what they said.
//!
//! Owns the words of a hold and of its decisions. Must not know how a hold is kept, nor how its call is run.

mod rule;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::caller::Caller;
use crate::text::clean_lines;
pub use rule::HoldRule;

/// Characters of a hold's id: 32 random bytes in base64url. Whoever has one may ask for the reply, so it cannot be guessed.
pub const HOLD_ID_CHARS: usize = 43;

/// Characters of an id that are enough to name a hold to the operator.
pub const HOLD_PREFIX_CHARS_MIN: usize = 8;

/// Characters of what a person writes: a reason, or an answer in place of the tool's.
pub const NOTE_CHARS_MAX: usize = 4_000;

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
        arguments: Map<String, Value>,
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

    /// What the text of the user of a client begins with. No caller's does, as names under `[callers]` have no spaces.
    const CLIENT_USER: &'static str = "the user of ";

    /// The one with this text, as decisions have it.
    pub fn read(text: &str) -> Approver {
        match text.strip_prefix(Approver::CLIENT_USER) {
            Some(caller) => Approver::ClientUser(Caller::recorded(caller)),
            None if text == Approver::OPERATOR => Approver::Operator,
            None => Approver::Caller(Caller::recorded(text)),
        }
    }

    /// The name by which rules list them. The user of a client is on no list.
    pub fn listed(&self) -> Option<&str> {
        match self {
            Approver::Operator => Some(Approver::OPERATOR),
            Approver::Caller(caller) => Some(caller.entry()),
            Approver::ClientUser(_) => None,
        }
    }
}

impl fmt::Display for Approver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Approver::Operator => f.write_str(Approver::OPERATOR),
            Approver::Caller(caller) => write!(f, "{caller}"),
            Approver::ClientUser(caller) => write!(f, "{}{caller}", Approver::CLIENT_USER),
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
    /// What they wrote, without hidden characters.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
    /// Whether it does not count any more, since this person may not approve now.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub is_revoked: bool,
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
    /// The arguments, as long as it waits. None where some are confidential.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub arguments: Option<Value>,
    /// SHA-256 of the canonical arguments, hex. An approval that names it counts for these arguments alone.
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
    /// The texts of its rules, for an agent and its user, without hidden characters.
    pub fn rule_texts(&self) -> Vec<String> {
        self.rules.iter().map(|rule| clean_lines(rule.message.as_ref().unwrap_or(&rule.rule))).collect()
    }

    /// Puts other arguments in the place of those that were held. What the rules met of the former ones is left out: beside the
    /// new arguments it would be read as theirs.
    pub fn edit(&mut self, arguments: Value, args_digest: String) {
        (self.arguments, self.args_digest) = (Some(arguments), args_digest);
        self.rules.iter_mut().for_each(|rule| rule.values.clear());
    }

    /// What its caller is told of it.
    pub fn held_at(&self) -> HeldAt {
        HeldAt {
            id: self.id.clone(),
            expires_unix_ms: self.expires_unix_ms,
            approvals: self.approvals,
            rules: self.rule_texts(),
        }
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

/// What follows from a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// More must approve.
    Waits,
    /// The call may run, or its result be delivered.
    Runs,
    /// The hold ends without.
    Ends,
}

/// Why a decision does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDecided {
    /// The hold has ended.
    #[error("it is {0} already, and a hold is used once")]
    Ended(Standing),
    /// This person may not decide it.
    #[error("{0}")]
    NotAllowed(String),
    /// Nobody can decide so.
    #[error("{0}")]
    NotPossible(&'static str),
}

impl Hold {
    /// Whether its time is over.
    pub fn is_due(&self, now_unix_ms: u64) -> bool {
        self.standing == Standing::Open && now_unix_ms >= self.expires_unix_ms
    }

    /// Takes a decision. The arguments of an edit are not put in here: who keeps the hold does, once they are judged.
    ///
    /// # Errors
    /// When the hold has ended, or this person may not decide it. It is unchanged then.
    pub fn decide(
        &mut self,
        by: &Approver,
        decision: &HoldDecision,
        now_unix_ms: u64,
    ) -> Result<Next, NotDecided> {
        if self.standing != Standing::Open {
            return Err(NotDecided::Ended(self.standing));
        }
        if self.is_due(now_unix_ms) {
            return Err(NotDecided::Ended(Standing::Expired));
        }
        // First, since it is not about who decides.
        if self.is_result && matches!(decision, HoldDecision::Edit { .. }) {
            return Err(NotDecided::NotPossible(
                "the call ran already: approve its result, reject it, or respond",
            ));
        }
        self.check_allowed(by, decision).map_err(NotDecided::NotAllowed)?;
        // A person who has the call tried again is not counted twice: another's approval may be taken back meanwhile.
        if !self.has_approved(by, decision) {
            self.decided.push(Decided {
                by: by.to_string(),
                at_unix_ms: now_unix_ms,
                what: decision.as_str().to_owned(),
                // An agent reads it as it stands here, in the text and in the fields of its reply.
                note: decision.note().map(clean_lines),
                is_revoked: false,
            });
        }
        let (standing, next) = match decision {
            HoldDecision::Reject { .. } => (Standing::Rejected, Next::Ends),
            HoldDecision::Respond { .. } => (Standing::Responded, Next::Ends),
            HoldDecision::Approve | HoldDecision::Edit { .. } if self.is_approved() => {
                (Standing::Running, Next::Runs)
            }
            HoldDecision::Approve | HoldDecision::Edit { .. } => (Standing::Open, Next::Waits),
        };
        self.standing = standing;
        Ok(next)
    }

    fn check_allowed(&self, by: &Approver, decision: &HoldDecision) -> Result<(), String> {
        if let Approver::Caller(caller) = by
            && caller.to_string() == self.caller
        {
            return Err("whoever made the call cannot decide about it; another approver must".to_owned());
        }
        if let Approver::ClientUser(caller) = by
            && caller.to_string() != self.caller
        {
            return Err("it is the call of another client".to_owned());
        }
        if !self.rules.iter().any(|rule| rule.counts(by)) {
            return Err(format!("{by} is not among the approvers of its rules ({})", self.approver_names()));
        }
        if self.has_approved(by, decision) && !self.is_approved() {
            return Err(format!("{by} has approved it already; another approver must, too"));
        }
        Ok(())
    }

    /// Whether a decision approves what this person approved already.
    fn has_approved(&self, by: &Approver, decision: &HoldDecision) -> bool {
        matches!(decision, HoldDecision::Approve)
            && self.approvals_now().any(|decided| decided.by == by.to_string())
    }

    fn approver_names(&self) -> String {
        let names = self.rules.iter().flat_map(|rule| &rule.approvers).map(String::as_str);
        names.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
    }

    /// The approvals of the arguments as they are: an edit makes those before it void.
    fn approvals_now(&self) -> impl Iterator<Item = &Decided> {
        let edited = self.decided.iter().rposition(|decided| decided.what == "edit").unwrap_or(0);
        self.decided.iter().skip(edited).filter(|decided| !decided.is_revoked)
    }

    /// Takes back what people approved who may not any more.
    pub fn revoke(&mut self, may_not: impl Fn(&Approver) -> bool) {
        for decided in self.decided.iter_mut().filter(|decided| may_not(&Approver::read(&decided.by))) {
            decided.is_revoked = true;
        }
    }

    /// Whether each rule has as many approvals as it asks for. One that is open all the same waits for room: its call found none
    /// when it was to run.
    pub fn is_approved(&self) -> bool {
        let is_approved = |rule: &HoldRule| {
            let counted = self.approvals_now().filter(|decided| rule.counts(&Approver::read(&decided.by)));
            counted.count() >= rule.approvals as usize
        };
        !self.decided.is_empty() && self.rules.iter().all(is_approved)
    }

    /// Has the call run that was approved and found no room. Whether it runs.
    pub fn run_again(&mut self, now_unix_ms: u64) -> bool {
        let runs = self.standing == Standing::Open && !self.is_due(now_unix_ms) && self.is_approved();
        if runs {
            self.standing = Standing::Running;
        }
        runs
    }
}

#[cfg(test)]
mod tests;
