//! Rules for keywords of JSON Schema that stand alone: whether the new value surely admits no more than the old one.
//!
//! Owns the comparison of numbers, types and lists of values. Must not know schemas within schemas. A keyword with a
//! value of the wrong form cannot be shown to be narrower. To add one: a function here that returns false when in
//! doubt.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// 2^53. From here on a float does not represent every integer.
pub(super) const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

type Schema = Map<String, Value>;

/// Whether all new types are among the old ones. An `enum` without `type` implies types, too.
pub(super) fn types(old: &Schema, new: &Schema) -> bool {
    let Some(old) = old.get("type") else { return true };
    // A new schema without `type` and `enum` admits every type.
    let (Some(old), Some(new)) = (type_names(old), new_types(new)) else { return false };
    // Every integer is a number.
    new.iter().all(|name| old.contains(name) || (*name == "integer" && old.contains("number")))
}

fn type_names(types: &Value) -> Option<BTreeSet<&str>> {
    match types {
        Value::String(name) => Some(BTreeSet::from([name.as_str()])),
        Value::Array(names) => names.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

fn new_types(new: &Schema) -> Option<BTreeSet<&str>> {
    match new.get("type") {
        Some(types) => type_names(types),
        None => Some(listed(new)?.into_iter().map(type_of).collect()),
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The values that `enum` or `const` lists; none without either keyword.
fn listed(schema: &Schema) -> Option<Vec<&Value>> {
    match (schema.get("enum"), schema.get("const")) {
        // Both hold where both are present, so the new values are at most the one of `const`.
        (_, Some(only)) => Some(vec![only]),
        (Some(Value::Array(all)), None) => Some(all.iter().collect()),
        (Some(_) | None, None) => None,
    }
}

/// Whether all new values are among the old ones.
pub(super) fn values(old: &Schema, new: &Schema) -> bool {
    let among = |new: &Value, all: &Value| all.as_array().is_some_and(|all| all.contains(new));
    let Some(new) = listed(new) else { return !old.contains_key("enum") && !old.contains_key("const") };
    new.iter().all(|new| {
        old.get("enum").is_none_or(|all| among(new, all)) && old.get("const").is_none_or(|only| only == *new)
    })
}

/// Whether every old lower bound follows from a new one.
pub(super) fn lower(old: &Schema, new: &Schema) -> bool {
    bounds(old, new, "minimum", "exclusiveMinimum", at_most)
}

/// Whether every old upper bound follows from a new one.
pub(super) fn upper(old: &Schema, new: &Schema) -> bool {
    bounds(old, new, "maximum", "exclusiveMaximum", |old, new| at_most(new, old))
}

/// Whether every old bound follows from a new one. `order` tells whether a new bound is equal to an old one or tighter.
fn bounds(
    old: &Schema,
    new: &Schema,
    inclusive: &str,
    exclusive: &str,
    order: impl Fn(&Value, &Value) -> Option<Order>,
) -> bool {
    let follows = |old: &Value, old_excludes: bool| {
        let from = |key: &str, excludes: bool| {
            new.get(key).and_then(|new| order(old, new)).is_some_and(|order| match order {
                Order::Less => true,
                Order::Same => excludes || !old_excludes,
            })
        };
        from(inclusive, false) || from(exclusive, true)
    };
    old.get(inclusive).is_none_or(|bound| follows(bound, false))
        && old.get(exclusive).is_none_or(|bound| follows(bound, true))
}

enum Order {
    Less,
    Same,
}

/// Orders two numbers; none when the first is greater, or when the order cannot be told.
fn at_most(a: &Value, b: &Value) -> Option<Order> {
    let order = match (whole(a), whole(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        // Equal numbers need no order, whatever their size.
        _ if a.is_number() && a == b => return Some(Order::Same),
        _ => {
            let (a, b) = (a.as_f64()?, b.as_f64()?);
            // Large numbers that differ may have the same float.
            if a.abs() >= EXACT_MAX || b.abs() >= EXACT_MAX {
                return None;
            }
            a.partial_cmp(&b)?
        }
    };
    match order {
        std::cmp::Ordering::Less => Some(Order::Less),
        std::cmp::Ordering::Equal => Some(Order::Same),
        std::cmp::Ordering::Greater => None,
    }
}

fn whole(n: &Value) -> Option<i128> {
    n.as_i64().map(i128::from).or_else(|| n.as_u64().map(i128::from))
}

/// Whether the old minimum of a count follows from the new one. An absent minimum is 0.
pub(super) fn least(key: &str, old: &Schema, new: &Schema) -> bool {
    let zero = Value::from(0);
    at_most(old.get(key).unwrap_or(&zero), new.get(key).unwrap_or(&zero)).is_some()
}

/// Whether the old maximum of a count follows from the new one.
pub(super) fn most(key: &str, old: &Schema, new: &Schema) -> bool {
    match (old.get(key), new.get(key)) {
        (None, _) => true,
        (Some(old), Some(new)) => at_most(new, old).is_some(),
        (Some(_), None) => false,
    }
}

/// Whether every multiple of the new step is a multiple of the old one.
pub(super) fn steps(old: &Schema, new: &Schema) -> bool {
    match (old.get("multipleOf"), new.get("multipleOf")) {
        (None, _) => true,
        // Equal steps need no arithmetic, so this holds for floats, too.
        (Some(old), Some(new)) if old == new => true,
        (Some(old), Some(new)) => {
            whole(old).zip(whole(new)).is_some_and(|(old, new)| old > 0 && new % old == 0)
        }
        (Some(_), None) => false,
    }
}

/// Whether a list of required names only grew: the more names are required, the fewer values are valid.
pub(super) fn grew(old: Option<&Value>, new: Option<&Value>) -> bool {
    let names = |value: &Value| -> Option<BTreeSet<String>> {
        value.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
    };
    match (old, new) {
        (None, _) => true,
        (Some(old), new) if old.as_array().is_some_and(Vec::is_empty) => {
            new.is_none_or(|new| names(new).is_some())
        }
        (Some(old), Some(new)) => names(old).zip(names(new)).is_some_and(|(old, new)| old.is_subset(&new)),
        (Some(_), None) => false,
    }
}
