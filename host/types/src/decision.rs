//! What policy decided about one call of one tool, and why.
//!
//! Owns the words of a decision. Must not know how it is made.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The decision itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ruling {
    /// The call may run.
    Allow,
    /// The call may not run.
    Deny,
    /// A human must approve the call first.
    Hold,
}

impl Ruling {
    /// As it is printed and recorded.
    pub fn as_str(self) -> &'static str {
        match self {
            // These words are stored in records, so they do not change when a variant is renamed.
            Ruling::Allow => "allow",
            Ruling::Deny => "deny",
            Ruling::Hold => "hold",
        }
    }
}

/// One reason of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// A capability that the tool asks for was granted.
    Granted {
        /// The capability, as it is written in a registry: `files`.
        capability: String,
    },
    /// A capability was not granted, and the tool can do without.
    DoesWithout {
        /// The capability.
        capability: String,
        /// What was asked for: `/data (read)`.
        asked: String,
    },
    /// A capability that the tool needs was not granted.
    Missing {
        /// The capability.
        capability: String,
        /// What was asked for: `/data (read)`.
        asked: String,
        /// The line of the registry that would grant it.
        grant: String,
    },
    /// A rule asks for a human's approval.
    Approval {
        /// The rule.
        rule: String,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Granted { capability } => write!(f, "`{capability}` is granted"),
            Reason::DoesWithout { capability, asked } => {
                write!(f, "`{capability}` is not granted ({asked}); the tool can do without")
            }
            Reason::Missing { capability, asked, grant } => {
                write!(f, "`{capability}` is not granted ({asked}); grant it with `{grant}`")
            }
            Reason::Approval { rule } => write!(f, "`{rule}` asks for a human's approval"),
        }
    }
}
