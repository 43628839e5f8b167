//! Constraints and notes of a contract, laid over the schema of a type.
//!
//! Owns where a keyword may stand and that it only tightens. Must not know contracts. For a new keyword: a
//! row in `rule`, and its words in `words`.

mod error;
mod header;

use serde_json::{Map, Value};

pub use self::error::OverlayError;
use super::exact::less;
use super::{defs, words};
use crate::path::{Path, PathError, Segment};
use crate::pattern;
use airlock_types::words::got;

/// The keywords that can be laid over a schema.
pub(super) const KEYWORDS: [&str; 16] = [
    "description",
    "title",
    "examples",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "minItems",
    "maxItems",
    "enum",
    HEADER,
];

/// The keyword of an argument that clients also send as a header, by SEP-2243; the protocol holds the two
/// against each other.
pub(crate) const HEADER: &str = "x-mcp-header";

/// The formats that are checked. Others would be accepted and do nothing.
const FORMATS: [&str; 10] =
    ["date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uri", "uuid"];

/// What a keyword does.
enum Rule {
    /// It tells and does not constrain.
    Note,
    /// It bounds; `same` are the keywords on its side of the range, `other` those across.
    Bound { lower: bool, same: [&'static str; 2], other: [&'static str; 2] },
    /// It holds beside the others.
    Beside,
    /// It lists the values.
    Enum,
}

fn rule(keyword: &str) -> Option<Rule> {
    let bound = |lower, same, other| Rule::Bound { lower, same, other };
    const LEAST: [&str; 2] = ["minimum", "exclusiveMinimum"];
    const MOST: [&str; 2] = ["maximum", "exclusiveMaximum"];
    Some(match keyword {
        "description" | "title" | "examples" | HEADER => Rule::Note,
        "minimum" | "exclusiveMinimum" => bound(true, LEAST, MOST),
        "maximum" | "exclusiveMaximum" => bound(false, MOST, LEAST),
        "minLength" => bound(true, ["minLength"; 2], ["maxLength"; 2]),
        "maxLength" => bound(false, ["maxLength"; 2], ["minLength"; 2]),
        "minItems" => bound(true, ["minItems"; 2], ["maxItems"; 2]),
        "maxItems" => bound(false, ["maxItems"; 2], ["minItems"; 2]),
        "multipleOf" | "pattern" | "format" => Rule::Beside,
        "enum" => Rule::Enum,
        _ => return None,
    })
}

/// Lays keywords over the place of a path in a schema that this module made. On an error nothing changes.
///
/// Options are looked through. A 64-bit integer has its constraints on the integer branch only: whether its
/// string form keeps them is found by [`super::broken`], once it is lowered.
pub fn overlay(schema: &mut Value, path: &Path, keywords: &Map<String, Value>) -> Result<(), OverlayError> {
    let defs = defs::take(schema);
    let laid = lay(schema, path, keywords, &defs);
    if !defs.is_empty() {
        schema["$defs"] = defs.into();
    }
    laid
}

fn lay(
    schema: &mut Value,
    path: &Path,
    keywords: &Map<String, Value>,
    defs: &Map<String, Value>,
) -> Result<(), OverlayError> {
    if let Some(name) = keywords.get(HEADER) {
        header::reachable(schema, path, name)?;
    }
    let mut node = schema;
    for step in path.steps() {
        node = descend(node, step, path, defs)?;
    }
    defs::expand(node, defs);
    let mut changed = node.clone();
    for (keyword, value) in keywords.iter().filter(|(keyword, _)| *keyword != "description") {
        put(&mut changed, keyword, value, defs)?;
    }
    if let Some(text) = keywords.get("description") {
        describe(&mut changed, text)?;
    }
    *node = changed;
    Ok(())
}

