//! Words for what a schema expects and for what was there instead.
//!
//! Owns the phrases and their bounds: a schema can be large, its description is not. Must not repeat a value beyond its
//! first 60 characters.

use serde_json::Value;

use super::fault::Reader;
use airlock_types::shorten::{clean, shorten};
use airlock_types::words::GOT_CHARS_MAX;

/// Number of names that a phrase lists; the rest are counted.
const NAMES_MAX: usize = 8;
/// Number of alternatives that a phrase lists.
pub(super) const BRANCHES_MAX: usize = 8;
/// Characters of the longest phrase. A message for a model shows the first 100 of them, its structured form all.
const PHRASE_CHARS_MAX: usize = 200;
/// Characters of a schema that a value must not be of.
const NOT_CHARS_MAX: usize = 120;
/// Nesting of lists and alternatives up to which a phrase describes the inside. Each level names up to [`BRANCHES_MAX`]
/// alternatives, so the length grows with the power of the depth.
const PHRASE_DEPTH_MAX: usize = 3;

/// What a broken keyword expected.
pub(super) fn expected<'s>(reader: &Reader<'s>, schema: &'s Value, keyword: &str) -> String {
    let limit = || schema.get(keyword).map(short_json).unwrap_or_default();
    match keyword {
        "multipleOf" => format!("a multiple of {}", limit()),
        "uniqueItems" => "items that are all different".to_owned(),
        "minProperties" => format!("at least {} keys", limit()),
        "maxProperties" => format!("at most {} keys", limit()),
        "falseSchema" => "nothing here".to_owned(),
        "const" => format!("exactly {}", limit()),
        "not" => {
            let text = schema.get(keyword).map(|not| clean(&shorten(&not.to_string(), NOT_CHARS_MAX)));
            format!("a value that is not of {}", text.unwrap_or_default())
        }
        // These are described by the whole phrase, which names the type and all bounds: a caller that only learns one
        // bound may break the next one.
        "enum" | "type" | "format" | "pattern" | "minimum" | "maximum" | "exclusiveMinimum"
        | "exclusiveMaximum" | "minLength" | "maxLength" | "minItems" | "maxItems" => phrase(reader, schema),
        _ => format!("a value that satisfies `{}`", shorten(keyword, GOT_CHARS_MAX)),
    }
}

/// What a schema expects: `integer 0–255`, `one of "a", "b"`, `array of 1–3 string`.
pub(super) fn phrase<'s>(reader: &Reader<'s>, schema: &'s Value) -> String {
    shorten(&phrase_at(reader, schema, 0), PHRASE_CHARS_MAX)
}

fn phrase_at<'s>(reader: &Reader<'s>, schema: &'s Value, depth: usize) -> String {
    let schema = reader.resolve(schema);
    if let Some(options) = schema.get("enum").and_then(Value::as_array) {
        return one_of(options);
    }
    if let Some(branches) = branches(schema) {
        return alternatives_at(reader, branches, depth);
    }
    match schema.get("type") {
        Some(Value::String(ty)) => of_type(reader, schema, ty, depth),
        Some(Value::Array(types)) => {
            let types: Vec<&str> = types.iter().filter_map(Value::as_str).collect();
            types.join(" or ")
        }
        _ => tightened(reader, schema, depth),
    }
}

/// What a schema without a type expects: the type that its keywords are about stands elsewhere.
fn tightened<'s>(reader: &Reader<'s>, schema: &'s Value, depth: usize) -> String {
    let has = |keywords: &[&str]| keywords.iter().any(|keyword| schema.get(keyword).is_some());
    match () {
        () if has(&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]) => {
            of_type(reader, schema, "number", depth)
        }
        () if has(&["minLength", "maxLength", "pattern", "format"]) => {
            of_type(reader, schema, "string", depth)
        }
        () if has(&["minItems", "maxItems"]) => of_type(reader, schema, "array", depth),
        () => "a valid value".to_owned(),
    }
}

/// The alternatives of a schema, if it has any.
pub(super) fn branches(schema: &Value) -> Option<&Vec<Value>> {
    ["anyOf", "oneOf"].into_iter().find_map(|keyword| schema.get(keyword)?.as_array())
}

/// The alternatives other than null. Null means that the value is left out, which no caller needs to be told.
pub(super) fn alternatives<'s>(reader: &Reader<'s>, branches: &'s [Value]) -> String {
    shorten(&alternatives_at(reader, branches, 0), PHRASE_CHARS_MAX)
}

