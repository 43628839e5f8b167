//! A tool's definition: what an agent reads and a reviewer approves.
//!
//! Owns the form that is locked and compared. Must not know how it is compared. To add a part: a field here, and its
//! line in `diff::definition`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Registry, Tool};
use crate::config::Fallback;
use crate::signature::{Key, Signer};
use airlock_contract::answer::ErrorCases;
use airlock_contract::compare::Rule;
use airlock_contract::manifest::{Example, HoldAsks, Verify};
use airlock_contract::schema::share;
use airlock_types::canonical;
use airlock_types::effect::Effect;
use airlock_types::grant::Requests;
use airlock_types::limit::PartialLimits;

/// What an agent reads about a tool, which capabilities the tool requests, and the bytes behind it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// SHA-256 of the component, in hex.
    pub component: String,
    /// Digest of the component's types. None in a lock that an older version wrote.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub wit: Option<String>,
    /// Who signed the component. None in a lock that an older version wrote.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub signers: Option<Vec<AcceptedSigner>>,
    /// The title for display; none when the contract sets none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub title: Option<String>,
    /// The description that an agent reads.
    pub description: String,
    /// The effect class that is in force, after the operator's override.
    pub effects: Effect,
    /// JSON Schema of the arguments.
    pub input_schema: Value,
    /// JSON Schema of the result; none for a function without one. The envelope around it is the host's, so a new version
    /// of the host changes no definition.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub result_schema: Option<Value>,
    /// The type of the tool's errors, as WIT writes it. Part of the definition because error values reach the model,
    /// too.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub errors: Option<String>,
    /// The capabilities that the tool's author requests.
    pub asks: Requests,
    /// The names of the component's imports.
    pub imports: Vec<String>,
    /// What the contract states besides types. None in a lock of the first format, which did not store it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub terms: Option<Terms>,
}

/// Who signed a component, as the operator accepts it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptedSigner {
    /// The key.
    pub key: Key,
    /// The serial of the signature.
    pub serial: u64,
}

impl AcceptedSigner {
    fn of(signer: &Signer) -> AcceptedSigner {
        // An end may be extended without another version.
        let Signer { key, serial, expires: _ } = signer;
        AcceptedSigner { key: key.clone(), serial: *serial }
    }
}

/// What a contract states about a tool besides types.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Relations between arguments that must hold before the tool runs.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub requires: Vec<Relation>,
    /// Rules that hold a call until a person has decided.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub holds: Vec<HoldTerm>,
    /// The checks of the result, each as it was declared.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub expects: Vec<Value>,
    /// The limits that the author requests.
    #[serde(default)]
    pub limits: PartialLimits,
    /// The least time, in milliseconds, in which the author considers an attempt worth starting.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub useful_ms_min: Option<u64>,
    /// Error cases that the plan may retry.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub transient: Vec<String>,
    /// Error cases for which the arguments are to blame.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub caller_errors: Vec<String>,
    /// Cases of the result that are failures.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub failures: Vec<String>,
    /// What the author says about error cases, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub error_docs: BTreeMap<String, String>,
    /// Example arguments.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub examples: Vec<Example>,
    /// The read-only tool that says whether an effect happened.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verify: Option<Verify>,
    /// The fields that are never on record in the clear.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub confidential: Vec<String>,
    /// The facts that it gives, is held against and changes, a line for each.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub facts: Vec<String>,
    /// The units of numbers, by place.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub units: BTreeMap<String, String>,
    /// For how long, in milliseconds, an answer is given again in its session.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cache_ms_max: Option<u64>,
    /// How two answers are compared, where they need not be equal.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub compare: Vec<Rule>,
}

/// A relation that must hold before a tool runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relation {
    /// The expression, as it was written.
    pub that: String,
    /// The message for a caller whose arguments violate it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<String>,
}

/// A rule that holds a call until a person has decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldTerm {
    /// The expression, as it was written.
    pub when: String,
    /// What people read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<String>,
    /// How many must approve.
    pub approvals: u32,
}

