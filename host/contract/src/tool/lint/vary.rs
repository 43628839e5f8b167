//! Arguments that differ from given ones in one place.
//!
//! Owns the changes. Most of them are valid for the types; the caller finds out which.

use serde_json::{Map, Number, Value, json};

use crate::example::minimal;

/// Places of one example that are changed.
const PLACES_MAX: usize = 100;

/// Values of the schema and of the example that are put into other places.
const POOL_MAX: usize = 60;

/// All changes of these arguments, one at a time. `texts` are those of the relations that are tried.
pub(super) fn near(args: &Map<String, Value>, schema: &Value, texts: &[&str]) -> Vec<Map<String, Value>> {
    let whole = Value::Object(args.clone());
    let (mut places, mut pool) = (Vec::new(), Vec::new());
    visit(&whole, &mut String::new(), &mut |at, value| {
        places.push(at.to_owned());
        pool.push(value.clone());
    });
    enums(schema, &mut pool);
    pool.retain(|value| !value.is_object() && !value.is_array());
    pool.truncate(POOL_MAX);
    let mut changed = Vec::new();
    for at in places.iter().filter(|at| !at.is_empty()).take(PLACES_MAX) {
        let Some(value) = whole.pointer(at) else { continue };
        // Null is absent. What comes from the pool is of the same type, so that most of it is valid.
        let alike = pool.iter().filter(|other| alike(other, value) && *other != value).cloned();
        for other in changes(value).into_iter().chain([Value::Null]).chain(alike).chain(begun(value, texts)) {
            let mut copy = whole.clone();
            if let Some(slot) = copy.pointer_mut(at) {
                *slot = other;
            }
            changed.push(copy);
        }
    }
    let absent = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    for (name, property) in absent.filter(|(name, _)| !args.contains_key(*name)) {
        for value in minimal(property).into_iter().chain(pool.iter().cloned()) {
            let mut copy = whole.clone();
            copy[name] = value;
            changed.push(copy);
        }
    }
    changed
        .into_iter()
        .filter_map(|value| if let Value::Object(args) = value { Some(args) } else { None })
        .collect()
}

/// Calls `show` with each value and its pointer, from the outside in.
fn visit(value: &Value, at: &mut String, show: &mut impl FnMut(&str, &Value)) {
    show(at, value);
    let length = at.len();
    let mut inside = |key: &str, value: &Value| {
        at.push('/');
        at.push_str(&key.replace('~', "~0").replace('/', "~1"));
        visit(value, at, show);
        at.truncate(length);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| inside(key, value)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| inside(&index.to_string(), value));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The values that enums of the schema list.
fn enums(schema: &Value, pool: &mut Vec<Value>) {
    if pool.len() >= POOL_MAX {
        return;
    }
    match schema {
        Value::Object(keywords) => {
            let listed = keywords.get("enum").and_then(Value::as_array);
            pool.extend(listed.into_iter().flatten().cloned());
            keywords.values().for_each(|inner| enums(inner, pool));
        }
        Value::Array(items) => items.iter().for_each(|inner| enums(inner, pool)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn alike(a: &Value, b: &Value) -> bool {
    matches!((a, b), (Value::String(_), Value::String(_)) | (Value::Number(_), Value::Number(_)))
}

/// A text with each of these in its place, and in place of all but its last word, as of ids with a prefix.
fn begun(value: &Value, texts: &[&str]) -> Vec<Value> {
    let Value::String(text) = value else { return Vec::new() };
    let word = text.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    texts.iter().take(POOL_MAX).flat_map(|begin| [json!(begin), json!(format!("{begin}{word}"))]).collect()
}

/// Other values of the same type.
fn changes(value: &Value) -> Vec<Value> {
    match value {
        Value::Null | Value::Object(_) => Vec::new(),
        Value::Bool(value) => vec![json!(!value)],
        Value::Number(number) => numbers(number),
        Value::String(text) => texts(text),
        Value::Array(items) => lists(items),
    }
}

fn numbers(number: &Number) -> Vec<Value> {
    match (number.as_i64(), number.as_f64()) {
        (Some(n), _) => [0, 1, -1, 1_000_000, -1_000_000]
            .into_iter()
            .chain([n.saturating_add(1), n.saturating_sub(1), n.saturating_mul(10), n.saturating_neg()])
            .filter(|other| *other != n)
            .map(|other| json!(other))
            .collect(),
        (None, Some(n)) => {
            [0.0, n + 1.0, n - 1.0, n * 10.0, -n, -1e6, 1e6].map(|other| json!(other)).to_vec()
        }
        (None, None) => Vec::new(),
    }
}

/// Other texts: shorter and longer ones, and the same with each of its digits changed, as of dates and codes.
fn texts(text: &str) -> Vec<Value> {
    let mut other = vec![String::new(), format!("{text}x"), text.to_uppercase(), text.to_lowercase()];
    for (at, digit) in text.char_indices().filter(|(_, c)| c.is_ascii_digit()).take(10) {
        for new in ['0', '1', '2', '9'].into_iter().filter(|new| *new != digit) {
            let mut copy = text.to_owned();
            copy.replace_range(at..=at, new.encode_utf8(&mut [0; 4]));
            other.push(copy);
        }
    }
    other.into_iter().filter(|other| other != text).map(Value::String).collect()
}

/// Other lists: none, one less, and one item twice.
fn lists(items: &[Value]) -> Vec<Value> {
    let fewer = items.split_last().map(|(_, others)| others.to_vec());
    let more = items.first().map(|first| [std::slice::from_ref(first), items].concat());
    [Some(Vec::new()), fewer, more].into_iter().flatten().map(Value::Array).collect()
}
