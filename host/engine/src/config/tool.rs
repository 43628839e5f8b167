//! `[tools]`: the operator's settings of each tool.
//!
//! Owns these settings and their defaults. Must not know how a tool is loaded.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;
use toml::Spanned;

use super::{FactConfig, Fallbacks, ReportConfig, SignatureConfig, ToolHoldConfig, ToolJournalConfig};
use airlock_types::cassette::RecordMode;
use airlock_types::effect::Effect;
use airlock_types::grant::Grants;
use airlock_types::limit::PartialLimits;

/// One entry under `[tools]`: one tool, or several when a component exports several functions.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ToolConfig {
    /// The component's file, relative to the registry's file.
    pub component: Spanned<PathBuf>,
    /// The functions that become tools: a list of WIT names, or a table of WIT name to public name. Default all.
    #[serde(default)]
    pub functions: Option<Spanned<Functions>>,
    /// The effect class, when the operator overrides the contract.
    #[serde(default)]
    pub effects: Option<Spanned<Effect>>,
    /// The capabilities that the tool is granted. Default none.
    #[serde(default)]
    pub grants: Option<Spanned<Grants>>,
    /// Extra grants that are tried until a day: their uses pass, and are recorded as ones that would be denied. Default none.
    #[serde(default)]
    pub report: Option<Spanned<ReportConfig>>,
    /// Limits of one attempt. Unset ones come from the contract, which may only lower the defaults.
    #[serde(default)]
    pub limits: PartialLimits,
    /// How often a failed attempt is repeated.
    #[serde(default)]
    pub retry: RetryConfig,
    /// Public names of the tools that answer when this one cannot, in order: one list, or a table of WIT names to lists.
    #[serde(default)]
    pub fallback: Fallbacks,
    /// Public name of the tool that says whether an effect of this one happened, where its contract asks for one.
    #[serde(default)]
    pub verify: Option<Spanned<String>>,
    /// Whose facts its relations are held against, by the name of the facts: `{ from = "TOOL" }`. Default those of its own
    /// component alone.
    #[serde(default)]
    pub facts: BTreeMap<Spanned<String>, FactConfig>,
    /// Rules that hold calls until a person has decided, beside those of the contract. Default none.
    #[serde(default)]
    pub hold: Vec<ToolHoldConfig>,
    /// Whether calls of an `irreversible` tool run without a person's yes: `waived`. Default: each is held.
    #[serde(default)]
    pub approval: Option<Approval>,
    /// The least time, in milliseconds, in which an attempt is worth starting. Default the contract's, or 1,000.
    #[serde(default)]
    pub useful_ms_min: Option<u64>,
    /// How many calls of this tool run and wait at the same time.
    #[serde(default)]
    pub bulkhead: BulkheadConfig,
    /// Stand-ins for imports that the host does not provide, by import name.
    #[serde(default)]
    pub imports: BTreeMap<Spanned<String>, ImportConfig>,
    /// What is kept of the records of its calls. Default as for all tools.
    #[serde(default)]
    pub journal: ToolJournalConfig,
    /// What of the imports of its attempts is recorded: `off`, `metadata` or `full`. Default `metadata`.
    #[serde(default)]
    pub record: RecordMode,
    /// By whom the component must be signed. Default as for all tools.
    #[serde(default)]
    pub signatures: SignatureConfig,
}

impl ToolConfig {
    /// Whether this entry, with its key, may show a tool of this name. Known without its component: which functions it has
    /// is not.
    pub fn may_show(&self, key: &str, name: &str) -> bool {
        Functions::may_show(self.functions.as_ref().map(Spanned::get_ref), key, name)
    }
}

/// The functions of a component that become tools.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "`functions` is a list of WIT names, or a table of WIT names to public names")]
#[non_exhaustive]
pub enum Functions {
    /// These functions, under public names made from the registry key and their WIT names.
    Listed(Vec<String>),
    /// These functions, under the given public names.
    Named(BTreeMap<String, String>),
}

impl Functions {
    /// Whether an entry with these functions and this key may show a tool of this name.
    pub(super) fn may_show(functions: Option<&Functions>, key: &str, name: &str) -> bool {
        match functions {
            Some(Functions::Named(names)) => names.values().any(|public| public == name),
            Some(Functions::Listed(_)) | None => {
                name.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
            }
        }
    }

    /// Whether no function becomes a tool.
    pub fn is_empty(&self) -> bool {
        match self {
            Functions::Listed(names) => names.is_empty(),
            Functions::Named(names) => names.is_empty(),
        }
    }
}

/// What an operator says about the approval of calls that cannot be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Approval {
    /// They run without one.
    Waived,
}

/// Retries of one tool.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RetryConfig {
    /// Attempts in total, with the first one. Default 3, at most 10.
    pub attempts: Option<Spanned<u32>>,
    /// Whether an implausible answer is retried. Default false.
    #[serde(default)]
    pub implausible: bool,
}

/// How many calls of one tool run and wait, so that one busy tool does not take all slots of the host.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct BulkheadConfig {
    /// Calls that run at the same time. Default 8.
    pub run: u32,
    /// Calls that may wait; further ones are rejected. Default 64.
    pub wait: u32,
}

impl Default for BulkheadConfig {
    fn default() -> BulkheadConfig {
        BulkheadConfig { run: 8, wait: 64 }
    }
}

/// The stand-in for an import that the host does not provide.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "an import is `\"trap\"`, or a table of results by function")]
#[non_exhaustive]
pub enum ImportConfig {
    /// `"trap"`: calling it ends the guest.
    Word(ImportWord),
    /// Fixed results by function; an empty table for one without a result, and for no value of an option. Functions that
    /// are not listed trap.
    Fixed(BTreeMap<String, Value>),
}

impl fmt::Display for ImportConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImportConfig::Word(ImportWord::Trap) => f.write_str("trap"),
            ImportConfig::Fixed(results) => f.write_str(&serde_json::json!(results).to_string()),
        }
    }
}

/// A stand-in that is written as one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ImportWord {
    /// Calling it ends the guest.
    Trap,
}
