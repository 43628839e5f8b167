//! Functions with a schema of their arguments: MCP's tools, and the forms that providers of models take.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Document, Form, Published, Root, Rounded, text};
use crate::{ImportError, Notes};

pub(super) fn read(value: &Value) -> Result<Document, ImportError> {
    let mut functions = Vec::new();
    collect(value, "", 0, &mut functions)?;
    if functions.is_empty() {
        return Err(ImportError::Form);
    }
    let is_mcp = |(_, entry): &(String, &Value)| entry.get("inputSchema").is_some();
    let form = if functions.iter().all(is_mcp) { Form::Mcp } else { Form::Functions };
    let functions =
        functions.into_iter().map(|(at, entry)| published(at, entry)).collect::<Result<_, _>>()?;
    Ok(Document { form, functions, server: None, said: Vec::new(), rounded: Rounded::default() })
}

/// The functions below a value, with their places. Lists and the objects that wrap them are at most four deep.
fn collect<'v>(
    value: &'v Value,
    at: &str,
    depth: usize,
    found: &mut Vec<(String, &'v Value)>,
) -> Result<(), ImportError> {
    if depth > 4 {
        return Err(ImportError::Form);
    }
    if let Value::Array(items) = value {
        return items
            .iter()
            .enumerate()
            .try_for_each(|(n, item)| collect(item, &format!("{at}/{n}"), depth + 1, found));
    }
    if value.get("name").is_some_and(Value::is_string) {
        found.push((at.to_owned(), value));
        return Ok(());
    }
    // `tools` of a request or an answer, `result` of JSON-RPC, `function` of OpenAI and of records with a question.
    for key in ["tools", "result", "functions", "function"] {
        if let Some(inner) = value.get(key).filter(|inner| inner.is_object() || inner.is_array()) {
            return collect(inner, &format!("{at}/{key}"), depth + 1, found);
        }
    }
    Err(if at.is_empty() { ImportError::Form } else { ImportError::at(at, "no function: it has no `name`") })
}

fn published(at: String, entry: &Value) -> Result<Published, ImportError> {
    let schemas = ["inputSchema", "input_schema", "parameters"];
    let given =
        schemas.iter().find_map(|key| Some((*key, entry.get(key)?))).filter(|(_, schema)| !schema.is_null());
    let (key, parameters) = given
        .map_or_else(|| ("parameters", json!({"type": "object"})), |(key, schema)| (key, schema.clone()));
    let parameters_at = format!("{at}/{key}");
    if !parameters.is_object() {
        return Err(ImportError::at(parameters_at, "the schema of its arguments is not an object"));
    }
    let hint = |name: &str| entry.pointer(&format!("/annotations/{name}")).and_then(Value::as_bool);
    let effects = match (hint("readOnlyHint"), hint("idempotentHint")) {
        (Some(true), _) => Some("read"),
        (_, Some(true)) => Some("idempotent"),
        (Some(false), _) => Some("write"),
        _ => None,
    };
    let name = text(entry, "name").unwrap_or_default();
    let title =
        text(entry, "title").or_else(|| entry.pointer("/annotations").and_then(|said| text(said, "title")));
    Ok(Published {
        result_at: format!("{at}/outputSchema"),
        at,
        parameters_at,
        notes: Notes { function: name.clone(), ..Notes::default() },
        name,
        title,
        description: text(entry, "description"),
        parameters,
        body: None,
        places: BTreeMap::new(),
        result: entry.get("outputSchema").filter(|schema| schema.is_object()).cloned(),
        root: Root::Schema,
        effects,
        request: None,
    })
}
