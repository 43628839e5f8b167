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
use crate::config::{CallerConfig, ConfigFile};
use crate::diff::Changes;
use crate::lock::{Lock, LockError};
use crate::policy::Allowance;
use crate::registry::{Component, Definition, Registry, Tool};
use crate::signature::Signer;
use airlock_contract::component::Import;
use airlock_contract::manifest::Manifest;
use airlock_types::caller::{ANONYMOUS, LOCAL};
use airlock_types::diagnostic::Diagnostic;
use airlock_types::grant::Entries;
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
    /// Why entries are left out.
    pub left_out: Vec<String>,
    /// What is known of them, as far as their components can be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unloaded: Vec<Unloaded>,
}

/// An entry that is left out: what its component would reach for.
#[derive(Clone, Debug, Serialize)]
pub struct Unloaded {
    /// The key of the entry.
    pub key: String,
    /// SHA-256 of the component's file.
    pub component: String,
    /// What it imports.
    pub imports: Vec<String>,
    /// What its contract requests, each with its reason.
    pub requests: Entries,
}

impl Unloaded {
    /// What a component says of itself. Nothing of it is believed but what it would reach for.
    pub fn of(key: &str, component: &Component) -> Unloaded {
        let info = &component.info;
        let contract = info.contract.as_deref().map(|text| Manifest::parse(text, "contract.toml"));
        Unloaded {
            key: key.to_owned(),
            component: component.digest.to_string(),
            imports: info.imports.iter().map(|import| clean(&import.name)).collect(),
            requests: contract.and_then(Result::ok).unwrap_or_default().capabilities.entries(),
        }
    }
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
    /// The signatures in words: each with its serial and its end.
    pub signatures: Vec<String>,
    /// Who must have signed it: `2 of key:…, key:…`; `nobody` where unsigned components are loaded.
    pub required: String,
    /// Who may call it, and what is left of its grants then.
    pub callers: Vec<AuditedCaller>,
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

/// A caller that may call a tool.
#[derive(Clone, Debug, Serialize)]
pub struct AuditedCaller {
    /// The name of its entry.
    pub name: String,
    /// The lines of its entry that narrow what the tool is granted; none where it has all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub narrowed: Option<Vec<String>>,
}

impl AuditedCaller {
    /// The caller in words.
    pub fn text(&self) -> String {
        match &self.narrowed {
            None => self.name.clone(),
            Some(lines) if lines.is_empty() => format!("{} (nothing of what is granted)", self.name),
            Some(lines) => format!("{} (of what is granted, {})", self.name, lines.join("; ")),
        }
    }
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
    /// The same in words.
    pub said: String,
}

/// Whether an import works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// The operator grants it.
    Granted,
    /// It passes for a while, by a grant of `report`.
    Tried,
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
    /// The standing in words, as far as it needs no more.
    fn as_str(self) -> &'static str {
        match self {
            Standing::Granted => "granted",
            Standing::Tried => "tried by `report`",
            Standing::Denied => "linked, and denied",
            Standing::Always => "always there",
            Standing::Types => "types alone",
            Standing::StandIn => "a stand-in of the registry",
        }
    }
}

impl Audit {
    /// The report on a loaded registry, with the uses that are on record; on one tool alone, or on those of one entry, if it
    /// is named.
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
        let tools =
            registry.tools().filter(|tool| only.is_none_or(|only| only == &*tool.name || only == tool.key));
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
            unloaded: Vec::new(),
        })
    }

    /// The same, with what is known of entries that are left out.
    #[must_use]
    pub fn with_unloaded(self, unloaded: Vec<Unloaded>) -> Audit {
        Audit { unloaded, ..self }
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
            signatures: signed.signers().iter().map(Signer::text).collect(),
            required: file.config.signatures_required(&tool.key),
            callers: callers(file, &tool.name),
            imports: imports.map(|import| imported(import, capabilities, tool)).collect(),
            capabilities: capability::of(tool, uses),
            calls: uses.calls(&tool.name),
            limits: json!(tool.limits()),
            fallback: tool.fallback.iter().map(ToString::to_string).collect(),
            checks: tool.contract.checks.told().len(),
            lints: lint::of(tool, capabilities, names, waiting),
        }
    }
}

/// The callers that may call a tool, by name.
fn callers(file: &ConfigFile, tool: &str) -> Vec<AuditedCaller> {
    let may = |config: &CallerConfig| config.tools.iter().any(|pattern| pattern.matches(tool));
    let entries = file.config.callers.iter().filter(|(_, config)| may(config));
    let mut callers: Vec<AuditedCaller> = entries
        .map(|(name, config)| {
            let narrowed =
                config.grants.as_ref().map(|own| own.lines().iter().map(|line| clean(line)).collect());
            AuditedCaller { name: name.get_ref().clone(), narrowed }
        })
        .collect();
    // Without an entry these have all that there is.
    let has_entry = |name: &str| file.config.callers.keys().any(|key| key.get_ref() == name);
    let open = [(LOCAL, true), (ANONYMOUS, file.config.http.allow_anonymous)];
    let open = open.into_iter().filter(|(name, is_open)| *is_open && !has_entry(name));
    callers.extend(open.map(|(name, _)| AuditedCaller { name: name.to_owned(), narrowed: None }));
    callers.sort_by(|a, b| a.name.cmp(&b.name));
    callers
}

fn imported(import: &Import, capabilities: &Capabilities, tool: &Tool) -> AuditedImport {
    let allowance: &Allowance = &tool.allowance;
    let tried = tool.source.tried.as_ref();
    let is_tried = |name: &str| tried.is_some_and(|(grants, _)| grants.entries().contains_key(name));
    let owner = capabilities.owner(&import.name).map(|owner| owner.facts());
    let standing = match &owner {
        _ if import.functions.is_empty() => Standing::Types,
        None => Standing::StandIn,
        Some(facts) if matches!(facts.granting, Granting::Always) => Standing::Always,
        Some(facts) if allowance.effective().has(facts.name) => Standing::Granted,
        Some(facts) if is_tried(facts.name) => Standing::Tried,
        Some(_) => Standing::Denied,
    };
    let said = match (standing, &owner, tried) {
        (Standing::Always, Some(facts), _) => facts.standing(),
        (Standing::Tried, _, Some((_, until))) => format!("{} until {until}", standing.as_str()),
        _ => standing.as_str().to_owned(),
    };
    let capability = owner.map(|facts| facts.name.to_owned());
    AuditedImport { name: import.name.clone(), capability, standing, said }
}

/// The name of a file: its folder is another one on each machine.
fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// The line of a place in a text, from 1.
fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}
