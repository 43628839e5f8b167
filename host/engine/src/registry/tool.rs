//! One tool, ready to be called.

use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::component::ComponentExportIndex;

use crate::policy::Allowance;
use crate::sandbox::run::Linked;
use airlock_contract::surface::Surface;
use airlock_contract::tool::Contract;
use airlock_types::effect::Effect;
use airlock_types::grant::Requests;
use airlock_types::limit::{Limits, PartialLimits};
use airlock_types::plan::RetryPolicy;

/// The least time in which an attempt is worth starting, in milliseconds, where neither operator nor author says it.
pub(crate) const USEFUL_MS_MIN: u64 = 1_000;

/// A component's file, and what it is.
#[derive(Debug)]
pub struct Component {
    /// The file.
    pub path: PathBuf,
    /// SHA-256 of the file, hex.
    pub digest: Arc<str>,
    /// What it shows and wants.
    pub surface: Surface,
}

/// One tool, ready to be called: its contract, its linked component, and what the operator decided.
pub struct Tool {
    /// The public name.
    pub name: Arc<str>,
    /// Where it comes from.
    pub component: Arc<Component>,
    /// What it promises.
    pub contract: Contract,
    /// What it may do to the world: the operator's word, else the contract's, else what its grants allow.
    pub effect: Effect,
    /// What its author asks for.
    pub requests: Requests,
    /// What its author says of limits.
    pub author_limits: PartialLimits,
    /// What its author says is the least time in which an attempt is worth starting.
    pub author_useful_ms_min: Option<u64>,
    /// What it may reach and use.
    pub allowance: Arc<Allowance>,
    /// The registry's key that it comes from.
    pub key: String,
    /// Its retries.
    pub retry: RetryPolicy,
    /// Who answers when this tool cannot, in order.
    pub fallback: Vec<String>,
    /// The least time in which an attempt is worth starting.
    pub useful_ms_min: u64,
    /// Calls that run at once.
    pub bulkhead_run: u32,
    /// Calls that wait.
    pub bulkhead_wait: u32,
    pub(crate) linked: Linked,
    pub(crate) export: ComponentExportIndex,
}

impl Tool {
    /// What one attempt may use.
    pub fn limits(&self) -> &Limits {
        self.allowance.limits()
    }
}

impl std::fmt::Debug for Tool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tool").field("name", &self.name).field("component", &self.component.digest).finish()
    }
}
