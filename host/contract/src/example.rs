//! Makes one valid call: the caller's own with its faults mended, the author's example, or a minimal one.
//!
//! Owns the making of examples. Every offered example passes the validator.

mod pattern;

use std::cell::Cell;

use serde_json::{Map, Value, json};

use super::validate::Validator;
use airlock_types::shorten::is_within;

/// Size of the longest example in bytes. A longer one does not fit into an error text.
const EXAMPLE_BYTES_MAX: usize = 400;
/// Nesting of an example, with references and branches counted as levels.
const DEPTH_MAX: usize = 32;
/// Largest `minItems` that is filled. For a larger one the array stays empty and is then rejected by the validator.
const ITEMS_MAX: u64 = 100;
/// Largest `minLength` that is filled.
const LENGTH_MAX: usize = 200;
/// Number of values in an example. Without it, nested lists with large `minItems` would multiply.
const VALUES_MAX: usize = 1_000;

/// Whether a value is short enough for an example.
pub fn is_short(example: &Value) -> bool {
    is_within(example, EXAMPLE_BYTES_MAX)
}

/// The author's example if it is valid, else a minimal derived one if that is valid.
pub fn best(author: Option<&Value>, validator: &Validator, schema: &Value) -> Option<Value> {
    // The author's example comes first: its values mean something, derived ones only satisfy the schema.
    let author = author.filter(|example| validator.is_valid(example)).cloned();
    author.or_else(|| minimal(schema).filter(|example| validator.is_valid(example)))
}

/// Whether a value can be offered for a string with these keywords. True without a `pattern`.
pub(crate) fn is_exampled(keywords: &Map<String, Value>) -> bool {
    if !keywords.contains_key("pattern") {
        return true;
    }
    let mut schema = Value::Object(keywords.clone());
    schema["type"] = json!("string");
    Validator::new(&schema).is_ok_and(|validator| best(None, &validator, &schema).is_some())
}

/// A minimal value derived from a schema, with required keys only. It can be invalid: [`best`] validates it.
pub fn minimal(schema: &Value) -> Option<Value> {
    Maker { root: schema, left: Cell::new(VALUES_MAX) }.value(schema, 0)
}

struct Maker<'s> {
    root: &'s Value,
    /// Remaining number of values. Values of discarded branches count too.
    left: Cell<usize>,
}

impl<'s> Maker<'s> {
    fn value(&self, schema: &'s Value, depth: usize) -> Option<Value> {
        // Not given back when a branch is discarded: otherwise nested choices could try exponentially many values.
        self.left.set(self.left.get().checked_sub(1)?);
        if depth > DEPTH_MAX {
            return None;
        }
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            return self.value(self.root.pointer(reference.strip_prefix('#')?)?, depth + 1);
        }
        // Before the type: it may satisfy a `pattern` or a `format` that no text can be derived for.
        if let Some(given) = given(schema) {
            return Some(given.clone());
        }
        if let Some(branches) = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array)
        {
            // Null is valid and shows nothing.
            let branches = branches.iter().filter(|branch| branch.get("type").is_none_or(|ty| ty != "null"));
            return branches.into_iter().find_map(|branch| self.value(branch, depth + 1));
        }
        self.of_type(schema, depth)
    }

    fn of_type(&self, schema: &'s Value, depth: usize) -> Option<Value> {
        let ty = schema.get("type")?;
        match ty.as_str().or_else(|| ty.get(0)?.as_str())? {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, depth),
            "string" => string(schema).map(Value::String),
            "integer" => number(schema, true),
            "number" => number(schema, false),
            "boolean" => Some(json!(false)),
            _ => Some(Value::Null),
        }
    }

    fn object(&self, schema: &'s Value, depth: usize) -> Option<Value> {
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        let entries = required.filter_map(Value::as_str).map(|name| {
            let property = schema.get("properties")?.get(name)?;
            Some((name.to_owned(), self.value(property, depth + 1)?))
        });
        entries.collect::<Option<Map<_, _>>>().map(Value::Object)
    }

    fn array(&self, schema: &'s Value, depth: usize) -> Option<Value> {
        let prefix = schema.get("prefixItems").and_then(Value::as_array).into_iter().flatten();
        let mut items: Vec<Value> = prefix.map(|item| self.value(item, depth + 1)).collect::<Option<_>>()?;
        let min = schema.get("minItems").and_then(Value::as_u64).filter(|min| *min <= ITEMS_MAX).unwrap_or(0);
        while (items.len() as u64) < min {
            items.push(self.value(schema.get("items")?, depth + 1)?);
        }
        Some(Value::Array(items))
    }
}

