//! What a tool requests, is granted and has used, by capability.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};

use super::Uses;
use crate::registry::Tool;
use airlock_types::grant::values;

/// One capability of a tool.
#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    /// The capability.
    pub name: String,
    /// What the author requests, one line each.
    pub requested: Vec<String>,
    /// What is in force: requested and granted.
    pub granted: Vec<String>,
    /// What was used of it, as far as records count it.
    pub used: Option<String>,
    /// Attempts that reached for it and were denied.
    pub denied: u64,
}

/// The capabilities that a tool requests, is granted, or has reached for.
pub(super) fn of(tool: &Tool, uses: &Uses) -> Vec<Asked> {
    let (requested, granted) = (json!(tool.requests), json!(tool.allowance.effective()));
    let of_use = uses.of(&tool.name);
    let keys = |value: &Value| value.as_object().into_iter().flat_map(|map| map.keys().cloned()).collect();
    let names: BTreeSet<String> =
        [keys(&requested), keys(&granted), of_use.denials().map(str::to_owned).collect::<Vec<_>>()]
            .concat()
            .into_iter()
            .collect();
    let asked = |name: String| Asked {
        requested: lines(&name, &requested[&name]),
        granted: lines(&name, &granted[&name]),
        used: of_use.text(&name),
        denied: of_use.denied(&name),
        name,
    };
    let is_there =
        |asked: &Asked| !(asked.requested.is_empty() && asked.granted.is_empty()) || asked.denied > 0;
    names.into_iter().map(asked).filter(is_there).collect()
}

/// A part of the table of requests or grants, one line for each element.
fn lines(name: &str, value: &Value) -> Vec<String> {
    match value {
        Value::Null | Value::Bool(false) => Vec::new(),
        // Values of the operator may be private, and are no access.
        Value::Object(map) if [values::CONFIG, values::ENV].contains(&name) => map.keys().cloned().collect(),
        Value::Array(all) => all.iter().map(line).collect(),
        one => vec![line(one)],
    }
}

fn line(value: &Value) -> String {
    // A granted host stands beside the number of its grant, by which the host counts.
    match value.get("allowed").unwrap_or(value) {
        Value::Object(map) if map.is_empty() => "all defaults".into(),
        Value::Object(map) => {
            let part = |(key, value): (&String, &Value)| format!("{key} {}", short(value));
            // What is not the case takes no room.
            map.iter()
                .filter(|(_, value)| **value != Value::Bool(false))
                .map(part)
                .collect::<Vec<_>>()
                .join(" · ")
        }
        other => short(other),
    }
}

fn short(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::Array(all) => all.iter().map(short).collect::<Vec<_>>().join(", "),
        Value::Object(_) => line(value),
        other => other.to_string(),
    }
}
