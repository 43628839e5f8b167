//! The body of a request: the fields of an object stand beside the parameters.

use serde_json::{Map, Value};

use super::{BESIDE_PROPERTIES, is_closed};

/// Puts the fields of the body in its place, where it is an object of these fields alone and no parameter has the name of one.
/// Returns whether calls that the document refuses are accepted then.
pub(super) fn spread(schema: &mut Value, body: &str) -> bool {
    let taken = taken(schema, body);
    let (Some((fields, names)), Value::Object(schema)) = (taken, schema) else { return false };
    let mut required: Vec<Value> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().cloned().collect();
    let before = required.len();
    required.retain(|name| name != body);
    let is_required = required.len() < before;
    let is_looser = !is_required && !names.is_empty();
    required.extend(names.into_iter().filter(|_| is_required));
    schema.insert("required".into(), required.into());
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.remove(body);
        properties.extend(fields);
    }
    is_looser
}

/// The fields of the body, and the names of those that are required.
fn taken(schema: &Value, body: &str) -> Option<(Map<String, Value>, Vec<Value>)> {
    let properties = schema.get("properties")?.as_object()?;
    let object = properties.get(body)?.as_object()?;
    let fields = object.get("properties")?.as_object()?;
    let is_plain = object.get("type").is_none_or(|ty| ty == "object")
        && object.get("additionalProperties").is_none_or(is_closed)
        && !object.contains_key("enum")
        && !BESIDE_PROPERTIES.iter().any(|keyword| object.contains_key(*keyword))
        && fields.keys().all(|name| name == body || !properties.contains_key(name));
    let names = object.get("required").and_then(Value::as_array).into_iter().flatten().cloned().collect();
    is_plain.then(|| (fields.clone(), names))
}