/// A value that the schema itself contains: the first of `examples`, `const`, `default`, or the first of `enum`.
fn given(schema: &Value) -> Option<&Value> {
    let first = |keyword: &str| schema.get(keyword).and_then(|values| values.get(0));
    // A null default means "absent"; as an example it shows nothing.
    let default = || schema.get("default").filter(|value| !value.is_null());
    first("examples").or_else(|| schema.get("const")).or_else(default).or_else(|| first("enum"))
}

fn string(schema: &Value) -> Option<String> {
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
        return pattern::matching(pattern);
    }
    if let Some(format) = schema.get("format").and_then(Value::as_str) {
        return formatted(format).map(str::to_owned);
    }
    if schema.get("contentEncoding").is_some() {
        // Base64 of "hi".
        return Some("aGk=".to_owned());
    }
    let limit =
        |keyword: &str| schema.get(keyword).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    let max = limit("maxLength").unwrap_or(usize::MAX);
    let text =
        "text".repeat(limit("minLength").filter(|min| *min <= LENGTH_MAX).unwrap_or(0).div_ceil(4).max(1));
    let len = limit("minLength").unwrap_or(0).max(4).min(max);
    Some(text.chars().take(len).collect())
}

/// A fixed text in a format. Names and addresses are from ranges that RFC 2606, RFC 5737 and RFC 3849 reserve for
/// documentation.
fn formatted(name: &str) -> Option<&'static str> {
    Some(match name {
        "date" => "2026-12-01",
        "date-time" => "2026-12-01T09:30:00Z",
        "time" => "09:30:00Z",
        "duration" => "P1D",
        "email" => "name@example.com",
        "hostname" => "example.com",
        "ipv4" => "192.0.2.1",
        "ipv6" => "2001:db8::1",
        "uri" | "iri" | "uri-reference" | "iri-reference" => "https://example.com/",
        "uuid" => "123e4567-e89b-42d3-a456-426614174000",
        _ => return None,
    })
}

/// The number 1 if the bounds allow it, else the bound that is nearest to it.
fn number(schema: &Value, integral: bool) -> Option<Value> {
    let limit = |keyword: &str| schema.get(keyword).filter(|limit| limit.is_number());
    let float = |keyword: &str| limit(keyword).and_then(Value::as_f64);
    // May be outside of the bounds. Then `best` offers no example.
    if let Some(step) = limit("multipleOf") {
        return Some(step.clone());
    }
    let above = |n: f64| if integral { n.floor() + 1.0 } else { n + 1.0 };
    let least = float("exclusiveMinimum").map(above);
    let most = float("exclusiveMaximum").map(|n| if integral { n.ceil() - 1.0 } else { n - 1.0 });
    match (limit("minimum"), limit("maximum")) {
        (Some(min), _) if min.as_f64() > Some(1.0) => Some(min.clone()),
        (_, Some(max)) if max.as_f64() < Some(1.0) => Some(max.clone()),
        _ => Some(whole(least.unwrap_or(1.0).max(1.0).min(most.unwrap_or(f64::MAX)))),
    }
}

