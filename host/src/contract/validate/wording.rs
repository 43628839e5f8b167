//! The words for what a schema wants and for what was there instead.
//!
//! Owns the phrases. Must not repeat a value beyond its first 60 characters.

use serde_json::Value;

use super::fault::Reader;
use crate::contract::place::quoted;
use crate::contract::shorten::{clean, shorten};

pub(super) const GOT_CHARS_MAX: usize = 60;
const NAMES_MAX: usize = 8;

/// What was there: `string "twelve"`, `array of 3 items`.
pub(super) fn got(value: &Value) -> String {
    let text = match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => format!("boolean {value}"),
        Value::Number(number) if number.is_f64() => format!("number {number}"),
        Value::Number(number) => format!("integer {number}"),
        Value::String(text) => return format!("string {}", quoted_within(text, GOT_CHARS_MAX - 9)),
        Value::Array(items) => format!("array of {}", count(items.len() as u64, "item")),
        Value::Object(object) if object.is_empty() => "empty object".to_owned(),
        Value::Object(object) => {
            let keys: Vec<String> =
                object.keys().take(NAMES_MAX).map(|key| clean(&shorten(key, 30))).collect();
            format!("object with {}", keys.join(", "))
        }
    };
    shorten(&text, GOT_CHARS_MAX)
}

fn quoted_within(text: &str, chars_max: usize) -> String {
    let whole = quoted(text);
    if whole.chars().count() <= chars_max { whole } else { format!("{}\"", shorten(&whole, chars_max - 1)) }
}

/// What a broken keyword wanted.
pub(super) fn expected<'s>(reader: &Reader<'s>, schema: &'s Value, keyword: &str) -> String {
    let limit = || schema.get(keyword).map(Value::to_string).unwrap_or_default();
    match keyword {
        "multipleOf" => format!("a multiple of {}", limit()),
        "uniqueItems" => "items that are all different".to_owned(),
        "minProperties" => format!("at least {} keys", limit()),
        "maxProperties" => format!("at most {} keys", limit()),
        "falseSchema" => "nothing here".to_owned(),
        "const" => format!("exactly {}", shorten(&limit(), GOT_CHARS_MAX)),
        "enum" | "type" | "format" | "pattern" | "minimum" | "maximum" | "exclusiveMinimum"
        | "exclusiveMaximum" | "minLength" | "maxLength" | "minItems" | "maxItems" => phrase(reader, schema),
        _ => format!("a value that satisfies `{}`", shorten(keyword, GOT_CHARS_MAX)),
    }
}

/// What a schema wants: `integer 0–255`, `one of "a", "b"`, `list of 1–3 string`.
pub(super) fn phrase<'s>(reader: &Reader<'s>, schema: &'s Value) -> String {
    let schema = reader.resolve(schema);
    if let Some(options) = schema.get("enum").and_then(Value::as_array) {
        return one_of(options);
    }
    if let Some(branches) = branches(schema) {
        return alternatives(reader, branches);
    }
    match schema.get("type") {
        Some(Value::String(ty)) => of_type(reader, schema, ty),
        Some(Value::Array(types)) => {
            let types: Vec<&str> = types.iter().filter_map(Value::as_str).collect();
            types.join(" or ")
        }
        _ => "a valid value".to_owned(),
    }
}

/// The alternatives of a schema, if it has any.
pub(super) fn branches(schema: &Value) -> Option<&Vec<Value>> {
    ["anyOf", "oneOf"].into_iter().find_map(|keyword| schema.get(keyword)?.as_array())
}

/// The alternatives other than null, which stands for leaving the value out.
pub(super) fn alternatives<'s>(reader: &Reader<'s>, branches: &'s [Value]) -> String {
    let branches = branches.iter().map(|branch| reader.resolve(branch)).filter(|branch| !is_null(branch));
    let branches: Vec<&Value> = branches.collect();
    if let Some(tags) = tags(&branches) {
        return format!(r#"object {{"tag": …}} with tag one of {}"#, names(&tags));
    }
    match wide_integer(&branches) {
        Some(integer) => format!("{}, as a number or a decimal string", phrase(reader, integer)),
        None => branches.into_iter().map(|branch| phrase(reader, branch)).collect::<Vec<_>>().join(" or "),
    }
}

