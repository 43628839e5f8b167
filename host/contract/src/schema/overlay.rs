//! Applies the constraints and notes of a contract to the schema of a type.
//!
//! Owns which keywords a place accepts, and that a constraint only tightens. Must not know contracts. To add a
//! keyword: a row in `rule`, and its phrase in `words`.

mod error;
pub(crate) mod header;

use serde_json::{Map, Value};

pub use self::error::OverlayError;
use super::defs;
use super::exact::less;
use crate::path::{Path, PathError, Segment, snake};
use crate::pattern;
use airlock_types::words::got;

/// The keywords that a contract can apply to a place.
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

/// The keyword of an argument that clients also send as an HTTP header (SEP-2243). The protocol compares the
/// two.
pub(crate) const HEADER: &str = "x-mcp-header";

/// The formats that the validator checks. Another one would be accepted and have no effect.
const FORMATS: [&str; 10] =
    ["date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uri", "uuid"];

/// How a keyword combines with what the schema already says.
enum Rule {
    /// Describes a value and does not constrain it.
    Note,
    /// A bound. `same` are the keywords on its side of the range, `other` those on the opposite side.
    Bound { lower: bool, same: [&'static str; 2], other: [&'static str; 2] },
    /// Applies in addition to the others, once for each place.
    Beside,
    /// Lists the allowed values.
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

/// Whether a keyword describes a value and does not constrain it.
pub(crate) fn is_note(keyword: &str) -> bool {
    matches!(rule(keyword), None | Some(Rule::Note))
}

/// Applies keywords to the place that a path selects, in a schema that this crate made. On an error no keyword
/// is applied.
///
/// Options are looked through. Constraints on a 64-bit integer are added to the integer branch only: whether
/// the decimal string obeys them is checked by [`super::broken`], after lowering.
///
/// # Errors
/// When the path selects nothing, or a keyword is unknown, does not fit its place, or would widen it.
pub fn overlay(schema: &mut Value, path: &Path, keywords: &Map<String, Value>) -> Result<(), OverlayError> {
    // The definitions are taken out first: a definition can then be copied to one place while the schema is
    // borrowed.
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
    // A shared part gets a copy of its own, so that the constraint applies at this place only.
    defs::expand(node, defs);
    // Changes go to a copy, so that a keyword that fails leaves none of the others behind.
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
        // A name that is not a property is that of a case: the path goes on in its payload.
        Segment::Field(name) if case(node, name, defs).is_some() => {
            let at = case(node, name, defs).unwrap_or_default();
            Ok(&mut node["anyOf"][at]["properties"]["val"])
        }
        Segment::Field(name) => {
            // Lookup for twice, so that the names are only listed where the error needs them.
            if node.get("properties").is_none_or(|all| all.get(name).is_none()) {
                return Err(PathError::Unknown { name: name.clone(), known: node_names(node) });
            }
            Ok(&mut node["properties"][name.as_str()])
        }
        // A tuple has `items: false`, and its parts have types of their own.
        Segment::Items if node.get("prefixItems").is_none() && node.get("items").is_some() => {
            Ok(&mut node["items"])
        }
        Segment::Items => Err(PathError::NotAList(path.to_string())),
    }
}

/// The branch of the case of this name that has a payload.
fn case(node: &mut Value, name: &str, defs: &Map<String, Value>) -> Option<usize> {
    let branches = node.get_mut("anyOf").and_then(Value::as_array_mut)?;
    branches.iter_mut().position(|branch| {
        defs::expand(branch, defs);
        let tag = branch.pointer("/properties/tag/enum/0").and_then(Value::as_str);
        tag.is_some_and(|tag| snake(tag) == name) && branch.pointer("/properties/val").is_some()
    })
}

/// What a value is inside of options, in a schema without shared parts.
pub(crate) fn inside(node: &mut Value) -> &mut Value {
    through(node, &Map::new())
}

fn node_names(node: &Value) -> Vec<String> {
    let properties = node.get("properties").and_then(Value::as_object);
    properties.into_iter().flat_map(|all| all.keys().cloned()).collect()
}

/// Looks through options, and through the object that wraps an option inside an option, where null comes first.
fn through<'s>(node: &'s mut Value, defs: &Map<String, Value>) -> &'s mut Value {
    defs::expand(node, defs);
    // A branch can be a reference, whose target may be the null that decides.
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

/// The index of the first `anyOf` branch that satisfies the predicate.
fn branch(node: &Value, like: impl Fn(&Value) -> bool) -> Option<usize> {
    node.get("anyOf").and_then(Value::as_array).and_then(|branches| branches.iter().position(like))
}

/// The subschema that a constraint applies to: for a number with several forms, the numeric branch.
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
    let rule = rule(keyword).ok_or_else(|| OverlayError::Unknown { keyword: keyword.into() })?;
    form(keyword, value)?;
    // A note is about the argument as a whole, a constraint about its value inside options.
    let place = if let Rule::Note = rule { node } else { target(node, defs) };
    let Some(schema) = place.as_object_mut() else { return Ok(()) };
    if !fits(keyword, schema) {
        return Err(OverlayError::Unfit { keyword: keyword.into(), place: name(schema) });
    }
    let is_whole = || value.as_f64().is_some_and(|step| step.fract() == 0.0);
    if keyword == "multipleOf" && schema.get("type").is_some_and(|ty| ty == "integer") && !is_whole() {
        let expected = "a whole number where the value is an integer";
        return Err(OverlayError::Form { keyword: keyword.into(), expected, value: got(value) });
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
    schema.insert(keyword.to_owned(), value.clone());
    Ok(())
}

/// Puts the author's text first, and the phrases of the type in brackets after it.
fn describe(node: &mut Value, text: &Value) -> Result<(), OverlayError> {
    form("description", text)?;
    let host = node.get("description").and_then(Value::as_str);
    let all = host.map(|host| format!("{} ({host})", text.as_str().unwrap_or_default()));
    node["description"] = all.map_or_else(|| text.clone(), Value::from);
    Ok(())
}

/// Checks the form of a keyword's value.
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
        // Lengths and counts.
        _ => (value.is_u64(), "a whole number"),
    };
    let wrong = || OverlayError::Form { keyword: keyword.into(), expected, value: got(value) };
    if fine { Ok(()) } else { Err(wrong()) }
}

fn fits(keyword: &str, schema: &Map<String, Value>) -> bool {
    let ty = schema.get("type").and_then(Value::as_str).unwrap_or_default();
    // The string of a byte list is base64, so constraints on it would be about the encoding.
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

/// What is at a place, for an error.
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

/// Compares a bound with those that already apply. A bound on the same side must not be widened, and one on the
/// other side must leave a value between the two.
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

/// Whether two bounds from opposite sides are equal while one of them excludes its value.
fn leaves_none(keyword: &str, value: &Value, bound: &str, limit: &Value) -> bool {
    let exclusive = keyword.starts_with("exclusive") || bound.starts_with("exclusive");
    exclusive && !less(value, limit) && !less(limit, value)
}

/// Each listed value must already be allowed at the place.
fn choices(schema: &Map<String, Value>, values: &Value) -> Result<(), OverlayError> {
    // A validator decides, because a place can already have bounds, a pattern or another `enum`. A schema that
    // does not compile allows no value.
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
