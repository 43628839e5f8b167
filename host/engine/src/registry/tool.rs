//! One loaded tool.
//!
//! Owns the form only; `load` makes it and never changes it afterwards.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::code::Runnable;
use crate::caller::facts::FactSource;
use crate::config::{Fallback, ToolHoldConfig};
use crate::policy::{Allowance, Allowances, PolicySource};
use crate::signature::Signed;
use airlock_contract::component::{ComponentInfo, Needs};
use airlock_contract::tool::Contract;
use airlock_types::cassette::RecordMode;
use airlock_types::effect::Effect;
use airlock_types::grant::{Grants, Requests};
use airlock_types::limit::{Limits, PartialLimits};
use airlock_types::plan::RetryPolicy;

/// The least time in which an attempt is worth starting, in milliseconds, when neither the operator nor the author
/// states one.
pub(crate) const USEFUL_MS_MIN: u64 = 1_000;

/// A component's file and its description.
#[derive(Debug)]
pub struct Component {
    /// The path of the file.
    pub path: PathBuf,
    /// SHA-256 of the file, in hex.
    pub digest: Arc<str>,
    /// Digest of its types, in hex.
    pub wit: String,
    /// Who signed it.
    pub signed: Signed,
    /// The time since 1970 in milliseconds from which on the signatures are not enough any more; `None` for never.
    pub signed_until_ms: Option<u64>,
    /// The component's functions, imports and embedded contract.
    pub info: ComponentInfo,
}

/// One tool, ready to be called: its contract, its linked component, and the operator's settings.
pub struct Tool {
    /// The public name, unique in the registry.
    pub name: Arc<str>,
    /// The component that exports the function. Tools of one component share it.
    pub component: Arc<Component>,
    /// The types, rules and texts of the function.
    pub contract: Contract,
    /// The effect class: the operator's, else the contract's, else what the grants make possible.
    pub effect: Effect,
    /// Whether the operator or the author states it, and it is no inference from the grants.
    pub is_effect_declared: bool,
    /// Whether its grants reach beyond this host: MCP's `openWorldHint`.
    pub is_open_world: bool,
    /// The capabilities that the author requests.
    pub requests: Requests,
    /// The limits that the author requests.
    pub author_limits: PartialLimits,
    /// The least useful time that the author states, in milliseconds.
    pub author_useful_ms_min: Option<u64>,
    /// The grants and limits that are in force for callers without grants of their own.
    pub allowance: Arc<Allowance>,
    /// The same for each caller, and while extra grants are tried.
    pub allowances: Arc<Allowances>,
    /// What the operator grants to its entry, with the folders of this machine.
    pub granted: Arc<Grants>,
    /// Where they are written.
    pub source: Arc<PolicySource>,
    /// The key of its entry in the registry.
    pub key: String,
    /// How often failed attempts are repeated.
    pub retry: RetryPolicy,
    /// What answers when it cannot, in order.
    pub fallback: Vec<Fallback>,
    /// The public name of the read-only tool that its contract verifies effects by. None where the contract names none,
    /// or one that the registry does not have.
    pub verify: Option<Arc<str>>,
    /// The operator's rules that hold its calls, as they were when it was loaded.
    pub holds: Box<[ToolHoldConfig]>,
    /// Whether the operator lets its calls run without a person's yes, although they cannot be undone.
    pub is_approval_waived: bool,
    /// Where the facts come from that its relations are held against, in the order in which its contract reads them.
    pub facts: Box<[FactSource]>,
    /// The least time, in milliseconds, in which an attempt is worth starting.
    pub useful_ms_min: u64,
    /// Slots of its gate.
    pub bulkhead_run: u32,
    /// Waiters that its gate allows.
    pub bulkhead_wait: u32,
    /// What of its imports is recorded.
    pub record: Record,
    /// None in a registry that was loaded to be looked at: nothing was compiled for it.
    pub(crate) runnable: Option<Runnable>,
}

/// What of the imports of a tool is recorded, and how it is kept.
#[derive(Clone)]
pub struct Record {
    /// How much.
    pub mode: RecordMode,
    /// Most bytes of a cassette.
    pub bytes_max: u64,
    /// Encrypts to the operator's key, where there is one.
    pub(crate) sealer: Option<Arc<Sealer>>,
}

/// Encrypts to the operator's key.
pub(crate) type Sealer = crate::tape::Seal;

impl Record {
    pub(crate) fn sealing(&self) -> Option<&Sealer> {
        self.sealer.as_deref()
    }
}

/// A limit below what each instance of a component begins with: every call would end at it.
pub(super) struct Exceeded {
    pub(super) setting: &'static str,
    pub(super) what: &'static str,
    pub(super) needed: u64,
    pub(super) limit: u64,
    pub(super) unit: &'static str,
}

/// The limits below what an instance begins with.
pub(super) fn exceeded(needs: &Needs, limits: &Limits) -> impl Iterator<Item = Exceeded> {
    let Needs { memory_bytes, table_elements } = *needs;
    let limit = |setting, what, needed, limit, unit| Exceeded { setting, what, needed, limit, unit };
    [
        limit("memory_bytes_max", "memory", memory_bytes, limits.memory_bytes_max, "bytes"),
        limit("table_elements_max", "table", table_elements, limits.table_elements_max, "elements"),
    ]
    .into_iter()
    .filter(|one| one.needed > one.limit)
}

impl Component {
    /// Whether the signatures that it must have are in force at this time since 1970 in milliseconds.
    pub fn is_signed_at(&self, now_unix_ms: u64) -> bool {
        self.signed_until_ms.is_none_or(|until| now_unix_ms < until)
    }
}

impl Tool {
    /// The limits of one attempt.
    pub fn limits(&self) -> &Limits {
        self.allowance.limits()
    }

    /// Whether a person must approve each call, whatever rules there are: what it does cannot be undone.
    pub fn must_be_approved(&self) -> bool {
        self.effect == Effect::Irreversible && !self.is_approval_waived
    }

    /// Why no call of it can run, for an agent: kinds of capabilities only, since agents must not learn paths. None for
    /// a tool that can run.
    pub fn unavailable(&self) -> Option<String> {
        let missing = self.allowance.missing().iter().filter(|missing| !missing.optional);
        let kinds: BTreeSet<&str> = missing.map(|missing| missing.capability.as_str()).collect();
        if !kinds.is_empty() {
            return Some(format!(
                "it needs what it is not granted ({})",
                kinds.into_iter().collect::<Vec<_>>().join(", ")
            ));
        }
        let is_too_large = exceeded(&self.component.info.needs, self.limits()).next().is_some();
        is_too_large.then(|| "it begins with more than its limits".to_owned())
    }

    /// What agents read about it: that it cannot run, if so, and what it does.
    pub fn description(&self) -> Cow<'_, str> {
        let said = self.contract.description.as_str();
        self.unavailable().map_or(said.into(), |why| {
            format!("UNAVAILABLE: {why}; only the operator can change this. {said}").into()
        })
    }
}

impl std::fmt::Debug for Tool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tool").field("name", &self.name).field("component", &self.component.digest).finish()
    }
}
