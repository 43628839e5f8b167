//! Repeated parts of a schema: sharing them under `$defs`, and writing them out again.
//!
//! Owns where subschemas stand in a schema. Must not know types.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use airlock_types::digest::sha256;

/// Up to this size a schema is written out: models read it more easily than references.
const INLINE_BYTES: usize = 16 * 1024;
/// A reference to anything smaller saves nothing.
const SHARED_BYTES: usize = 160;
/// References nest no deeper than types do; deeper ones are a cycle.
const DEPTH: usize = 64;

/// Moves repeated parts of a large schema to `$defs` of its root; leaves a small one as it is.
pub fn share(schema: &mut Value) {
    if schema.get("$defs").is_some() || schema.to_string().len() <= INLINE_BYTES {
        return;
    }
    let mut seen = BTreeMap::new();
    children_mut(schema).into_iter().for_each(|child| count(child, &mut seen));
    let repeated = seen.into_iter().filter(|(_, times)| *times > 1).map(|(form, _)| (form, None)).collect();
    let mut sharing = Sharing { repeated, defs: Map::new() };
    children_mut(schema).into_iter().for_each(|child| sharing.visit(child));
    if !sharing.defs.is_empty() {
        schema["$defs"] = sharing.defs.into();
    }
}

/// Writes every reference into `$defs` out, and drops `$defs`.
pub(crate) fn inline(schema: &mut Value) {
    let defs = take(schema);
    if !defs.is_empty() {
        expand_all(schema, &defs, 0);
    }
}

/// The places of subschemas: below them, names and values are not keywords.
pub(crate) fn children_mut(schema: &mut Value) -> Vec<&mut Value> {
    let mut found = Vec::new();
    for (keyword, value) in schema.as_object_mut().into_iter().flatten() {
        match keyword.as_str() {
            "properties" | "$defs" => {
                found.extend(value.as_object_mut().into_iter().flat_map(|map| map.values_mut()));
            }
            "anyOf" | "prefixItems" => found.extend(value.as_array_mut().into_iter().flatten()),
            "items" => found.push(value),
            _ => {}
        }
    }
    found
}

/// Takes the definitions out of a root.
pub(super) fn take(schema: &mut Value) -> Map<String, Value> {
    let defs = schema.as_object_mut().and_then(|root| root.remove("$defs"));
    if let Some(Value::Object(defs)) = defs { defs } else { Map::new() }
}

/// Puts a copy of the definition where a reference stands.
pub(super) fn expand(node: &mut Value, defs: &Map<String, Value>) {
    let name = node.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix("#/$defs/"));
    if let Some(def) = name.and_then(|name| defs.get(name)) {
        *node = def.clone();
    }
}

fn expand_all(node: &mut Value, defs: &Map<String, Value>, depth: usize) {
    expand(node, defs);
    if depth < DEPTH {
        children_mut(node).into_iter().for_each(|child| expand_all(child, defs, depth + 1));
    }
}

/// Counts forms. What stands inside a repeated form is not counted again: its own definition would be used once.
fn count(node: &mut Value, seen: &mut BTreeMap<Form, u32>) {
    let (form, bytes) = form(node);
    let times = seen.entry(form).or_default();
    *times += u32::from(bytes >= SHARED_BYTES);
    if *times <= 1 {
        children_mut(node).into_iter().for_each(|child| count(child, seen));
    }
}

/// A schema by the digest of its text: texts of schemas within each other would take the depth times the size.
type Form = String;

/// A schema's form, and how long its text is.
fn form(node: &Value) -> (Form, usize) {
    let text = node.to_string();
    (sha256(text.as_bytes()), text.len())
}

struct Sharing {
    /// Each repeated form with its name, once it has one.
    repeated: BTreeMap<Form, Option<String>>,
    defs: Map<String, Value>,
}

impl Sharing {
    fn visit(&mut self, node: &mut Value) {
        let (form, _) = form(node);
        let Some(name) = self.repeated.get(&form).cloned() else {
            return children_mut(node).into_iter().for_each(|child| self.visit(child));
        };
        let name = name.unwrap_or_else(|| self.define(form, node.clone()));
        *node = json!({"$ref": format!("#/$defs/{name}")});
    }

    fn define(&mut self, form: Form, mut def: Value) -> String {
        children_mut(&mut def).into_iter().for_each(|child| self.visit(child));
        let name = format!("part_{}", self.defs.len() + 1);
        self.repeated.insert(form, Some(name.clone()));
        self.defs.insert(name.clone(), def);
        name
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Direction, field, input, object};
    use super::*;
    use crate::ty::{Field, Ty};

    fn large() -> Vec<Field> {
        let names = |n: usize| (0..n).map(|i| format!("a-rather-long-case-name-{i}")).collect();
        let inner = Ty::Record(vec![field("kind", &Ty::Enum(names(60))), field("n", &Ty::U64)]);
        (0..12).map(|i| field(&format!("f{i}"), &inner)).collect()
    }

    #[test]
    fn shares_the_repeated_parts_of_a_large_schema() {
        let schema = input(&large());
        assert!(schema.to_string().len() < 4096);
        assert_eq!(schema["properties"]["f3"], json!({"$ref": "#/$defs/part_1"}));
        assert_eq!(schema["$defs"].as_object().unwrap().len(), 1);
    }

    #[test]
    fn writes_shared_parts_out_again() {
        let mut schema = input(&large());
        inline(&mut schema);
        assert_eq!(schema, object(&large(), Direction::Input));
    }

    #[test]
    fn leaves_a_small_schema_as_it_is() {
        let fields = [field("a", &Ty::U64), field("b", &Ty::U64)];
        assert!(input(&fields).get("$defs").is_none());
    }
}
