//! How a value could be mended without losing anything. Mends are hints for the caller; the host never applies them to
//! a call.
//!
//! Owns the coercions that are worth a hint. Must not know keys: `object` does. To add one: a line in [`of`].

use serde_json::{Value, json};

use super::fault::{Fix, Reader};
use super::wording;
use airlock_types::place::Step;
use airlock_types::shorten::is_within;
use airlock_types::words::{got, nearest, quoted};

/// A hint, and the change that it describes if that change loses nothing.
pub(super) type Mend = (String, Option<Fix>);

/// Size in bytes of the largest value that is parsed or copied for a hint. A larger one would not be shown in an
/// example.
const JSON_BYTES_MAX: usize = 4096;

/// The mend of a value that does not fit a schema, if there is one.
pub(super) fn of<'s>(reader: &Reader<'s>, schema: &'s Value, value: &Value, at: &[Step]) -> Option<Mend> {
    let schema = reader.resolve(schema);
    let (hint, with) = match value {
        Value::String(text) if text.len() <= JSON_BYTES_MAX => from_text(schema, text),
        Value::Number(number) if wants(schema, "string") => {
            let text = number.to_string();
            Some((format!("send the string {}, not the number", quoted(&text)), Some(json!(text))))
        }
        Value::Bool(flag) if wants(schema, "string") => {
            Some((format!("send the string \"{flag}\", not the boolean"), Some(json!(flag.to_string()))))
        }
        Value::Number(number)
            if wants(schema, "integer") && number.as_f64().is_some_and(|n| n.fract() != 0.0) =>
        {
            Some(("send a whole number".to_owned(), None))
        }
        _ => None,
    }
    // Last, since every value could be wrapped: a coercion of the value itself is the likelier mend.
    .or_else(|| as_item(reader, schema, value))?;
    Some((hint, with.map(|with| Fix::Replace { at: at.to_vec(), with })))
}

fn wants(schema: &Value, ty: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(wanted)) => wanted == ty,
        Some(Value::Array(wanted)) => wanted.iter().any(|wanted| wanted == ty),
        _ => false,
    }
}

fn from_text(schema: &Value, text: &str) -> Option<(String, Option<Value>)> {
    // Before the coercions: among the options, the nearest one is the only useful hint.
    if let Some(options) = schema.get("enum").and_then(Value::as_array) {
        return option(options, text);
    }
    let number = number(schema, text).map(|n| (format!("send the number {n}, not the string"), Some(n)));
    number.or_else(|| boolean(schema, text)).or_else(|| json_text(schema, text))
}

fn option(options: &[Value], text: &str) -> Option<(String, Option<Value>)> {
    let meant = nearest(text, options.iter().filter_map(Value::as_str))?;
    // Only a difference in case, `_` or spaces is lossless. Any other near name is a guess: it is a hint without a fix.
    let same = meant.to_lowercase() == text.trim().to_lowercase().replace(['_', ' '], "-");
    Some((format!("did you mean {}?", quoted(meant)), same.then(|| json!(meant))))
}

fn number(schema: &Value, text: &str) -> Option<Value> {
    let text = text.trim();
    // `i64`, then `u64`, then a float: in a float, a large integer would lose digits.
    let whole =
        || text.parse::<i64>().map(Value::from).or_else(|_| text.parse::<u64>().map(Value::from)).ok();
    let real = || text.parse::<f64>().ok().filter(|n| n.is_finite()).map(Value::from);
    match (wants(schema, "integer"), wants(schema, "number")) {
        (_, true) => whole().or_else(real),
        (true, false) => whole(),
        (false, false) => None,
    }
}

fn boolean(schema: &Value, text: &str) -> Option<(String, Option<Value>)> {
    let flag: bool = text.trim().to_lowercase().parse().ok().filter(|_| wants(schema, "boolean"))?;
    Some((format!("send {flag}, not the string"), Some(json!(flag))))
}

/// An object or a list that was sent as a string of JSON, a frequent mistake of models.
fn json_text(schema: &Value, text: &str) -> Option<(String, Option<Value>)> {
    let parsed: Value = serde_json::from_str(text).ok()?;
    let fits =
        (parsed.is_object() && wants(schema, "object")) || (parsed.is_array() && wants(schema, "array"));
    if !fits {
        return None;
    }
    let what = if parsed.is_object() { "object" } else { "list" };
    Some((format!("send the {what} itself, not a string of JSON"), Some(parsed)))
}

fn as_item<'s>(reader: &Reader<'s>, schema: &'s Value, value: &Value) -> Option<(String, Option<Value>)> {
    let items = reader.resolve(schema.get("items").filter(|_| wants(schema, "array"))?);
    let ty = match value {
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) if wants(items, "number") => "number",
        Value::Number(_) => "integer",
        Value::Object(_) => "object",
        Value::Null | Value::Array(_) => return None,
    };
    let hint =
        || format!("send a list with one item, not the {}", got(value).split(' ').next().unwrap_or("value"));
    let is_short = || is_within(value, JSON_BYTES_MAX);
    wants(items, ty).then(|| (hint(), is_short().then(|| json!([value]))))
}

/// The mend of a variant that was sent in another common form: its bare name, or `{"case": payload}`.
pub(super) fn variant(branches: &[&Value], value: &Value, at: &[Step]) -> Option<Mend> {
    let (name, payload) = match value {
        Value::String(name) => (name, None),
        Value::Object(object) if object.len() == 1 => {
            let (name, payload) = object.iter().next()?;
            (name, Some(payload))
        }
        _ => return None,
    };
    let branch = branches.iter().find(|branch| wording::tag(branch) == Some(name))?;
    let has_payload = branch.get("properties").is_some_and(|properties| properties.get("val").is_some());
    let example = if has_payload { r#", "val": …"# } else { "" };
    let hint = format!(r#"send {{"tag": {}{example}}}"#, quoted(name));
    // A payload that is missing cannot be invented, and one that the case does not take would be lost.
    let is_complete = has_payload == payload.is_some() && is_within(value, JSON_BYTES_MAX);
    let with = || match payload {
        Some(payload) => json!({ "tag": name, "val": payload }),
        None => json!({ "tag": name }),
    };
    Some((hint, is_complete.then(|| Fix::Replace { at: at.to_vec(), with: with() })))
}
