//! A schema within its document, with references followed and texts ignored.
//!
//! Owns how references are resolved. Must not know which change is wider.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{DEFINITIONS, TEXTS};

/// Most references that are followed in a row. A cycle of references ends here.
const HOPS_MAX: usize = 32;

/// A schema, and the document that its references refer to.
#[derive(Clone, Copy)]
pub(super) struct Node<'s> {
    pub(super) value: &'s Value,
    root: &'s Value,
}

impl<'s> Node<'s> {
    pub(super) fn root(value: &'s Value) -> Node<'s> {
        Node { value, root: value }
    }

    /// Another schema in the same document.
    pub(super) fn at<'t>(self, value: &'t Value) -> Node<'t>
    where
        's: 't,
    {
        Node { value, root: self.root }
    }

    /// The schema under a keyword.
    pub(super) fn get(self, key: &str) -> Option<Node<'s>> {
        self.value.get(key).map(|value| self.at(value))
    }

    /// The schema at an index of a list.
    pub(super) fn index(self, at: usize) -> Option<Node<'s>> {
        self.value.get(at).map(|value| self.at(value))
    }

    /// Whether both are equal and mean the same: without references, or in equal documents.
    pub(super) fn is_same(&self, other: &Node<'_>) -> bool {
        self.value == other.value && (!mentions(self.value) || self.root == other.root)
    }

    /// Whether both mean the same, ignoring texts.
    pub(super) fn is_silently(&self, other: &Node<'_>) -> bool {
        let alike = silent(self.value) == silent(other.value);
        alike && (!mentions(self.value) || self.root == other.root)
    }

    /// The schema with its reference followed. A reference that cannot be followed is left as it is.
    pub(super) fn resolved(self) -> Cow<'s, Value> {
        let mut at = Cow::Borrowed(self.value);
        // Keywords beside a reference hold too, so each hop may have to join two schemas.
        for _ in 0..HOPS_MAX {
            let Some(target) = at.get("$ref").and_then(Value::as_str).and_then(|to| self.look_up(to)) else {
                return at;
            };
            let Some(beside) = at.as_object().filter(|all| all.len() > 1) else {
                at = Cow::Borrowed(target);
                continue;
            };
            at = Cow::Owned(joined(beside, target));
        }
        at
    }

    fn look_up(self, reference: &str) -> Option<&'s Value> {
        // Only references inside the document: another document is not at hand.
        self.root.pointer(reference.strip_prefix('#')?)
    }
}

/// Joins a referenced schema with the keywords beside the reference. Texts replace those of the target; other keywords
/// hold in addition.
fn joined(beside: &Map<String, Value>, target: &Value) -> Value {
    let mut beside = beside.clone();
    beside.remove("$ref");
    // With texts alone beside the reference the target stays readable as one schema.
    if let (Value::Object(target), true) = (target, beside.keys().all(|key| is_silent(key))) {
        let mut target = target.clone();
        target.extend(beside);
        return Value::Object(target);
    }
    // Otherwise both must hold, which `allOf` expresses without merging keywords.
    let all = beside.entry("allOf").or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(all) = all {
        all.push(target.clone());
    }
    Value::Object(beside)
}

fn is_silent(key: &str) -> bool {
    TEXTS.contains(&key) || DEFINITIONS.contains(&key)
}

/// Whether a schema contains a reference. A property name that is spelled like one counts too, which only costs a step.
pub(super) fn mentions(value: &Value) -> bool {
    match value {
        Value::Object(all) => {
            all.iter().any(|(key, value)| key.contains("Ref") || key == "$ref" || mentions(value))
        }
        Value::Array(all) => all.iter().any(mentions),
        _ => false,
    }
}

/// A schema without its texts. Property names that are spelled like text keywords stay.
fn silent(schema: &Value) -> Value {
    let Value::Object(keywords) = schema else { return schema.clone() };
    let kept = keywords.iter().filter(|(key, _)| !is_silent(key));
    Value::Object(kept.map(|(key, value)| (key.clone(), beneath(key, value))).collect())
}

fn beneath(key: &str, value: &Value) -> Value {
    match (key, value) {
        // Under these keywords the keys are names and must stay.
        ("properties" | "patternProperties" | "dependentSchemas", Value::Object(all)) => {
            all.iter().map(|(name, schema)| (name.clone(), silent(schema))).collect()
        }
        ("allOf" | "anyOf" | "oneOf" | "prefixItems", Value::Array(all)) => all.iter().map(silent).collect(),
        (
            "not" | "if" | "then" | "else" | "items" | "contains" | "additionalProperties" | "propertyNames",
            schema,
        ) => silent(schema),
        (_, value) => value.clone(),
    }
}
