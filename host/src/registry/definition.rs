//! A tool's definition: what an agent is told and a reviewer approves.
//!
//! Owns the form that is locked and compared. Must not know who compares.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Registry, Tool};
use crate::contract::effect::Effect;
use crate::policy::grant::Requests;

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
    /// The capabilities that its author asks for.
    pub asks: Requests,
    /// The names of its imports.
    pub imports: Vec<String>,
}

impl Definition {
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
            asks: tool.requests.clone(),
            imports: tool.component.surface.imports.iter().map(|import| import.name.clone()).collect(),
        }
    }

    /// The definitions of all tools, by name.
    pub fn all(registry: &Registry) -> BTreeMap<String, Definition> {
        registry.tools().map(|tool| (tool.name.to_string(), Definition::of(tool))).collect()
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