impl Definition {
    /// A definition with a description and hardly anything else, for tests.
    #[cfg(test)]
    pub(crate) fn bare(description: &str) -> Definition {
        Definition {
            component: "aa".into(),
            wit: Some("bb".into()),
            signers: Some(Vec::new()),
            title: None,
            description: description.into(),
            effects: Effect::Pure,
            input_schema: json!({}),
            result_schema: None,
            errors: None,
            asks: Requests::default(),
            imports: Vec::new(),
            terms: Some(Terms::default()),
        }
    }

    /// The definition of a loaded tool.
    pub fn of(tool: &Tool) -> Definition {
        let contract = &tool.contract;
        Definition {
            component: tool.component.digest.to_string(),
            wit: Some(tool.component.wit.clone()),
            signers: Some(tool.component.signed.signers().iter().map(AcceptedSigner::of).collect()),
            title: contract.title.clone(),
            description: contract.description.clone(),
            effects: tool.effect,
            input_schema: contract.input_schema(),
            result_schema: contract.result_schema().map(shared),
            errors: contract.shape.error_ty().map(ToString::to_string),
            asks: tool.requests.clone(),
            imports: tool.component.info.imports.iter().map(|import| import.name.clone()).collect(),
            terms: Some(Terms::of(tool)),
        }
    }

    /// Digest of what models read of it under this name, in canonical JSON (RFC 8785).
    pub fn surface(&self, name: &str) -> String {
        let Definition { title, description, input_schema, result_schema, errors, terms, .. } = self;
        let terms = terms.as_ref();
        canonical::digest(&json!({name: {
            "title": title,
            "description": description,
            "input_schema": input_schema,
            "result_schema": result_schema,
            "errors": errors,
            "error_docs": terms.map(|terms| &terms.error_docs),
            "examples": terms.map(|terms| &terms.examples),
        }}))
    }

    /// Digest of the capabilities that its author requests, in canonical JSON.
    pub fn requests(&self) -> String {
        canonical::digest(&json!(self.asks))
    }

    /// The definitions of all tools, by name.
    pub fn all(registry: &Registry) -> BTreeMap<String, Definition> {
        registry.tools().map(|tool| (tool.name.to_string(), Definition::of(tool))).collect()
    }
}

/// A schema whose repeated parts are written once, so that a lock stays small.
fn shared(mut schema: Value) -> Value {
    share(&mut schema);
    schema
}

impl HoldTerm {
    fn of((when, asks): (&str, &HoldAsks)) -> HoldTerm {
        HoldTerm { when: when.to_owned(), message: asks.message.clone(), approvals: asks.approvals }
    }
}

impl Terms {
    fn of(tool: &Tool) -> Terms {
        let relation = |(that, message): (&str, Option<&str>)| Relation {
            that: that.to_owned(),
            message: message.map(str::to_owned),
        };
        let ErrorCases { transient, caller_errors, failures, docs } = tool.contract.errors.clone();
        Terms {
            requires: tool.contract.requires().map(relation).collect(),
            holds: tool.contract.holds().filter(|(_, asks)| asks.is_authors).map(HoldTerm::of).collect(),
            expects: tool.contract.checks.told(),
            limits: tool.author_limits.clone(),
            useful_ms_min: tool.author_useful_ms_min,
            transient,
            caller_errors,
            failures,
            error_docs: docs.into_iter().collect(),
            examples: tool.contract.examples.clone(),
            verify: tool.contract.verify.clone(),
            confidential: tool.contract.confidential.fields(),
            facts: tool.contract.facts.as_ref().map_or_else(Vec::new, |facts| facts.told()),
            units: tool.contract.units(),
            cache_ms_max: tool.contract.cache_ms_max,
            compare: tool.contract.compare.clone(),
        }
    }
}

/// A tool as JSON, for programs. The doors add the schemas of what they answer. Only the fallbacks that `shows` admits are named.
pub fn describe(tool: &Tool, shows: impl Fn(&str) -> bool) -> Value {
    let fallback: Vec<&Fallback> =
        tool.fallback.iter().filter(|fallback| fallback.tool().is_none_or(&shows)).collect();
    let mut described = json!({
        "name": tool.name,
        "title": tool.contract.title,
        "description": tool.description(),
        "effects": tool.effect.as_str(),
        "input_schema": tool.contract.input_schema(),
        "examples": tool.contract.examples,
        "fallback": fallback,
        "component": tool.component.digest,
    });
    if let Some(facts) = &tool.contract.facts {
        described["facts"] = json!(facts.told());
    }
    described
}