fn descend<'s>(
    node: &'s mut Value,
    step: &Segment,
    path: &Path,
    defs: &Map<String, Value>,
) -> Result<&'s mut Value, PathError> {
    let node = through(node, defs);
    match step {
        Segment::Field(name) => {
            // Lookup for twice, so that the names are only listed where the error needs them.
            if node.get("properties").is_none_or(|all| all.get(name).is_none()) {
                return Err(PathError::Unknown { name: name.clone(), known: node_names(node) });
            }
            Ok(&mut node["properties"][name.as_str()])
        }
        Segment::Items if node.get("prefixItems").is_none() && node.get("items").is_some() => {
            Ok(&mut node["items"])
        }
        Segment::Items => Err(PathError::NotAList(path.to_string())),
    }
}

fn node_names(node: &Value) -> Vec<String> {
    let properties = node.get("properties").and_then(Value::as_object);
    properties.into_iter().flat_map(|all| all.keys().cloned()).collect()
}

/// Looks through options, and through the wrapping of an option of an option, where null comes first.
fn through<'s>(node: &'s mut Value, defs: &Map<String, Value>) -> &'s mut Value {
    defs::expand(node, defs);
    let branches = node.get_mut("anyOf").and_then(Value::as_array_mut);
    branches.into_iter().flatten().for_each(|branch| defs::expand(branch, defs));
    match branch(node, |branch| branch["type"] == "null") {
        Some(0) if node.pointer("/anyOf/1/properties/some").is_some() => {
            through(&mut node["anyOf"][1]["properties"]["some"], defs)
        }
        Some(1) => through(&mut node["anyOf"][0], defs),
        _ => node,
    }
}

/// The number of the first branch that is like this.
fn branch(node: &Value, like: impl Fn(&Value) -> bool) -> Option<usize> {
    node.get("anyOf").and_then(Value::as_array).and_then(|branches| branches.iter().position(like))
}

/// The part of a place that a constraint stands on: the number among the forms of a number.
fn target<'s>(node: &'s mut Value, defs: &Map<String, Value>) -> &'s mut Value {
    let node = through(node, defs);
    match branch(node, |branch| branch["type"] == "integer" || branch["type"] == "number") {
        Some(i) => &mut node["anyOf"][i],
        None => node,
    }
}

fn put(
    node: &mut Value,
    keyword: &str,
    value: &Value,
    defs: &Map<String, Value>,
) -> Result<(), OverlayError> {
    if keyword == "default" {
        return Err(OverlayError::Default);
    }
    let rule = rule(keyword).ok_or_else(|| OverlayError::Unknown { keyword: keyword.into() })?;
    form(keyword, value)?;
    let place = if let Rule::Note = rule { node } else { target(node, defs) };
    let Some(schema) = place.as_object_mut() else { return Ok(()) };
    if !fits(keyword, schema) {
        return Err(OverlayError::Unfit { keyword: keyword.into(), place: name(schema) });
    }
    match rule {
        Rule::Note => {
            schema.insert(keyword.to_owned(), value.clone());
            return Ok(());
        }
        Rule::Bound { lower, same, other } => {
            let against = |keys, sign| against(schema, keyword, value, lower, keys, sign);
            against(same, true)?;
            against(other, false)?;
        }
        Rule::Beside if schema.contains_key(keyword) => {
            return Err(OverlayError::Taken { keyword: keyword.into() });
        }
        Rule::Beside => {}
        Rule::Enum => choices(schema, value)?,
    }
    if let Some(words) = words::words(keyword, value) {
        words::append(schema, &words);
    }
    schema.insert(keyword.to_owned(), value.clone());
    Ok(())
}

/// The author's text first, what the host says of the type in brackets behind it.
fn describe(node: &mut Value, text: &Value) -> Result<(), OverlayError> {
    form("description", text)?;
    let host = node.get("description").and_then(Value::as_str);
    let all = host.map(|host| format!("{} ({host})", text.as_str().unwrap_or_default()));
    node["description"] = all.map_or_else(|| text.clone(), Value::from);
    Ok(())
}

