//! A schema in its document: references followed, texts left out.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{DEFINITIONS, TEXTS};

/// References after each other that are followed.
const HOPS_MAX: usize = 32;

/// A schema, and the document in which its references are looked up.
#[derive(Clone, Copy)]
pub(super) struct Node<'s> {
    pub(super) value: &'s Value,
    root: &'s Value,
}

impl<'s> Node<'s> {
    pub(super) fn root(value: &'s Value) -> Node<'s> {
        Node { value, root: value }
    }

    /// Another schema of the same document.
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

    /// The schema at a place of a list.
    pub(super) fn index(self, at: usize) -> Option<Node<'s>> {
        self.value.get(at).map(|value| self.at(value))
    }

    /// Whether both mean the same because they are the same.
    pub(super) fn is_same(&self, other: &Node<'_>) -> bool {
        self.value == other.value && (!mentions(self.value) || self.root == other.root)
    }

    /// Whether both mean the same but for their texts.
    pub(super) fn is_silently(&self, other: &Node<'_>) -> bool {
        let alike = silent(self.value) == silent(other.value);
        alike && (!mentions(self.value) || self.root == other.root)
    }

    /// What the schema means once its reference is followed. What cannot be followed is left as it is.
    pub(super) fn resolved(self) -> Cow<'s, Value> {
        let mut at = Cow::Borrowed(self.value);
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
        self.root.pointer(reference.strip_prefix('#')?)
    }
}

/// A schema with a reference and others beside it: texts go over those of the target, keywords hold beside it.
fn joined(beside: &Map<String, Value>, target: &Value) -> Value {
    let mut beside = beside.clone();
    beside.remove("$ref");
    if let (Value::Object(target), true) = (target, beside.keys().all(|key| is_silent(key))) {
        let mut target = target.clone();
        target.extend(beside);
        return Value::Object(target);
    }
    let all = beside.entry("allOf").or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(all) = all {
        all.push(target.clone());
    }
    Value::Object(beside)
}

fn is_silent(key: &str) -> bool {
    TEXTS.contains(&key) || DEFINITIONS.contains(&key)
}

/// Whether a reference stands anywhere in it. A name that is called like one counts too, which costs a step and
/// nothing else.
pub(super) fn mentions(value: &Value) -> bool {
    match value {
        Value::Object(all) => {
            all.iter().any(|(key, value)| key.contains("Ref") || key == "$ref" || mentions(value))
        }
        Value::Array(all) => all.iter().any(mentions),
        _ => false,
    }
}

/// A schema without texts, where they are texts and no names.
fn silent(schema: &Value) -> Value {
    let Value::Object(keywords) = schema else { return schema.clone() };
    let kept = keywords.iter().filter(|(key, _)| !is_silent(key));
    Value::Object(kept.map(|(key, value)| (key.clone(), beneath(key, value))).collect())
}

fn beneath(key: &str, value: &Value) -> Value {
    match (key, value) {
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
