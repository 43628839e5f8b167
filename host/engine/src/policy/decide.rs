//! The decision about one call of one tool. Nothing runs without the permit that it returns.

use std::sync::Arc;

use super::{Allowance, Holding};
use airlock_contract::tool::ValidArgs;
use airlock_types::caller::Caller;
use airlock_types::decision::{Reason, Ruling};
use airlock_types::grant::Effective;
use airlock_types::hold::HoldRule;
use airlock_types::limit::Limits;
use airlock_types::session::SessionId;

/// Everything that a decision depends on. Time is included, so that a decision can be repeated.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The caller.
    pub caller: &'a Caller,
    /// The public name of the tool.
    pub tool: &'a str,
    /// The tool's grants and limits.
    pub allowance: &'a Arc<Allowance>,
    /// The arguments, which passed the inner door.
    pub args: &'a ValidArgs,
    /// The session of the call, if it has one.
    pub session: Option<&'a SessionId>,
    /// The wall clock, in milliseconds since the Unix epoch.
    pub now_unix_ms: u64,
    /// The rules of the tool that hold the call: of its author and of its operator.
    pub held: &'a [HoldRule],
    /// What the registry's rules over tools ask. None where there are none, or they are not asked.
    pub holding: Option<Holding<'a>>,
    /// Whether a person must approve the call where no rule asks for it: what it does cannot be undone.
    pub must_be_approved: bool,
}

/// A decision with its reasons.
#[derive(Clone, Debug)]
pub enum Decision {
    /// The call may run.
    Allow(Permit),
    /// The call may not run.
    Deny(Denied),
    /// A human must approve the call first.
    Hold(Hold),
}

/// The permission to run one tool in one call, with its grants and limits. Only [`decide`] makes one, and the sandbox
/// runs nothing without one.
#[derive(Clone, Debug)]
pub struct Permit {
    allowance: Arc<Allowance>,
}

/// The refusal of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The reasons, with what would have to be granted.
    pub reasons: Arc<[Reason]>,
    /// SHA-256 of what is allowed and missing, hex.
    pub policy: Option<Arc<str>>,
}

/// A call that waits for the approval of a human.
#[derive(Clone, Debug)]
pub struct Hold {
    /// What is granted, and the rules that ask for approval.
    pub reasons: Arc<[Reason]>,
    /// The rules, with what they met.
    pub rules: Vec<HoldRule>,
    /// What the call may have once it is approved.
    pub permit: Permit,
}

impl Permit {
    /// The capabilities that the tool may use.
    pub fn effective(&self) -> &Effective {
        self.allowance.effective()
    }

    /// What the call would have without the grants of `report`, while these are tried.
    pub(crate) fn usual(&self) -> Option<&Arc<Allowance>> {
        self.allowance.usual()
    }

    /// The limits of one attempt.
    pub fn limits(&self) -> &Limits {
        self.allowance.limits()
    }

    /// SHA-256 of what is allowed and missing, hex.
    pub fn policy(&self) -> &Arc<str> {
        self.allowance.digest()
    }

    /// The linked form of the component that runs under it.
    pub(crate) fn form(&self) -> usize {
        self.allowance.form
    }
}

impl Denied {
    /// The kinds of the missing capabilities, each once. An agent gets no more detail, so that it cannot probe.
    pub fn capabilities(&self) -> Vec<String> {
        let missing = self.reasons.iter().filter_map(|reason| match reason {
            Reason::Missing { capability, .. } => Some(capability.clone()),
            Reason::Granted { .. } | Reason::DoesWithout { .. } | Reason::Approval { .. } => None,
        });
        let mut kinds: Vec<String> = missing.collect();
        // Reasons of one kind are adjacent, so no sorting is needed.
        kinds.dedup();
        kinds
    }
}

impl Decision {
    /// The denial of a call whose caller has other grants than the tool was loaded with: the newer ones are in force once
    /// the tools of their file are served.
    pub(crate) fn changing(caller: &str) -> Decision {
        let reason = Reason::Missing {
            capability: "the changed grants of the caller".to_owned(),
            asked: format!("`callers.{caller}.grants` of the newest file"),
            grant: "mend what keeps the newest file from being served".to_owned(),
        };
        Decision::Deny(Denied { reasons: [reason].into(), policy: None })
    }

    /// The denial of a call of a tool whose component must be signed, and whose signature has ended since it was loaded.
    pub(crate) fn ended() -> Decision {
        let reason = Reason::Missing {
            capability: "a signature in force".to_owned(),
            asked: "the signature of the component, which has ended".to_owned(),
            grant: "have its author sign it again, and reload the registry".to_owned(),
        };
        Decision::Deny(Denied { reasons: [reason].into(), policy: None })
    }

    /// SHA-256 of what is allowed and missing, hex.
    pub fn policy(&self) -> Option<&Arc<str>> {
        match self {
            Decision::Allow(permit) => Some(permit.policy()),
            Decision::Deny(Denied { policy, .. }) => policy.as_ref(),
            Decision::Hold(Hold { permit, .. }) => Some(permit.policy()),
        }
    }

    /// The decision without its reasons.
    pub fn ruling(&self) -> Ruling {
        match self {
            Decision::Allow(_) => Ruling::Allow,
            Decision::Deny(_) => Ruling::Deny,
            Decision::Hold(_) => Ruling::Hold,
        }
    }

    /// The reasons. A tool that requests nothing is allowed without a reason.
    pub fn reasons(&self) -> &Arc<[Reason]> {
        match self {
            Decision::Allow(Permit { allowance }) => &allowance.reasons,
            Decision::Deny(Denied { reasons, policy: _ }) | Decision::Hold(Hold { reasons, .. }) => reasons,
        }
    }
}

/// Decides whether a call may run. A requested capability is required unless the author marks it as optional: a tool
/// without it would fail in the middle of its work, with an error of its own.
pub fn decide(request: &Request<'_>) -> Decision {
    // Destructured without `..`, so that a new input cannot be forgotten here.
    let Request {
        caller,
        tool,
        allowance,
        args,
        session: _,
        now_unix_ms: _,
        held,
        holding,
        must_be_approved,
    } = request;
    if allowance.missing().iter().any(|missing| !missing.optional) {
        // All reasons, not only the first: the operator can then grant everything at once.
        let policy = Some(allowance.digest().clone());
        return Decision::Deny(Denied { reasons: allowance.reasons.clone(), policy });
    }
    // Shared, not copied: a permit costs one reference count.
    let permit = Permit { allowance: Arc::clone(allowance) };
    // After the denial: a person is not asked about what may not run in any case.
    if held.is_empty() && holding.is_none() && !must_be_approved {
        return Decision::Allow(permit);
    }
    let mut rules = held.to_vec();
    rules.extend(holding.iter().flat_map(|holding| holding.rules.met(caller, tool, (args, holding))));
    // Only where nothing else asks: whoever a rule names decides, and no one is asked twice.
    if rules.is_empty() && *must_be_approved {
        rules.push(HoldRule::irreversible());
    }
    if rules.is_empty() {
        return Decision::Allow(permit);
    }
    let asks = rules.iter().map(|rule| Reason::Approval { rule: rule.rule.clone() });
    let reasons = allowance.reasons.iter().cloned().chain(asks).collect();
    Decision::Hold(Hold { reasons, rules, permit })
}
