//! Free JSON: a string to the component, and any value to agents.
//!
//! Owns its bounds, and that its text is exact: one text for each value, from which the value can be read again.

use serde_json::{Number, Value};

use crate::foreign::SchemaError;
use crate::lift::SAFE_INTEGER;
use crate::validate::Validator;
use airlock_types::canonical;

/// Bytes of the longest text: as many as `arguments.string_bytes_max` allows a string by default.
const BYTES_MAX: usize = 256 << 10;

/// Deepest nesting: as `arguments.depth_max` allows by default.
const DEPTH_MAX: usize = 64;

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

/// The canonical text of a value.
///
/// # Errors
/// With the keyword that it breaks, and what would be right.
pub(super) fn text(value: &Value) -> Result<String, (&'static str, String)> {
    if !is_shallow(value, DEPTH_MAX) {
        return Err(("maxDepth", format!("JSON that nests at most {DEPTH_MAX} levels deep")));
    }
    if !is_exact(value) {
        let expected = "numbers of at most 2^53 − 1 in size: write larger ones as strings";
        return Err(("precision", expected.to_owned()));
    }
    let text = canonical::of(value);
    if text.len() > BYTES_MAX {
        return Err(("maxLength", format!("JSON of at most {BYTES_MAX} bytes")));
    }
    Ok(text)
}

/// The value of a text.
///
/// # Errors
/// With what the text is instead.
pub(super) fn value(text: &str) -> Result<Value, String> {
    // Without what the parser quotes: it may be confidential.
    let value: Value = serde_json::from_str(text)
        .map_err(|err| format!("text that is no JSON, from line {} column {}", err.line(), err.column()))?;
    if is_shallow(&value, DEPTH_MAX) { Ok(value) } else { Err("JSON that nests deeper".to_owned()) }
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

/// Whether a double holds every number as it was written: canonical JSON has no other numbers. The parser has made a double of
/// a larger one already, and digits of an integer are lost from 2^53 on.
fn is_exact(value: &Value) -> bool {
    let is_safe = |n: &Number| match (n.as_i64(), n.as_u64()) {
        (Some(n), _) => n.unsigned_abs() <= SAFE_INTEGER,
        (None, Some(n)) => n <= SAFE_INTEGER,
        (None, None) => n.as_f64().is_some_and(|n| n.abs() <= SAFE_INTEGER as f64),
    };
    match value {
        Value::Number(n) => is_safe(n),
        Value::Array(items) => items.iter().all(is_exact),
        Value::Object(members) => members.values().all(is_exact),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}
