//! Keywords that look at one value and at nothing inside of it.
//!
//! Owns those whose meaning is one comparison; a test holds them against the validator. The others (`pattern`,
//! `format`, …) are asked of the validator: see `parts`.

use serde_json::{Number, Value};

use crate::schema::less;

/// Up to this many options of an `enum` are compared one by one; the validator has a table for more.
pub(super) const OPTIONS_MAX: usize = 16;

/// Whether a value keeps a keyword, if it is one of these.
pub(super) fn holds(keyword: &str, operand: &Value, value: &Value) -> Option<bool> {
    let number = |holds: fn(&Value, &Value) -> bool| Some(!value.is_number() || holds(operand, value));
    let at_least = |size: Option<usize>| size_holds(operand, size, |size, limit| size >= limit);
    let at_most = |size: Option<usize>| size_holds(operand, size, |size, limit| size <= limit);
    match keyword {
        "type" => Some(is_of(operand, value)),
        "const" => Some(same(operand, value)),
        "enum" => {
            let options = operand.as_array().filter(|options| options.len() <= OPTIONS_MAX)?;
            Some(options.iter().any(|option| same(option, value)))
        }
        "minimum" => number(|limit, value| !less(value, limit)),
        "maximum" => number(|limit, value| !less(limit, value)),
        "exclusiveMinimum" => number(less),
        "exclusiveMaximum" => number(|limit, value| less(value, limit)),
        "minLength" => at_least(value.as_str().map(|text| text.chars().count())),
        "maxLength" => at_most(value.as_str().map(|text| text.chars().count())),
        "minItems" => at_least(value.as_array().map(Vec::len)),
        "maxItems" => at_most(value.as_array().map(Vec::len)),
        "minProperties" => at_least(value.as_object().map(serde_json::Map::len)),
        "maxProperties" => at_most(value.as_object().map(serde_json::Map::len)),
        _ => None,
    }
}

/// Whether a value is of a type, or of one of several.
pub(super) fn is_of(wanted: &Value, value: &Value) -> bool {
    match wanted {
        Value::String(ty) => is(ty, value),
        Value::Array(types) => types.iter().any(|ty| ty.as_str().is_some_and(|ty| is(ty, value))),
        _ => true,
    }
}

fn is(ty: &str, value: &Value) -> bool {
    match (ty, value) {
        ("null", Value::Null)
        | ("boolean", Value::Bool(_))
        | ("string", Value::String(_))
        | ("array", Value::Array(_))
        | ("object", Value::Object(_))
        | ("number", Value::Number(_)) => true,
        ("integer", Value::Number(n)) => is_whole(n),
        _ => false,
    }
}

/// `1.0` is an integer to JSON Schema.
fn is_whole(n: &Number) -> bool {
    !n.is_f64() || n.as_f64().is_some_and(|n| n.fract() == 0.0)
}

/// Equality of JSON Schema: `1` is `1.0`.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(_), Value::Number(_)) => !less(a, b) && !less(b, a),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// Limits may be written as floats.
fn size_holds(limit: &Value, size: Option<usize>, holds: fn(f64, f64) -> bool) -> Option<bool> {
    Some(size.zip(limit.as_f64()).is_none_or(|(size, limit)| holds(size as f64, limit)))
}
