//! The decision about one call of one tool: nothing runs without the permit that comes of it.

use std::sync::Arc;

use super::Allowance;
use airlock_contract::tool::ValidArgs;
use airlock_types::decision::{Reason, Ruling};
use airlock_types::grant::Effective;
use airlock_types::limit::Limits;
use airlock_types::principal::Principal;
use airlock_types::session::SessionId;

/// Everything that the decision depends on. Time is part of it, so that a decision can be made again.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Who calls.
    pub caller: &'a Principal,
    /// The tool's public name.
    pub tool: &'a str,
    /// What the tool may reach and use.
    pub allowance: &'a Arc<Allowance>,
    /// Its arguments, which passed the inner door.
    pub args: &'a ValidArgs,
    /// The session that the call belongs to.
    pub session: Option<&'a SessionId>,
    /// The wall clock, in milliseconds since the Unix epoch.
    pub now_unix_ms: u64,
}

/// A decision, with its reasons.
#[derive(Clone, Debug)]
pub enum Decision {
    /// The call may run.
    Allow(Permit),
    /// The call may not run.
    Deny(Denied),
    /// A human must approve the call first.
    Hold(Hold),
}

/// A yes: what one tool may reach and use in this call. Only [`decide`] makes one, and the sandbox runs nothing
/// without one.
#[derive(Clone, Debug)]
pub struct Permit {
    allowance: Arc<Allowance>,
}

/// A no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// Why not, what would help among them.
    pub reasons: Arc<[Reason]>,
}

/// A question to a human.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The rules that ask for approval.
    pub reasons: Arc<[Reason]>,
}

impl Permit {
    /// What the tool may reach.
    pub fn effective(&self) -> &Effective {
        self.allowance.effective()
    }

    /// What one attempt may use.
    pub fn limits(&self) -> &Limits {
        self.allowance.limits()
    }
}

impl Denied {
    /// The kinds of what is missing, each once: an agent learns no more, so that it cannot probe.
    pub fn capabilities(&self) -> Vec<String> {
        let missing = self.reasons.iter().filter_map(|reason| match reason {
            Reason::Missing { capability, .. } => Some(capability.clone()),
            Reason::Granted { .. } | Reason::DoesWithout { .. } | Reason::Approval { .. } => None,
        });
        let mut kinds: Vec<String> = missing.collect();
        kinds.dedup();
        kinds
    }
}

impl Decision {
    /// The decision without its reasons.
    pub fn ruling(&self) -> Ruling {
        match self {
            Decision::Allow(_) => Ruling::Allow,
            Decision::Deny(_) => Ruling::Deny,
            Decision::Hold(_) => Ruling::Hold,
        }
    }

    /// The reasons. A tool that asks for nothing is allowed without one.
    pub fn reasons(&self) -> &Arc<[Reason]> {
        match self {
            Decision::Allow(Permit { allowance }) => &allowance.reasons,
            Decision::Deny(Denied { reasons }) | Decision::Hold(Hold { reasons }) => reasons,
        }
    }
}

/// Decides whether a call may run. What the tool's author asks for is needed, unless the author says that the tool can
/// do without: a tool that lacks what it needs would fail half-way, in words of its own.
pub fn decide(request: &Request<'_>) -> Decision {
    let Request { caller: _, tool: _, allowance, args: _, session: _, now_unix_ms: _ } = request;
    if allowance.missing().iter().any(|missing| !missing.optional) {
        return Decision::Deny(Denied { reasons: allowance.reasons.clone() });
    }
    Decision::Allow(Permit { allowance: Arc::clone(allowance) })
}
