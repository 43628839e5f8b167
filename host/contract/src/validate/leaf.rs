//! Keywords that look at one value and at nothing inside of it.
//!
//! Owns the keywords whose meaning is one comparison; a test compares them with the validator. The others (`pattern`,
//! `format`, …) are delegated to the validator: see `parts`.

use serde_json::{Number, Value};

use crate::schema::less;

/// Number of options of an `enum` up to which they are compared one by one. For a longer `enum` the validator is asked,
/// which has a table.
pub(super) const OPTIONS_MAX: usize = 16;

/// Whether a value satisfies a keyword. `None` for a keyword that is not handled here.
pub(super) fn holds(keyword: &str, operand: &Value, value: &Value) -> Option<bool> {
    // JSON Schema ignores a keyword of another JSON type: `minimum` holds for every string.
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
        // JSON Schema counts Unicode code points, not bytes.
        "minLength" => at_least(value.as_str().map(|text| text.chars().count())),
        "maxLength" => at_most(value.as_str().map(|text| text.chars().count())),
        "minItems" => at_least(value.as_array().map(Vec::len)),
        "maxItems" => at_most(value.as_array().map(Vec::len)),
        "minProperties" => at_least(value.as_object().map(serde_json::Map::len)),
        "maxProperties" => at_most(value.as_object().map(serde_json::Map::len)),
        _ => None,
    }
}

/// Whether a value has the JSON type that `type` names, or one of several.
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

/// Whether a number has no fraction. `1.0` is an integer in JSON Schema.
fn is_whole(n: &Number) -> bool {
    !n.is_f64() || n.as_f64().is_some_and(|n| n.fract() == 0.0)
}

/// Equality as JSON Schema defines it: numbers are compared by value, so `1` equals `1.0`.
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

/// Compares a size with a limit. Both are floats, because JSON Schema permits `2.0` as a limit. A value without a size
/// (`None`) passes.
fn size_holds(limit: &Value, size: Option<usize>, holds: fn(f64, f64) -> bool) -> Option<bool> {
    Some(size.zip(limit.as_f64()).is_none_or(|(size, limit)| holds(size as f64, limit)))
}
