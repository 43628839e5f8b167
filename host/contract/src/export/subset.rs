//! Reduces a schema to the subset that a provider accepts.
//!
//! Owns the rewriting. Must not know which provider needs which rules.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::grammar;
use crate::schema::{append_missing, children_mut};

/// The keywords that every dialect accepts.
const STRUCTURE: [&str; 10] =
    ["$defs", "$ref", "anyOf", "description", "enum", "items", "nullable", "properties", "required", "type"];

/// How to write a tuple.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tuples {
    /// With `prefixItems`.
    Prefix,
    /// As a list whose items can have any of the tuple's types.
    List,
}

/// How to write a nullable type.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Nulls {
    /// With a null branch of `anyOf`.
    Branch,
    /// With `nullable: true` beside the type.
    Keyword,
}

/// How to write an optional property.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Optional {
    /// Required and nullable, for providers that refuse a property that is not required.
    Nullable,
    /// Not required, and without a null branch. A constrained model fills every property that it may, and null is the
    /// shortest way to fill one. A null branch also counts towards limits of unions. The host takes an absent property
    /// and null for the same.
    Absent,
}

/// The restrictions of a provider.
pub(super) struct Rules {
    /// Whether `$ref` is accepted.
    pub(super) references: bool,
    /// The keywords accepted besides [`STRUCTURE`]. Any other keyword moves into the description.
    pub(super) keep: &'static [&'static str],
    /// The accepted values of `format`.
    pub(super) formats: &'static [&'static str],
    /// The largest accepted `minItems`.
    pub(super) most_items: u64,
    /// Whether `enum` can list values other than strings.
    pub(super) any_enum: bool,
    pub(super) tuples: Tuples,
    pub(super) nulls: Nulls,
    pub(super) optional: Optional,
    /// Whether every object must be closed, and every schema have a type.
    pub(super) closed: bool,
    /// Whether bounds and patterns must fit llama.cpp's grammars.
    pub(super) grammar: bool,
}

impl Rules {
    /// Rewrites the schema of a tool's arguments, with its definitions.
    pub(super) fn apply_to_root(&self, schema: &mut Value) {
        if self.optional == Optional::Absent {
            move_nulls(schema);
        }
        self.apply(schema);
    }

    /// Rewrites a schema and all its subschemas.
    fn apply(&self, schema: &mut Value) {
        // Before the other rules: this moves keywords of a branch up to this schema, and the other rules must see
        // them.
        if self.nulls == Nulls::Keyword && remove_null(schema) {
            schema["nullable"] = true.into();
        }
        if let Some(map) = schema.as_object_mut() {
            // `drop` is last: it moves every keyword that the other two have not rewritten into the description.
            if self.closed {
                close(map);
            }
            self.tuple(map);
            self.optional(map);
            self.drop(map);
        }
        children_mut(schema).into_iter().for_each(|child| self.apply(child));
    }

    fn tuple(&self, schema: &mut Map<String, Value>) {
        let Some(Value::Array(prefix)) = schema.get("prefixItems") else { return };
        // `maxItems` bounds the length, so `items: false` is redundant.
        if self.tuples == Tuples::Prefix {
            schema.remove("items");
            return;
        }
        // Each type once: `[f64, f64]` becomes a list of numbers, without a choice between two equal branches.
        let mut kinds: Vec<Value> = vec![];
        for part in prefix {
            if !kinds.contains(part) {
                kinds.push(part.clone());
            }
        }
        let items = if kinds.len() == 1 { kinds.swap_remove(0) } else { json!({"anyOf": kinds}) };
        schema.remove("prefixItems");
        schema.insert("items".into(), items);
    }

    fn optional(&self, schema: &mut Map<String, Value>) {
        let required = schema.get("required").cloned().unwrap_or(json!([]));
        let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
        let optional = |name: &str| !required.as_array().is_some_and(|all| all.iter().any(|r| r == name));
        for (_, property) in properties.iter_mut().filter(|(name, _)| optional(name)) {
            match self.optional {
                Optional::Absent => _ = remove_null(property),
                Optional::Nullable if takes_null(property) => {}
                Optional::Nullable => *property = or_null(property.take()),
            }
        }
        if self.optional == Optional::Nullable {
            // All names, because strict mode refuses a schema with an optional property.
            let names: Vec<_> = properties.keys().cloned().collect();
            schema.insert("required".into(), names.into());
        }
    }

    fn drop(&self, schema: &mut Map<String, Value>) {
        let dropped: Vec<_> =
            schema.iter().filter(|(k, v)| !self.takes(k, v)).map(|(k, _)| k.clone()).collect();
        for keyword in dropped {
            match schema.remove(&keyword) {
                // A title reads as text. Any other keyword is appended with its name.
                Some(title) if keyword == "title" => annotate(schema, &title),
                Some(value) => append_missing(schema, &keyword, &value),
                None => {}
            }
        }
    }