pub(super) fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|ty| ty == "null")
}

/// The tags of a variant's branches, in order, if every branch has one.
pub(super) fn tags(branches: &[&Value]) -> Option<Vec<String>> {
    let tags: Option<Vec<String>> = branches.iter().map(|branch| tag(branch).map(str::to_owned)).collect();
    tags.filter(|tags| !tags.is_empty())
}

pub(super) fn tag(branch: &Value) -> Option<&str> {
    branch.pointer("/properties/tag/enum/0").and_then(Value::as_str)
}

/// The integer branch of a 64-bit integer, which may also be a decimal string.
pub(super) fn wide_integer<'b>(branches: &[&'b Value]) -> Option<&'b Value> {
    let [integer, string] = branches else { return None };
    let is = |schema: &Value, ty: &str| schema.get("type").is_some_and(|t| t == ty);
    (is(integer, "integer") && is(string, "string")).then_some(*integer)
}

pub(super) fn names(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(NAMES_MAX).map(|name| clean(&shorten(name, 40))).collect();
    let more = names.len().saturating_sub(NAMES_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

fn one_of(options: &[Value]) -> String {
    let options: Vec<String> = options.iter().map(|option| shorten(&option.to_string(), 40)).collect();
    match options.as_slice() {
        [only] => only.clone(),
        _ => format!("one of {}", names(&options)),
    }
}

fn of_type<'s>(reader: &Reader<'s>, schema: &'s Value, ty: &str) -> String {
    match ty {
        "string" => string(schema),
        "array" => array(reader, schema),
        "integer" | "number" => format!("{ty}{}", bounds(schema)),
        _ => ty.to_owned(),
    }
}

fn string(schema: &Value) -> String {
    let length = range(schema, "minLength", "maxLength").map(|range| format!(" of {range}"));
    let length =
        length.map(|text| if text.ends_with(" 1") { text + " character" } else { text + " characters" });
    let format = schema.get("format").and_then(Value::as_str).map(|name| format!(" in {name} format"));
    let base64 = schema.get("contentEncoding").and_then(Value::as_str).map(|name| format!(" in {name}"));
    let pattern = schema.get("pattern").and_then(Value::as_str);
    let pattern = pattern.map(|pattern| format!(" matching {}", shorten(pattern, GOT_CHARS_MAX)));
    ["string".to_owned()].into_iter().chain([length, format, base64, pattern].into_iter().flatten()).collect()
}

fn array<'s>(reader: &Reader<'s>, schema: &'s Value) -> String {
    let range = range(schema, "minItems", "maxItems").map(|range| format!(" {range}")).unwrap_or_default();
    let items = schema.get("items").filter(|items| items.is_object()).map(|items| phrase(reader, items));
    match items {
        Some(items) => format!("array of{range} {items}"),
        None if range.is_empty() => "array".to_owned(),
        None => format!("array of{range} items"),
    }
}

/// ` 0–255`, ` of at least 1`, ` above 0 and below 1`
fn bounds(schema: &Value) -> String {
    let limit = |keyword: &str| schema.get(keyword).filter(|limit| limit.is_number());
    if let (Some(min), Some(max)) = (limit("minimum"), limit("maximum")) {
        return format!(" {min}–{max}");
    }
    let named = [
        ("minimum", "at least"),
        ("maximum", "at most"),
        ("exclusiveMinimum", "above"),
        ("exclusiveMaximum", "below"),
    ];
    let parts =
        named.into_iter().filter_map(|(keyword, word)| limit(keyword).map(|limit| format!("{word} {limit}")));
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() { String::new() } else { format!(", {}", parts.join(" and ")) }
}

fn range(schema: &Value, min: &str, max: &str) -> Option<String> {
    let limit = |keyword: &str| schema.get(keyword).and_then(Value::as_u64);
    match (limit(min), limit(max)) {
        (None, None) => None,
        (Some(min), None) => Some(format!("at least {min}")),
        (None, Some(max)) => Some(format!("at most {max}")),
        (Some(min), Some(max)) if min == max => Some(min.to_string()),
        (Some(min), Some(max)) => Some(format!("{min}–{max}")),
    }
}

fn count(n: u64, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}
