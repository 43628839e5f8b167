//! Values that a schema gives: examples and defaults. Only those that it accepts are kept.

use serde_json::{Map, Value};

use super::Shape;
use airlock_contract::validate::Validator;

/// The examples that the schema accepts and its type holds.
pub(super) fn valid(shape: &Shape, examples: &[Value], keywords: &Map<String, Value>) -> Option<Value> {
    let validator = Validator::new(&Value::Object(bare(keywords))).ok()?;
    let valid = examples.iter().filter(|one| !has_null(one) && validator.is_valid(one));
    let valid: Vec<Value> = valid.filter_map(|one| held(shape, one)).collect();
    (!valid.is_empty()).then_some(Value::Array(valid))
}

/// A default, if it is a value of its own place that a contract can write.
pub(super) fn default(shape: &Shape, value: &Value, schema: &Value) -> Option<Value> {
    let is_plain = match shape {
        Shape::Bool | Shape::Int(_) | Shape::Float | Shape::Text | Shape::Enum(_) => true,
        Shape::List(item) => !matches!(item.shape, Shape::Record { .. } | Shape::List(_) | Shape::Free(_)),
        Shape::Record { .. } | Shape::Free(_) => false,
    };
    let keywords = schema.as_object().map(bare).unwrap_or_default();
    let is_valid = is_plain
        && !has_null(value)
        && Validator::new(&Value::Object(keywords)).is_ok_and(|one| one.is_valid(value));
    held(shape, value).filter(|_| is_valid)
}

/// A value as its type holds it: JSON has integers of any size, and `5.0` is one. One that does not fit would cost the function.
fn held(shape: &Shape, value: &Value) -> Option<Value> {
    match (shape, value) {
        (Shape::Int(width), Value::Number(number)) => {
            let whole = || number.as_f64().and_then(|double| format!("{double}").parse::<i64>().ok());
            let integer = number.as_i64().or_else(whole)?;
            let fits = match *width {
                "u32" => u32::try_from(integer).is_ok(),
                "s32" => i32::try_from(integer).is_ok(),
                _ => true,
            };
            fits.then(|| integer.into())
        }
        (Shape::List(item), Value::Array(items)) => {
            items.iter().map(|one| held(&item.shape, one)).collect::<Option<_>>().map(Value::Array)
        }
        _ => Some(value.clone()),
    }
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