fn alternatives_at<'s>(reader: &Reader<'s>, all: &'s [Value], depth: usize) -> String {
    let branches: Vec<&Value> = live(reader, all).collect();
    // Before the depth is checked: tags are a flat list, however deep the payloads are.
    if let Some(tags) = tags(&branches) {
        return format!(r#"object {{"tag": …}} with tag one of {}"#, names(&tags));
    }
    if depth >= PHRASE_DEPTH_MAX {
        return "one of several forms".to_owned();
    }
    if let Some(integer) = wide_integer(&branches) {
        return format!("{}, as a number or a decimal string", phrase_at(reader, integer, depth + 1));
    }
    let shown = branches.iter().take(BRANCHES_MAX).map(|branch| phrase_at(reader, branch, depth + 1));
    let more = branches.len().saturating_sub(BRANCHES_MAX);
    let more = (more > 0).then(|| format!("{more} other forms"));
    shown.chain(more).collect::<Vec<_>>().join(" or ")
}

/// The branches other than null, with references resolved.
pub(super) fn live<'s>(reader: &Reader<'s>, all: &'s [Value]) -> impl Iterator<Item = &'s Value> {
    all.iter().map(|branch| reader.resolve(branch)).filter(|branch| !is_null(branch))
}

pub(super) fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|ty| ty == "null")
}

/// The tags of a variant's branches, in order, if every branch has one.
fn tags<'b>(branches: &[&'b Value]) -> Option<Vec<&'b str>> {
    let tags: Option<Vec<&str>> = branches.iter().map(|branch| tag(branch)).collect();
    tags.filter(|tags| !tags.is_empty())
}

/// The tag of a branch that accepts exactly one.
pub(super) fn tag(branch: &Value) -> Option<&str> {
    let tag = branch.get("properties")?.get("tag")?;
    // A foreign schema may write one constant as an `enum` with one option.
    let only = || tag.get("enum")?.as_array().filter(|options| options.len() == 1)?.first();
    tag.get("const").or_else(only)?.as_str()
}

/// The integer branch, if the branches are the two forms of a 64-bit integer: a number or a decimal string.
pub(super) fn wide_integer<'b>(branches: &[&'b Value]) -> Option<&'b Value> {
    let [integer, string] = branches else { return None };
    let is = |schema: &Value, ty: &str| schema.get("type").is_some_and(|t| t == ty);
    (is(integer, "integer") && is(string, "string")).then_some(*integer)
}

/// The first names, separated by commas, and the number of the others.
pub(super) fn names(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(NAMES_MAX).map(|name| clean(&shorten(name, 40))).collect();
    let more = names.len().saturating_sub(NAMES_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

fn one_of(options: &[Value]) -> String {
    let shown: Vec<String> = options.iter().take(NAMES_MAX).map(short_json).collect();
    let more = options.len().saturating_sub(NAMES_MAX);
    match shown.as_slice() {
        [only] => only.clone(),
        _ if more > 0 => format!("one of {} and {more} more", shown.join(", ")),
        _ => format!("one of {}", shown.join(", ")),
    }
}

/// The first 40 characters of a value of the schema, as JSON. It is cleaned, since a foreign author wrote it.
fn short_json(value: &Value) -> String {
    clean(&shorten(&value.to_string(), 40))
}

fn of_type<'s>(reader: &Reader<'s>, schema: &'s Value, ty: &str, depth: usize) -> String {
    match ty {
        "string" => string(schema),
        "array" => array(reader, schema, depth),
        "integer" | "number" => format!("{ty}{}", bounds(schema)),
        "object" => some(reader, schema, depth).unwrap_or_else(|| ty.to_owned()),
        _ => ty.to_owned(),
    }
}

/// `{"some": integer}`, as an option within an option is written.
fn some<'s>(reader: &Reader<'s>, schema: &'s Value, depth: usize) -> Option<String> {
    let properties = schema.get("properties")?.as_object().filter(|properties| properties.len() == 1)?;
    let inner = properties.get("some").filter(|_| depth < PHRASE_DEPTH_MAX)?;
    Some(format!(r#"{{"some": {}}}"#, phrase_at(reader, inner, depth + 1)))
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

fn array<'s>(reader: &Reader<'s>, schema: &'s Value, depth: usize) -> String {
    let range = range(schema, "minItems", "maxItems").map(|range| format!(" {range}")).unwrap_or_default();
    let items = schema.get("items").filter(|items| items.is_object() && depth < PHRASE_DEPTH_MAX);
    let items = items.map(|items| phrase_at(reader, items, depth + 1));
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
