//! A tool's definition: what an agent is told and a reviewer approves.
//!
//! Owns the form that is locked and compared. Must not know who compares.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Registry, Tool};
use airlock_contract::manifest::Example;
use airlock_types::effect::Effect;
use airlock_types::grant::Requests;
use airlock_types::limit::PartialLimits;

/// What an agent is told of a tool, what the tool asks for, and which bytes stand behind it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// SHA-256 of the component, hex.
    pub component: String,
    /// The title.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub title: Option<String>,
    /// The description.
    pub description: String,
    /// The effect class.
    pub effects: Effect,
    /// What arguments must be.
    pub input_schema: Value,
    /// What structured content will be.
    pub output_schema: Value,
    /// The type of its errors, as WIT writes it: what they hold reaches the model, too.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub errors: Option<String>,
    /// The capabilities that its author asks for.
    pub asks: Requests,
    /// The names of its imports.
    pub imports: Vec<String>,
    /// What its contract says beside types. None in a lock of the first format, which did not write it down.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub terms: Option<Terms>,
}

/// What a contract says of a tool beside types.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Relations that must hold before it runs.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub requires: Vec<Relation>,
    /// What its result is doubted for, each check as it was declared.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub expects: Vec<Value>,
    /// What its author says of limits.
    #[serde(default)]
    pub limits: PartialLimits,
    /// What its author says is the least time in which an attempt is worth starting.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub useful_ms_min: Option<u64>,
    /// Error cases that are tried again.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub transient: Vec<String>,
    /// Arguments that show how it is used.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub examples: Vec<Example>,
}

/// A relation that must hold before a tool runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relation {
    /// The relation.
    pub that: String,
    /// What a caller is told that breaks it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<String>,
}

impl Definition {
    /// One that says next to nothing.
    #[cfg(test)]
    pub(crate) fn bare(description: &str) -> Definition {
        Definition {
            component: "aa".into(),
            title: None,
            description: description.into(),
            effects: Effect::Pure,
            input_schema: json!({}),
            output_schema: json!({}),
            errors: None,
            asks: Requests::default(),
            imports: Vec::new(),
            terms: Some(Terms::default()),
        }
    }

    /// The definition of a tool.
    pub fn of(tool: &Tool) -> Definition {
        let contract = &tool.contract;
        Definition {
            component: tool.component.digest.to_string(),
            title: contract.title.clone(),
            description: contract.description.clone(),
            effects: tool.effect,
            input_schema: contract.input_schema.clone(),
            output_schema: contract.output_schema(),
            errors: contract.shape.error_ty().map(ToString::to_string),
            asks: tool.requests.clone(),
            imports: tool.component.surface.imports.iter().map(|import| import.name.clone()).collect(),
            terms: Some(Terms::of(tool)),
        }
    }

    /// The definitions of all tools, by name.
    pub fn all(registry: &Registry) -> BTreeMap<String, Definition> {
        registry.tools().map(|tool| (tool.name.to_string(), Definition::of(tool))).collect()
    }
}

impl Terms {
    fn of(tool: &Tool) -> Terms {
        let relation = |(that, message): (&str, Option<&str>)| Relation {
            that: that.to_owned(),
            message: message.map(str::to_owned),
        };
        Terms {
            requires: tool.contract.requires().map(relation).collect(),
            expects: tool.contract.checks.told(),
            limits: tool.author_limits.clone(),
            useful_ms_min: tool.author_useful_ms_min,
            transient: tool.contract.transient.clone(),
            examples: tool.contract.examples.clone(),
        }
    }
}

/// A tool as programs read it, over HTTP and from the command line. Of its fallbacks only those are named that `shows`
/// admits.
pub fn describe(tool: &Tool, shows: impl Fn(&str) -> bool) -> Value {
    let fallback: Vec<&String> = tool.fallback.iter().filter(|name| shows(name)).collect();
    json!({
        "name": tool.name,
        "title": tool.contract.title,
        "description": tool.contract.description,
        "effects": tool.effect.as_str(),
        "input_schema": tool.contract.input_schema,
        "output_schema": tool.contract.output_schema(),
        "examples": tool.contract.examples,
        "fallback": fallback,
        "component": tool.component.digest,
    })
}
