//! The rules that hold a call, as they were met.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Approver;

/// A rule that holds a call, as it was met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HoldRule {
    /// The rule: its expression as it was written, or `effect`, `caller`, `tool`, `first-use`, `suspect`, `repeat`,
    /// `irreversible`, `check`.
    pub rule: String,
    /// Whether it does not hold any more once the component ran with a person's yes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_first_use: bool,
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
    /// What is remembered of a component that ran with the yes of those that this rule asks.
    pub fn known_as(&self, component: &str) -> String {
        let HoldRule { rule, approvals, approvers, .. } = self;
        format!("{component} {rule} {approvals} {}", approvers.join(","))
    }

    /// Whether it asks the same of the same people.
    pub fn asks_as(&self, other: &HoldRule) -> bool {
        let HoldRule { rule, approvals, approvers, .. } = self;
        (rule, approvals, approvers) == (&other.rule, &other.approvals, &other.approvers)
    }

    /// Whether this person may answer it, and their approval counts.
    pub(super) fn counts(&self, by: &Approver) -> bool {
        let is_listed = |listed| self.approvers.iter().any(|name| name == listed);
        self.approvers.is_empty() || by.listed().is_some_and(is_listed)
    }

    /// The rule of a call that cannot be undone, where its operator waives nothing.
    pub fn irreversible() -> HoldRule {
        let message = Some("what it does cannot be undone".to_owned());
        let values = vec!["its effect class is `irreversible`".to_owned()];
        HoldRule { message, ..HoldRule::plain("irreversible", values) }
    }

    /// A rule that one person, whoever may approve, answers.
    pub fn plain(rule: &str, values: Vec<String>) -> HoldRule {
        let (rule, message) = (rule.to_owned(), None);
        HoldRule { rule, is_first_use: false, message, values, approvals: 1, approvers: Vec::new() }
    }
}

impl fmt::Display for HoldRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HoldRule { rule, is_first_use: _, message, values, approvals, approvers } = self;
        write!(f, "held by `{rule}`")?;
        if let Some(message) = message {
            write!(f, " ({message})")?;
        }
        if !values.is_empty() {
            write!(f, ": {}", values.join("; "))?;
        }
        let noun = if *approvals == 1 { "approval" } else { "approvals" };
        write!(f, "; it needs {approvals} {noun}")?;
        if approvers.is_empty() { Ok(()) } else { write!(f, " of {}", approvers.join(", ")) }
    }
}
