//! Free JSON: a string to the component, and any value to agents.
//!
//! Owns its bounds, and that its text is exact: one text for each value, from which the value can be read again.

use serde_json::{Number, Value};

use crate::foreign::SchemaError;
use crate::lift::SAFE_INTEGER;
use crate::lossless::{self, DEPTH_MAX};
use crate::validate::Validator;
use airlock_types::canonical;
use airlock_types::code::Code;
use airlock_types::place::Place;
use airlock_types::violation::Violation;
use airlock_types::words::got;

/// Bytes of the longest text: as many as `arguments.string_bytes_max` allows a string by default.
const BYTES_MAX: usize = 256 << 10;

/// A double with so few digits is taken for what was written, such as `1e300`.
const SURE_DIGITS: usize = 15;

/// Keywords that refer to other schemas, by a place that is another one once the schema is part of that of a tool.
const REFERENCES: [&str; 9] = [
    "$ref",
    "$id",
    "$anchor",
    "$defs",
    "definitions",
    "$dynamicRef",
    "$dynamicAnchor",
    "$schema",
    "$recursiveRef",
];

/// The canonical text of a value at this place.
///
/// # Errors
/// With what is wrong of it.
pub(super) fn text(value: &Value, at: &Place<'_>) -> Result<String, Box<Violation>> {
    if !is_shallow(value, DEPTH_MAX) {
        let expected = format!("JSON that nests at most {DEPTH_MAX} levels deep");
        return Err(wrong(at, "maxDepth", expected, value));
    }
    exact(value, at)?;
    let text = canonical::of(value);
    if text.len() > BYTES_MAX {
        return Err(wrong(at, "maxLength", format!("JSON of at most {BYTES_MAX} bytes"), value));
    }
    Ok(text)
}

fn wrong(at: &Place<'_>, keyword: &str, expected: String, value: &Value) -> Box<Violation> {
    let (path, pointer, got, keyword) = (at.path(), at.pointer(), got(value), keyword.to_owned());
    Box::new(Violation { code: Code::ArgsConstraint, path, pointer, keyword, expected, got, hint: None })
}

/// The value of a text.
///
/// # Errors
/// With what the text is instead.
pub(super) fn value(text: &str) -> Result<Value, String> {
    lossless::value(text).map_err(|loss| loss.to_string())
}

/// Compiles the schema of free JSON.
///
/// # Errors
/// When it refers to other schemas, exceeds a bound or is malformed.
pub(super) fn schema(written: &Value) -> Result<Validator, String> {
    if let Some(keyword) = reference(written) {
        return Err(format!("`schema` has `{keyword}`: write the parts out where they are used"));
    }
    Validator::new(written).map_err(|err: SchemaError| format!("`schema` cannot be used: {err}"))
}

fn reference(schema: &Value) -> Option<&str> {
    match schema {
        Value::Object(members) => members.iter().find_map(|(key, value)| match key.as_str() {
            key if REFERENCES.contains(&key) => Some(key),
            // Data, in which such a key is a plain one.
            "enum" | "const" | "default" | "examples" => None,
            // Names of properties.
            "properties" | "patternProperties" | "dependentSchemas" => {
                value.as_object()?.values().find_map(reference)
            }
            _ => reference(value),
        }),
        Value::Array(items) => items.iter().find_map(reference),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn is_shallow(value: &Value, left: usize) -> bool {
    match value {
        Value::Array(items) => left > 0 && items.iter().all(|item| is_shallow(item, left - 1)),
        Value::Object(members) => left > 0 && members.values().all(|item| is_shallow(item, left - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

/// Checks that a double holds every number as it was written: canonical JSON has no other numbers.
fn exact(value: &Value, at: &Place<'_>) -> Result<(), Box<Violation>> {
    match value {
        Value::Number(n) if !is_held(n) => {
            let expected =
                "a number that a double holds: one with more digits belongs in a string".to_owned();
            Err(wrong(at, "precision", expected, value))
        }
        Value::Array(items) => items.iter().enumerate().try_for_each(|(i, item)| exact(item, &at.index(i))),
        Value::Object(members) => members.iter().try_for_each(|(key, item)| exact(item, &at.key(key))),
        Value::Number(_) | Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}

fn is_held(n: &Number) -> bool {
    let integer = n.as_i64().map(i128::from).or_else(|| n.as_u64().map(i128::from));
    match (integer, n.as_f64()) {
        (Some(integer), Some(double)) => double as i128 == integer,
        // Whether digits of a larger one were lost is not known by now.
        (None, Some(double)) => {
            double.abs() <= SAFE_INTEGER as f64 || lossless::digits_of(double) <= SURE_DIGITS
        }
        (_, None) => false,
    }
}