fn whole(n: f64) -> Value {
    // Below 2^53 (about 9.007e15) every whole float converts to an integer exactly.
    if n.fract() == 0.0 && n.abs() < 9e15 { json!(n as i64) } else { json!(n) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: Value, expect: Option<Value>) {
        let validator = Validator::new(&schema).unwrap();
        assert_eq!(best(None, &validator, &schema), expect, "{schema}");
    }

    #[test]
    fn makes_the_smallest_valid_value() {
        check(json!({"type": "integer", "minimum": 5, "maximum": 9}), Some(json!(5)));
        check(json!({"type": "integer", "maximum": -3}), Some(json!(-3)));
        check(json!({"type": "integer", "exclusiveMinimum": 4}), Some(json!(5)));
        check(json!({"type": "number", "exclusiveMaximum": 0}), Some(json!(-1)));
        check(json!({"type": "integer", "multipleOf": 7, "minimum": 1}), Some(json!(7)));
        check(json!({"type": "string", "enum": ["a", "b"]}), Some(json!("a")));
        check(json!({"type": "string", "minLength": 6}), Some(json!("textte")));
        check(json!({"type": "string", "minLength": 1, "maxLength": 1}), Some(json!("t")));
        check(json!({"type": "string", "format": "date"}), Some(json!("2026-12-01")));
        check(
            json!({"type": "array", "items": {"type": "boolean"}, "minItems": 2}),
            Some(json!([false, false])),
        );
        check(json!({"anyOf": [{"type": "null"}, {"type": "integer"}]}), Some(json!(1)));
        check(json!({"type": "string", "examples": ["JFK"]}), Some(json!("JFK")));
        check(json!({"$defs": {"a": {"type": "integer"}}, "$ref": "#/$defs/a"}), Some(json!(1)));
        check(
            json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["a"]}),
            Some(json!({"a": 1})),
        );
    }

    #[test]
    fn lists_within_each_other_do_not_multiply() {
        let schema = |levels: u32| {
            let inner = json!({"type": "boolean"});
            (0..levels).fold(inner, |items, _| json!({"type": "array", "items": items, "minItems": 20}))
        };
        assert!(minimal(&schema(2)).is_some());
        assert_eq!(minimal(&schema(10)), None);
        let doubled = |half: &str| json!({"type": "array", "prefixItems": [{"$ref": half}, {"$ref": half}]});
        let mut defs = json!({"a0": {"type": "boolean"}});
        for level in 1..=30 {
            defs[format!("a{level}")] = doubled(&format!("#/$defs/a{}", level - 1));
        }
        assert_eq!(minimal(&json!({"$defs": defs, "$ref": "#/$defs/a15"})), None);
    }

    #[test]
    fn derives_texts_for_simple_patterns() {
        check(json!({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$"}), Some(json!("0000-00")));
        check(json!({"type": "string", "pattern": r"^[A-Z]{3}\d+x?$"}), Some(json!("AAA0")));
        check(json!({"type": "string", "pattern": "^(a|b)$"}), None);
    }

    #[test]
    fn offers_nothing_that_is_not_valid() {
        check(json!({"type": "integer", "minimum": 3, "multipleOf": 2}), None);
        check(json!({"type": "integer", "not": {}}), None);
        let schema = json!({"type": "integer"});
        let validator = Validator::new(&schema).unwrap();
        assert_eq!(best(Some(&json!(42)), &validator, &schema), Some(json!(42)));
        assert_eq!(best(Some(&json!("x")), &validator, &schema), Some(json!(1)));
    }

    #[test]
    fn a_list_of_lists_of_a_fixed_length_has_no_example() {
        let row = |item: Value| json!({"type": "array", "items": item, "minItems": 100});
        check(row(row(row(row(json!({"type": "boolean"}))))), None);
    }

    #[test]
    fn only_a_short_correction_is_offered() {
        let schema =
            json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}});
        let validator = Validator::new(&schema).unwrap();
        let mended = |args: Value| validator.refused(&args).and_then(|(_, mended)| mended).filter(is_short);
        assert_eq!(mended(json!({"a": "7"})), Some(json!({"a": 7})));
        assert_eq!(mended(json!({"a": "seven"})), None);
        assert_eq!(mended(json!({"a": "7", "b": "x".repeat(EXAMPLE_BYTES_MAX)})), None);
        assert_eq!(mended(json!({"a": "7", "b": "x".repeat(10_000)})), None);
    }
}
