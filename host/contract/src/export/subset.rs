//! Reduces a schema to the subset that a provider accepts.
//!
//! Owns the rewriting. Must not know which provider needs which rules.

use serde_json::{Map, Value, json};

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
    /// Whether every property must be required. Optional properties then become nullable.
    pub(super) require_all: bool,
}

impl Rules {
    /// Rewrites a schema and all its subschemas.
    pub(super) fn apply(&self, schema: &mut Value) {
        // Before the other rules: this moves keywords of a branch up to this schema, and the other rules must see
        // them.
        if self.nulls == Nulls::Keyword {
            nullable(schema);
        }
        if let Some(map) = schema.as_object_mut() {
            // `drop` is last: it moves every keyword that the other two have not rewritten into the description.
            self.tuple(map);
            self.require(map);
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

    fn require(&self, schema: &mut Map<String, Value>) {
        if !self.require_all {
            return;
        }
        let required = schema.get("required").cloned().unwrap_or(json!([]));
        let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
        let optional = |name: &str| !required.as_array().is_some_and(|all| all.iter().any(|r| r == name));
        for (name, property) in properties.iter_mut() {
            if optional(name) && !takes_null(property) {
                *property = json!({"anyOf": [property.take(), {"type": "null"}]});
            }
        }
        // All names, because strict mode refuses a schema with an optional property.
        let names: Vec<_> = properties.keys().cloned().collect();
        schema.insert("required".into(), names.into());
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

fn takes_null(schema: &Value) -> bool {
    let branches = schema.get("anyOf").and_then(Value::as_array);
    branches.is_some_and(|branches| branches.iter().any(|branch| branch["type"] == "null"))
}

/// Replaces a null branch by the keyword, and merges the only other branch into the schema.
fn nullable(schema: &mut Value) {
    if !takes_null(schema) {
        return;
    }
    let Some(outer) = schema.as_object_mut() else { return };
    let Some(Value::Array(mut branches)) = outer.remove("anyOf") else { return };
    branches.retain(|branch| branch["type"] != "null");
    // With one branch left there is no choice to write. Its description is the inner one, so the outer one goes in
    // front of it.
    if let [Value::Object(inner)] = &mut branches[..] {
        let note = outer.remove("description");
        outer.append(inner);
        if let Some(note) = note {
            annotate(outer, &note);
        }
    } else {
        outer.insert("anyOf".into(), branches.into());
    }
    outer.insert("nullable".into(), true.into());
}

/// Inserts a note before the text of the description.
fn annotate(schema: &mut Map<String, Value>, note: &Value) {
    let note = note.as_str().unwrap_or_default();
    let host = schema.get("description").and_then(Value::as_str);
    let all = host.map_or_else(|| note.to_owned(), |host| format!("{note} ({host})"));
    schema.insert("description".into(), all.into());
}
