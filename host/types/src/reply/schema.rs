//! The JSON Schemas of replies, for the doors that publish them.

use schemars::Schema;
use serde_json::{Map, Value, json};

use super::{HIDDEN_ROUTE, Reply, is_beside_compact};
use crate::code::{Code, Status};
use crate::schema::generator;

/// The schema of [`Reply`].
pub fn whole() -> Value {
    generator("/$defs").into_root_schema_for::<Reply>().to_value()
}

/// The schema of [`Compact`](super::Compact), in outline: clients get it once for each tool, so it has the types of the
/// parts and no more. A notice alone is described, since nothing else tells a model what it is. The schema stays open,
/// since clients keep it beyond an update of the host. `result` allows any value; a tool's own schema replaces it.
pub fn compact() -> Value {
    let reply = whole();
    let is_shown = |name: &str| !is_beside_compact(name);
    let parts = reply["properties"].as_object().into_iter().flatten().filter(|(name, _)| is_shown(name));
    let mut properties: Map<String, Value> =
        parts.map(|(name, part)| (name.clone(), outline(part, &reply["$defs"]))).collect();
    properties.insert("status".into(), answered());
    properties["notice"]["description"] = reply["properties"]["notice"]["description"].clone();
    // The record's id is in the compact form of some answers only.
    json!({"type": "object", "properties": properties, "required": ["status"]})
}

/// The fields that only a tool with an assessment fills in.
pub const ASSESSMENT: [&str; 5] =
    ["confidence", "interpretation", "assumptions", "uncertainty", "next_steps"];

/// The status of an answer. Other replies have no compact form over MCP.
pub fn answered() -> Value {
    json!({
        "type": "string",
        "enum": answers(),
        "description": "degraded: an answer with a flag on it; read `findings` and `provenance`",
    })
}

/// The JSON type of a part; of a list, that of its items too.
fn outline(part: &Value, definitions: &Value) -> Value {
    let name = part["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/"));
    let part = name.map_or(part, |name| &definitions[name]);
    let mut outlined = Map::new();
    if let Some(ty) = part.get("type") {
        outlined.insert("type".into(), ty.clone());
    }
    if let Some(items) = part.get("items") {
        outlined.insert("items".into(), outline(items, definitions));
    }
    outlined.into()
}

/// The statuses of replies with a result.
fn answers() -> Vec<Status> {
    Code::ALL.into_iter().filter(|code| code.has_result()).map(|code| code.facts().status).collect()
}

/// Adds which parts a reply has, by its status.
pub(super) fn parts_by_status(schema: &mut Schema) {
    let of_status = |status: Status| json!({"properties": {"status": {"const": status}}});
    let any_of = |parts: [&str; 3]| json!({"anyOf": parts.map(|part| json!({"required": [part]}))});
    let rules = json!([
        {
            "if": {"properties": {"status": {"enum": answers()}}},
            "then": {"required": ["provenance"], "not": any_of(["error", "refusal", "clarify"])},
            "else": {"required": ["error"], "not": {"required": ["result"]}},
        },
        {"if": of_status(Status::Ok), "else": {"required": ["notice"]}},
        {"if": of_status(Status::Refused), "then": {"required": ["refusal"]}},
        {"if": of_status(Status::Clarify), "then": {"required": ["clarify"]}},
        {"if": of_status(Status::Held), "else": {"not": {"required": ["hold"]}}},
    ]);
    schema.insert("allOf".into(), rules);
}

/// Adds that only a hidden route comes without the digest of its component, and only a kept answer without an attempt.
pub(super) fn told_by_route(schema: &mut Schema) {
    let hidden = json!({"properties": {"route": {"const": HIDDEN_ROUTE}}});
    let attempted = json!({"properties": {"attempts": {"minimum": 1}}});
    let rules = json!([
        {"anyOf": [{"required": ["component"]}, hidden]},
        {"anyOf": [{"required": ["cached"]}, attempted]},
    ]);
    schema.insert("allOf".into(), rules);
}
