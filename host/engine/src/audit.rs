//! What a security reviewer must know of each tool, without running it: what it imports, requests, is granted and has used,
//! what it may do, who made it, and what is doubtful about it.
//!
//! Owns the report as data, the same for the same registry and records. Must not know how it is shown. What is in force comes
//! from `Allowance::effective` alone, in `capability::of`. To add a doubt: `lint.rs`.

mod capability;
mod lint;
mod used;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use crate::capability::{Capabilities, Granting};
use crate::config::ConfigFile;
use crate::diff::Changes;
use crate::lock::{Lock, LockError};
use crate::policy::Allowance;
use crate::registry::{Definition, Registry, Tool};
use airlock_contract::component::Import;
use airlock_types::diagnostic::Diagnostic;
use airlock_types::text::clean;
pub use capability::Asked;
pub use lint::{Level, Lint, RULES, Rule};
pub use used::{Calls, Uses};

/// The report on a registry.
#[derive(Clone, Debug, Serialize)]
pub struct Audit {
    /// The registry's file, without its folder.
    pub registry: String,
    /// The records of calls that it was made from.
    pub records: u64,
    /// The tools, by name.
    pub tools: Vec<AuditedTool>,
    /// Why entries are left out. Nothing else is known of them.
    pub left_out: Vec<String>,
}

/// What is known of one tool.
#[derive(Clone, Debug, Serialize)]
pub struct AuditedTool {
    /// The public name.
    pub name: String,
    /// The line of its entry in the registry, from 1.
    pub line: usize,
    /// The description that models read.
    pub description: String,
    /// The effect class that is in force.
    pub effects: &'static str,
    /// SHA-256 of the component's file.
    pub component: String,
    /// Digest of its types.
    pub wit: String,
    /// Digest of what models read of it.
    pub surface: String,
    /// Whether its author wrote a contract.
    pub has_contract: bool,
    /// `verified` or `unverified`. A tool that failed is left out.
    pub signed: &'static str,
    /// The keys that signed it.
    pub signers: Vec<String>,
    /// What its component imports.
    pub imports: Vec<AuditedImport>,
    /// What it requests, is granted and has used, by capability.
    pub capabilities: Vec<Asked>,
    /// Its calls on record.
    pub calls: Calls,
    /// The limits of one attempt.
    pub limits: Value,
    /// The tools that answer in its place.
    pub fallback: Vec<String>,
    /// The number of checks that its results pass.
    pub checks: usize,
    /// What is doubtful about it.
    pub lints: Vec<Lint>,
}

/// One import of a component.
#[derive(Clone, Debug, Serialize)]
pub struct AuditedImport {
    /// Its name.
    pub name: String,
    /// The capability that it belongs to, if one.
    pub capability: Option<String>,
    /// Whether it works: a component that imports an interface is linked with it, which grants nothing.
    pub standing: Standing,
}

/// Whether an import works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// The operator grants it.
    Granted,
    /// It is linked, and each use is denied.
    Denied,
    /// Every component has it, and it reaches nothing.
    Always,
    /// It has types alone.
    Types,
    /// The registry stands in for it.
    StandIn,
}

impl Standing {
    /// The standing in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Granted => "granted",
            Standing::Denied => "linked, and denied",
            Standing::Always => "always there, reaches nothing",
            Standing::Types => "types alone",
            Standing::StandIn => "a stand-in of the registry",
        }
    }
}

impl Audit {
    /// The report on a loaded registry, with the uses that are on record; on one tool alone, if it is named.
    ///
    /// # Errors
    /// When the lock cannot be read.
    pub fn of(
        file: &ConfigFile,
        registry: &Registry,
        uses: &Uses,
        only: Option<&str>,
    ) -> Result<Audit, LockError> {
        let capabilities = Capabilities::default();
        let waiting = Lock::read(file)?.waiting(registry);
        let names: Vec<&str> = registry.tools().map(|tool| &*tool.name).collect();
        let tools = registry.tools().filter(|tool| only.is_none_or(|only| only == &*tool.name));
        let tools =
            tools.map(|tool| AuditedTool::of(tool, file, &capabilities, uses, (&names, &waiting))).collect();
        // On one line: it may quote an author.
        let told = |problem: &Diagnostic| clean(&problem.message);
        let left_out = registry.problems().map(|problems| problems.0.iter().map(told).collect());
        Ok(Audit {
            registry: name(&file.path),
            records: uses.records(),
            tools,
            left_out: left_out.unwrap_or_default(),
        })
    }

    /// The number of doubts by level.
    pub fn counts(&self) -> BTreeMap<Level, usize> {
        let mut counts = BTreeMap::new();
        for lint in self.tools.iter().flat_map(|tool| &tool.lints) {
            *counts.entry(lint.level()).or_default() += 1;
        }
        counts
    }
}

impl AuditedTool {
    fn of(
        tool: &Tool,
        file: &ConfigFile,
        capabilities: &Capabilities,
        uses: &Uses,
        (names, waiting): (&[&str], &Changes),
    ) -> AuditedTool {
        let definition = Definition::of(tool);
        let signed = &tool.component.signed;
        let key = file.config.tools.keys().find(|key| *key.get_ref() == tool.key);
        let imports = tool.component.info.imports.iter();
        AuditedTool {
            name: tool.name.to_string(),
            line: key.map_or(1, |key| line(&file.source, key.span().start)),
            description: tool.contract.description.clone(),
            effects: tool.effect.as_str(),
            component: tool.component.digest.to_string(),
            wit: tool.component.wit.clone(),
            surface: definition.surface(&tool.name),
            has_contract: tool.component.info.contract.is_some(),
            signed: signed.state(),
            signers: signed.signers().iter().map(|signer| signer.key.to_string()).collect(),
            imports: imports.map(|import| imported(import, capabilities, &tool.allowance)).collect(),
            capabilities: capability::of(tool, uses),
            calls: uses.calls(&tool.name),
            limits: json!(tool.limits()),
            fallback: tool.fallback.iter().map(ToString::to_string).collect(),
            checks: tool.contract.checks.told().len(),
            lints: lint::of(tool, capabilities, names, waiting),
        }
    }
}

fn imported(import: &Import, capabilities: &Capabilities, allowance: &Allowance) -> AuditedImport {
    let owner = capabilities.owner(&import.name).map(|owner| owner.facts());
    let standing = match &owner {
        _ if import.functions.is_empty() => Standing::Types,
        None => Standing::StandIn,
        Some(facts) if matches!(facts.granting, Granting::Always) => Standing::Always,
        Some(facts) if allowance.effective().has(facts.name) => Standing::Granted,
        Some(_) => Standing::Denied,
    };
    let capability = owner.map(|facts| facts.name.to_owned());
    AuditedImport { name: import.name.clone(), capability, standing }
}

/// The name of a file: its folder is another one on each machine.
fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// The line of a place in a text, from 1.
fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}
