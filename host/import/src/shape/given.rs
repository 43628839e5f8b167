//! Values that a schema gives: examples and defaults. Only those that it accepts are kept.

use serde_json::{Map, Value};

use super::Shape;
use airlock_contract::validate::Validator;

/// The examples that the schema accepts.
pub(super) fn valid(examples: &[Value], keywords: &Map<String, Value>) -> Option<Value> {
    let validator = Validator::new(&Value::Object(bare(keywords))).ok()?;
    let valid: Vec<Value> =
        examples.iter().filter(|one| !has_null(one) && validator.is_valid(one)).cloned().collect();
    (!valid.is_empty()).then_some(Value::Array(valid))
}

/// Whether a default is a value of its own place that a contract can write.
pub(super) fn is_default(shape: &Shape, value: &Value, schema: &Value) -> bool {
    let is_plain = match shape {
        Shape::Bool | Shape::Int(_) | Shape::Float | Shape::Text | Shape::Enum(_) => true,
        Shape::List(item) => !matches!(item.shape, Shape::Record { .. } | Shape::List(_) | Shape::Free(_)),
        Shape::Record { .. } | Shape::Free(_) => false,
    };
    let keywords = schema.as_object().map(bare).unwrap_or_default();
    is_plain
        && !has_null(value)
        && Validator::new(&Value::Object(keywords)).is_ok_and(|one| one.is_valid(value))
}

/// A schema without its notes.
fn bare(keywords: &Map<String, Value>) -> Map<String, Value> {
    let notes = ["default", "description", "examples", "title"];
    keywords
        .iter()
        .filter(|(name, _)| !notes.contains(&name.as_str()))
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect()
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(fields) => fields.values().any(has_null),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
