//! The findings of a door: one doubt about one place of a value.
//!
//! Owns the words of the outer door's verdicts. Must not know any check.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::shorten::shorten;
use crate::words::{one_line, quoted_list};

/// Characters of the arguments that a person gave a call.
const EDITED_CHARS_MAX: usize = 400;

/// What follows from a finding; ordered, the mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    // The derived order is that of the variants, so the gravest finding of a result is the maximum.
    /// Nothing was found.
    Pass,
    /// Delivered, and noted in the reply.
    Warn,
    /// Delivered, flagged in machine-readable form.
    Suspect,
    /// Not delivered before a person has seen it.
    Escalate,
    /// Not delivered: the value is implausible.
    Reject,
}

impl Verdict {
    /// As it is recorded.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Warn => "warn",
            Verdict::Suspect => "suspect",
            Verdict::Escalate => "escalate",
            Verdict::Reject => "reject",
        }
    }
}

/// One doubt about one place of a result, as it goes into the reply and the record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Finding {
    /// The check that found it: `range`, `freshness`, …
    pub kind: String,
    /// How the finding affects the answer.
    pub verdict: Verdict,
    /// Where, code-like, over `result`: `rows[2].change_pct`. Empty for the whole.
    pub path: String,
    /// What the contract expects.
    pub expected: String,
    /// What was there, shortened.
    pub got: String,
}

/// The kind of the finding of an attempt that a response ended because it had a secret in it.
pub const SECRET_ECHO: &str = "secret.echo";

/// The kind of the finding of an attempt in which a service did not take the host's credential.
pub const SECRET_REFUSED: &str = "secret.refused";

/// The kind of the finding of arguments that a tool does not declare, and which were ignored.
pub const ARGS_IGNORED: &str = "args.ignored";

impl Finding {
    /// A person let the call run with other arguments.
    pub fn edited(by: &str, arguments: &Value) -> Finding {
        Finding {
            kind: "edited".to_owned(),
            verdict: Verdict::Warn,
            path: String::new(),
            expected: "an answer to the arguments of the call".to_owned(),
            got: format!(
                "one to those that {by} put in their place, {}; tell your user",
                one_line(&arguments.to_string(), EDITED_CHARS_MAX)
            ),
        }
    }

    /// The finding of a call with arguments that its tool does not declare, and whose contract says that these are ignored.
    pub fn ignored(places: &[String]) -> Finding {
        Finding {
            kind: ARGS_IGNORED.into(),
            verdict: Verdict::Warn,
            path: String::new(),
            expected: "arguments that the tool declares".into(),
            got: format!("{}, which it ignores", places.join(", ")),
        }
    }

    /// The finding of an attempt that ended because a response had the value of a secret in it. The secret is named for
    /// the operator; its value is nowhere.
    pub fn secret_echo(name: &str) -> Finding {
        Finding {
            kind: SECRET_ECHO.into(),
            verdict: Verdict::Reject,
            path: String::new(),
            expected: format!("responses without the secret `{name}`"),
            got: "its value: the attempt was ended before the tool could read it".into(),
        }
    }

    /// The finding of an attempt in which a service answered 401 to a request with this secret.
    pub fn secret_refused(name: &str) -> Finding {
        Finding {
            kind: SECRET_REFUSED.into(),
            verdict: Verdict::Warn,
            path: String::new(),
            expected: format!("a service that takes the secret `{name}`"),
            got: "status 401: the value is wrong or no longer good".into(),
        }
    }

    /// The finding of an attempt that was denied a use of a capability. Only the kind of the use is named: an agent must
    /// not be able to probe for what exists.
    pub fn denied(capability: &str, kind: &str) -> Finding {
        Finding {
            kind: "denied".into(),
            verdict: Verdict::Warn,
            path: String::new(),
            expected: format!("a grant of `{capability}`"),
            got: format!("none: {kind}"),
        }
    }

    /// The finding of an answer whose tool did something that was not answered at these places.
    pub fn unsettled(open_at: &[String]) -> Finding {
        Finding {
            kind: "effect.unsettled".into(),
            verdict: Verdict::Suspect,
            path: String::new(),
            expected: "each change settled before the answer".into(),
            got: format!(
                "one at {} that was not answered: it may have been made or not",
                quoted_list(open_at.iter().map(String::as_str))
            ),
        }
    }

    /// The finding of a relation over facts that was not checked, since the call has no session.
    pub fn unchecked(relation: &str) -> Finding {
        Finding {
            kind: "facts.unchecked".into(),
            verdict: Verdict::Warn,
            path: String::new(),
            expected: shorten(relation, 200),
            got: "no session, so this cannot be checked".into(),
        }
    }

    /// The finding of a call of a tool that may write, which did again what an earlier one of its session did.
    pub fn repeated(record: &str) -> Finding {
        Finding {
            kind: "repeat.done".into(),
            verdict: Verdict::Warn,
            path: String::new(),
            expected: "each change once in a session".into(),
            got: format!(
                "the same call as in record {record}, which succeeded: it may have been done a second time"
            ),
        }
    }

    /// The finding of an answer that has no record, because the journal could not be written.
    pub fn record_lost() -> Finding {
        Finding {
            kind: "record.lost".into(),
            verdict: Verdict::Warn,
            path: String::new(),
            expected: "a record of this call".into(),
            got: "none: the host could not write its journal".into(),
        }
    }
}
