//! The facts about a failed call or attempt, beyond its code.

use airlock_types::code::Code;
use airlock_types::effect::{Effects, Verified};
use airlock_types::finding::{Finding, SECRET_ECHO, SECRET_REFUSED};
use airlock_types::grant::Help;
use serde_json::Value;

/// The facts about a failure, beyond its code. The texts for agents are made from them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Details {
    /// The limit that was hit, as text: `10000 ms`.
    pub(crate) limit: Option<String>,
    /// The host that had not answered when the deadline ended the attempt.
    pub(crate) waiting_for: Option<String>,
    /// Kinds of capabilities that were not granted. Kinds only: an agent must not be able to probe for paths.
    pub(crate) denied: Vec<String>,
    /// What of them was refused, as kinds: `http to that host is not granted`.
    pub(crate) kinds: Vec<String>,
    /// What helps against the refusals.
    pub(crate) help: Help,
    /// Whether the limit is that of one step, and not of the answer.
    pub(crate) is_step: bool,
    /// The tool's own error value, as JSON.
    pub(crate) detail: Option<Value>,
    /// Time in milliseconds after which a retry can help.
    pub(crate) retry_after_ms: Option<u64>,
    /// Findings of the outer door.
    pub(crate) findings: Vec<Finding>,
    /// The confidential values of a result that was not accepted.
    pub(crate) confidential: Vec<Value>,
    /// Number of attempts made, over all routes.
    pub(crate) attempts: u32,
    /// Whether the tool declared its error transient. Read only where the code leaves the retry to the tool.
    pub(crate) transient: bool,
    /// Whether the contract declares that the arguments are to blame for the tool's error.
    pub(crate) is_callers: bool,
    /// What the author says about the case of the tool's error.
    pub(crate) doc: Option<String>,
    /// What the attempt did to the world.
    pub(crate) effects: Effects,
    /// For `outcome-unknown`: the code that the attempt would have without the effect that is not settled.
    pub(crate) ended_by: Option<Code>,
    /// Whether it did not run because its code could not be made ready.
    pub(crate) is_unready: bool,
    /// Whether it did not run because other calls try whether its tool works again.
    pub(crate) is_probed: bool,
    /// What a tool that was asked about the effect said, and its name for the caller.
    pub(crate) verified: Option<(String, Verified)>,
}

impl Details {
    /// What policy refused, in words for an agent.
    pub(crate) fn refused(&self, tool: &str) -> String {
        if self.is_echo() {
            return format!(
                "`{tool}` was stopped: what it fetched had a secret in it that the host had sent with the request."
            );
        }
        let denied = if self.denied.is_empty() { "a permission".to_owned() } else { self.denied.join(", ") };
        format!("`{tool}` needs what it was not granted: {denied}{}.", self.kinds_text())
    }

    /// The kinds, after the names of the capabilities. Empty where they say no more than these.
    pub(crate) fn kinds_text(&self) -> String {
        let more: Vec<&str> = self.kinds.iter().map(String::as_str).filter(|kind| !self.says(kind)).collect();
        if more.is_empty() { String::new() } else { format!(": {}", more.join("; ")) }
    }

    /// Whether a kind is one of the names.
    fn says(&self, kind: &str) -> bool {
        self.denied.iter().any(|name| {
            kind.split_once(' ').is_some_and(|(first, rest)| {
                first == name && rest.ends_with("not granted") && rest.len() < "are not granted ".len()
            })
        })
    }

    /// How a refusal of policy can be mended, in words for an agent.
    pub(crate) fn who_helps(&self) -> &'static str {
        if self.is_echo() {
            return "Repeating it will fail again. Only the operator can look into it; tell your user.";
        }
        match self.help {
            Help::Operator => {
                "Repeating it will fail again. Only the operator can grant it; tell your user what is missing."
            }
            Help::Room => {
                "Repeating it unchanged will fail again. If a tool removes what is kept, that makes room; otherwise only the \
                 operator can grant more: tell your user."
            }
            Help::Session => {
                "Repeating it unchanged will fail again. Call it within a session: send `new` as the header \
                 `Airlock-Session`, or as `dev.airlock/session` in `_meta`."
            }
            Help::Credentials => {
                "Repeating it unchanged will fail again. Call it with the credentials of a caller; without them nothing can \
                 be kept."
            }
        }
    }

    /// Whether a response ended the attempt because it had a secret in it.
    fn is_echo(&self) -> bool {
        self.findings.iter().any(|finding| finding.kind == SECRET_ECHO)
    }

    /// Whether a service did not take the host's own credential.
    pub(crate) fn is_secret_refused(&self) -> bool {
        self.findings.iter().any(|finding| finding.kind == SECRET_REFUSED)
    }

    /// Details of a call whose code is not ready. It may be for one that comes after this time.
    pub(crate) fn unready(retry_after_ms: u64) -> Details {
        Details { is_unready: true, retry_after_ms: Some(retry_after_ms), ..Details::default() }
    }

    /// Details of an attempt beside those that try whether a paused tool works again. The hint is a guess: a pause may follow.
    pub(crate) fn probed() -> Details {
        Details { is_probed: true, ..Details::no_slot() }
    }

    /// Details of a call that got no slot. The hint of one second is a guess: when a slot comes free is unknown.
    pub(crate) fn no_slot() -> Details {
        Details { retry_after_ms: Some(1_000), ..Details::default() }
    }
}