/// Whether the keyword's value is one that the keyword can have.
fn form(keyword: &str, value: &Value) -> Result<(), OverlayError> {
    let texts = |value: &Value| value.as_str().is_some();
    let (fine, expected) = match keyword {
        "description" | "title" => (texts(value), "a string"),
        "examples" | "enum" => (value.as_array().is_some_and(|all| !all.is_empty()), "a list of values"),
        "pattern" => (value.as_str().is_some_and(|p| pattern::compile(p).is_ok()), "a regular expression"),
        "format" => {
            (value.as_str().is_some_and(|f| FORMATS.contains(&f)), "one of the formats that are checked")
        }
        "multipleOf" => (value.as_f64().is_some_and(|n| n > 0.0), "a number above 0"),
        HEADER => (value.as_str().is_some_and(header::is_name), "a part of a header's name"),
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => (value.is_number(), "a number"),
        _ => (value.is_u64(), "a whole number"),
    };
    let wrong = || OverlayError::Form { keyword: keyword.into(), expected, value: got(value) };
    if fine { Ok(()) } else { Err(wrong()) }
}

fn fits(keyword: &str, schema: &Map<String, Value>) -> bool {
    let ty = schema.get("type").and_then(Value::as_str).unwrap_or_default();
    let plain = !schema.contains_key("contentEncoding");
    match keyword {
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => {
            ty == "integer" || ty == "number"
        }
        "minLength" | "maxLength" | "pattern" | "format" => {
            ty == "string" && plain && !schema.contains_key("enum")
        }
        "minItems" | "maxItems" => ty == "array" && !schema.contains_key("prefixItems"),
        "enum" => plain && matches!(ty, "string" | "integer" | "number" | "boolean"),
        HEADER => plain && matches!(ty, "string" | "integer" | "boolean"),
        _ => true,
    }
}

/// What stands at a place, for an error.
fn name(schema: &Map<String, Value>) -> String {
    match schema.get("type").and_then(Value::as_str) {
        Some(_) if schema.contains_key("enum") => "an enum".into(),
        Some(_) if schema.contains_key("contentEncoding") => "bytes".into(),
        Some(_) if schema.contains_key("prefixItems") => "a tuple".into(),
        Some(ty @ ("integer" | "array" | "object")) => format!("an {ty}"),
        Some(ty) => format!("a {ty}"),
        None => "a choice of forms".into(),
    }
}

/// Compares with the bounds that hold: those of the same side must not be widened, those across not passed.
fn against(
    schema: &Map<String, Value>,
    keyword: &str,
    value: &Value,
    lower: bool,
    keys: [&str; 2],
    same: bool,
) -> Result<(), OverlayError> {
    for bound in keys {
        let Some(limit) = schema.get(bound) else { continue };
        // A lower bound widens by being less, and passes an upper one by being greater.
        let passed = (lower == same && less(value, limit)) || (lower != same && less(limit, value));
        if passed || (!same && leaves_none(keyword, value, bound, limit)) {
            let (keyword, bound) = (keyword.to_owned(), bound.to_owned());
            let (value, limit) = (value.clone(), limit.clone());
            return Err(match same {
                true => OverlayError::Widens { keyword, value, bound, limit },
                false => OverlayError::Contradicts { keyword, value, bound, limit },
            });
        }
    }
    Ok(())
}

/// Whether two bounds from both sides meet where one of them excludes its value.
fn leaves_none(keyword: &str, value: &Value, bound: &str, limit: &Value) -> bool {
    let exclusive = keyword.starts_with("exclusive") || bound.starts_with("exclusive");
    exclusive && !less(value, limit) && !less(limit, value)
}

/// Each value must be one that the place already allows.
fn choices(schema: &Map<String, Value>, values: &Value) -> Result<(), OverlayError> {
    let validator = jsonschema::options()
        .offline()
        .with_pattern_options(pattern::options())
        .build(&Value::Object(schema.clone()))
        .ok();
    let refused = |value: &&Value| validator.as_ref().is_none_or(|allowed| !allowed.is_valid(value));
    let Some(value) = values.as_array().into_iter().flatten().find(refused) else { return Ok(()) };
    let (keyword, value) = ("enum".to_owned(), value.clone());
    let limit = schema.get("enum").or_else(|| schema.get("type")).cloned().unwrap_or_default();
    let bound = if schema.contains_key("enum") { "enum" } else { "type" };
    Err(OverlayError::Widens { keyword, value, bound: bound.into(), limit })
}

#[cfg(test)]
mod tests;
