//! Repeated parts of a schema: moving them to `$defs`, and inlining them again.
//!
//! Owns where subschemas are in a schema. Must not know types.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use airlock_types::digest::sha256;

/// Largest schema without `$defs`, in bytes of JSON. Models read an inlined schema more easily than references.
const INLINE_BYTES: usize = 16 * 1024;
/// Smallest part that is shared, in bytes of JSON. A reference to a smaller one saves nothing.
const SHARED_BYTES: usize = 160;
/// Deepest nesting of references. Types nest less deep, so a deeper reference is a cycle.
const DEPTH: usize = 64;

/// Moves repeated parts of a large schema to `$defs` at its root. A small schema stays unchanged.
pub fn share(schema: &mut Value) {
    // A schema with `$defs` is already shared, or its definitions are an author's.
    if schema.get("$defs").is_some() || schema.to_string().len() <= INLINE_BYTES {
        return;
    }
    let mut seen = BTreeMap::new();
    // Children and not the schema itself: the root of a tool's schema must be an object, not a reference.
    children_mut(schema).into_iter().for_each(|child| count(child, &mut seen));
    let repeated = seen.into_iter().filter(|(_, times)| *times > 1).map(|(form, _)| (form, None)).collect();
    let mut sharing = Sharing { repeated, defs: Map::new() };
    children_mut(schema).into_iter().for_each(|child| sharing.visit(child));
    if !sharing.defs.is_empty() {
        schema["$defs"] = sharing.defs.into();
    }
}

/// Replaces every reference into `$defs` by its definition, and removes `$defs`.
pub(crate) fn inline(schema: &mut Value) {
    let defs = take(schema);
    if !defs.is_empty() {
        expand_all(schema, &defs, 0);
    }
}

/// The subschemas directly inside a schema. Only the keywords that this crate writes are known.
pub(crate) fn children_mut(schema: &mut Value) -> Vec<&mut Value> {
    let mut found = Vec::new();
    for (keyword, value) in schema.as_object_mut().into_iter().flatten() {
        match keyword.as_str() {
            // Keys of these maps are names. A property called `items` is not the keyword.
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

/// Removes the definitions from a root and returns them.
pub(crate) fn take(schema: &mut Value) -> Map<String, Value> {
    let defs = schema.as_object_mut().and_then(|root| root.remove("$defs"));
    if let Some(Value::Object(defs)) = defs { defs } else { Map::new() }
}

/// Replaces a reference by a copy of its definition. Other schemas stay unchanged.
pub(super) fn expand(node: &mut Value, defs: &Map<String, Value>) {
    let name = node.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix("#/$defs/"));
    if let Some(def) = name.and_then(|name| defs.get(name)) {
        *node = def.clone();
    }
}

fn expand_all(node: &mut Value, defs: &Map<String, Value>, depth: usize) {
    // The definition is expanded before its children, since definitions refer to each other.
    expand(node, defs);
    if depth < DEPTH {
        children_mut(node).into_iter().for_each(|child| expand_all(child, defs, depth + 1));
    }
}

/// Counts how often each form occurs. The inside of a repeated form is counted once: a definition for a part
/// that occurs only there would be used once.
fn count(node: &mut Value, seen: &mut BTreeMap<Form, u32>) {
    let (form, bytes) = form(node);
    let times = seen.entry(form).or_default();
    *times += u32::from(bytes >= SHARED_BYTES);
    if *times <= 1 {
        children_mut(node).into_iter().for_each(|child| count(child, seen));
    }
}

/// The digest of a schema's text. The texts themselves, each containing those inside it, would take memory of
/// depth times size.
type Form = String;

/// The form of a schema, and the length of its text.
fn form(node: &Value) -> (Form, usize) {
    let text = node.to_string();
    (sha256(text.as_bytes()), text.len())
}

struct Sharing {
    /// Each repeated form, with its name once it is defined.
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
        // Parts inside the definition are shared first. They take the lower numbers, and no definition contains
        // an unshared copy of another.
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