    fn takes(&self, keyword: &str, value: &Value) -> bool {
        if self.grammar && !grammar::takes(keyword, value) {
            return false;
        }
        match keyword {
            "enum" => self.any_enum || value.as_array().is_some_and(|all| all.iter().all(Value::is_string)),
            "format" => value.as_str().is_some_and(|format| self.formats.contains(&format)),
            "minItems" => {
                self.keep.contains(&keyword) && value.as_u64().is_some_and(|n| n <= self.most_items)
            }
            "prefixItems" => self.tuples == Tuples::Prefix,
            _ => STRUCTURE.contains(&keyword) || self.keep.contains(&keyword),
        }
    }
}

/// Closes an open object, and writes free JSON as what has no parts. Both are narrower than what the host accepts: a strict
/// mode has no other form for them.
fn close(schema: &mut Map<String, Value>) {
    if schema.get("type").is_some_and(|ty| ty == "object") {
        schema.insert("additionalProperties".into(), false.into());
        schema.entry("properties").or_insert_with(|| json!({}));
    } else if !["type", "anyOf", "enum", "$ref"].iter().any(|keyword| schema.contains_key(*keyword)) {
        let scalars = ["string", "number", "boolean", "null"].map(|ty| json!({"type": ty}));
        schema.insert("anyOf".into(), scalars.to_vec().into());
    }
}

fn takes_null(schema: &Value) -> bool {
    let branches = schema.get("anyOf").and_then(Value::as_array);
    branches.is_some_and(|branches| branches.iter().any(|branch| branch["type"] == "null"))
}

fn or_null(schema: Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
}

/// Removes a null branch, and merges the only other branch into the schema. Returns whether there was one.
fn remove_null(schema: &mut Value) -> bool {
    if !takes_null(schema) {
        return false;
    }
    let Some(outer) = schema.as_object_mut() else { return false };
    let Some(Value::Array(mut branches)) = outer.remove("anyOf") else { return false };
    branches.retain(|branch| branch["type"] != "null");
    // With one branch left there is no choice to write. Its description is the inner one, so the outer one goes in
    // front of it. A reference stays a branch beside other keywords, which providers refuse next to `$ref`.
    match &mut branches[..] {
        [Value::Object(inner)] if outer.is_empty() || !inner.contains_key("$ref") => {
            let note = outer.remove("description");
            outer.append(inner);
            if let Some(note) = note {
                annotate(outer, &note);
            }
        }
        _ => _ = outer.insert("anyOf".into(), branches.into()),
    }
    true
}

/// Moves null branches from definitions to the places that refer to them. Only there an optional property can be told
/// from a value that may be null.
fn move_nulls(schema: &mut Value) {
    let Some(Value::Object(defs)) = schema.get_mut("$defs") else { return };
    let nullable =
        defs.iter_mut().filter_map(|(name, def)| remove_null(def).then(|| format!("#/$defs/{name}")));
    let nullable: BTreeSet<String> = nullable.collect();
    restore_nulls(schema, &nullable);
}

fn restore_nulls(schema: &mut Value, nullable: &BTreeSet<String>) {
    // The children first: a new branch refers to the same definition again.
    children_mut(schema).into_iter().for_each(|child| restore_nulls(child, nullable));
    if schema["$ref"].as_str().is_some_and(|target| nullable.contains(target)) {
        *schema = or_null(schema.take());
    }
}

/// Inserts a note before the text of the description.
fn annotate(schema: &mut Map<String, Value>, note: &Value) {
    let note = note.as_str().unwrap_or_default();
    let host = schema.get("description").and_then(Value::as_str);
    let all = host.map_or_else(|| note.to_owned(), |host| format!("{note} ({host})"));
    schema.insert("description".into(), all.into());
}

#[cfg(test)]
mod tests {
    use super::super::{Dialect, parameters};
    use super::*;

    #[test]
    fn strict_modes_close_open_objects_and_write_free_json_without_parts() {
        let schema = json!({"type": "object", "properties": {
            "free": {"description": "any JSON value"},
            "open": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        }, "required": ["free", "open"], "additionalProperties": false});
        for dialect in [Dialect::OpenAiStrict, Dialect::AnthropicStrict] {
            let strict = parameters(dialect, &schema);
            assert_eq!(strict["properties"]["open"]["additionalProperties"], false, "{dialect:?}");
            assert_eq!(strict["properties"]["free"]["anyOf"][0], json!({"type": "string"}), "{dialect:?}");
        }
        assert_eq!(parameters(Dialect::Anthropic, &schema), schema);
    }
}
