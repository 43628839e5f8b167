//! OpenAPI 3: each operation is a function, whose arguments are its parameters and its body.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Document, Form, Published, Request, Root, text};
use crate::ImportError;

/// The methods, with the effect class that HTTP gives them.
const METHODS: [(&str, &str); 7] = [
    ("delete", "idempotent"),
    ("get", "read"),
    ("head", "read"),
    ("options", "read"),
    ("patch", "write"),
    ("post", "write"),
    ("put", "idempotent"),
];

pub(super) fn read(value: Value) -> Result<Document, ImportError> {
    let version = text(&value, "openapi").unwrap_or_default();
    if !version.starts_with("3.") {
        return Err(ImportError::at("/openapi", "only OpenAPI 3 is read; convert Swagger 2 first"));
    }
    let document = Arc::new(value);
    let paths = document.get("paths").and_then(Value::as_object);
    let paths = paths.ok_or_else(|| ImportError::at("/paths", "it has no `paths`"))?;
    let mut functions = Vec::new();
    for (path, item) in paths {
        let at = format!("/paths/{}", path.replace('~', "~0").replace('/', "~1"));
        let item = followed(&document, item, &at)?;
        for (method, effects) in METHODS {
            if let Some(operation) = item.get(method) {
                let at = format!("{at}/{method}");
                functions.push(
                    Operation { document: &document, item, operation, at }
                        .published(method, path, effects)?,
                );
            }
        }
    }
    let server = document.pointer("/servers/0/url").and_then(Value::as_str).map(str::to_owned);
    Ok(Document { form: Form::OpenApi, functions, server })
}

struct Operation<'o> {
    document: &'o Arc<Value>,
    item: &'o Value,
    operation: &'o Value,
    at: String,
}

impl Operation<'_> {
    fn published(&self, method: &str, path: &str, effects: &'static str) -> Result<Published, ImportError> {
        let name = text(self.operation, "operationId").unwrap_or_else(|| format!("{method} {path}"));
        let description = text(self.operation, "description").or_else(|| text(self.operation, "summary"));
        Ok(Published {
            name,
            title: text(self.operation, "summary"),
            description,
            parameters: self.parameters()?,
            result: self.result()?,
            root: Root::Document(Arc::clone(self.document)),
            effects: Some(effects),
            request: Some(Request { method: method.to_uppercase(), path: path.to_owned() }),
            at: self.at.clone(),
            parameters_at: self.at.clone(),
        })
    }

    /// One schema of all parameters and of the body. Those of the operation replace those of the path.
    fn parameters(&self) -> Result<Value, ImportError> {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for (at, owner) in [("parameters of the path", self.item), (self.at.as_str(), self.operation)] {
            let parameters = owner.get("parameters").and_then(Value::as_array);
            for parameter in parameters.into_iter().flatten() {
                let parameter = followed(self.document, parameter, &self.at)?;
                let name = text(parameter, "name")
                    .ok_or_else(|| ImportError::at(at, "a parameter has no `name`"))?;
                // The host of the tool sends these.
                if text(parameter, "in").as_deref() == Some("cookie") {
                    continue;
                }
                required.retain(|other| *other != name);
                if parameter.get("required") == Some(&Value::Bool(true)) {
                    required.push(name.clone());
                }
                properties.insert(name, described(parameter, self.content(parameter)));
            }
        }
        self.body(&mut properties, &mut required)?;
        Ok(json!({"type": "object", "properties": properties, "required": required}))
    }

    /// The schema of a parameter, a body or an answer: its own, or that of its JSON.
    fn content(&self, owner: &Value) -> Option<Value> {
        let content = || {
            let types = owner.get("content")?.as_object()?;
            let json = types.iter().find(|(name, _)| name.contains("json"));
            json.or_else(|| types.iter().next())?.1.get("schema")
        };
        owner.get("schema").or_else(content).cloned()
    }

    /// The fields of a body that is an object stand beside the parameters, and any other body is the argument `body`.
    fn body(
        &self,
        properties: &mut Map<String, Value>,
        required: &mut Vec<String>,
    ) -> Result<(), ImportError> {
        let Some(body) = self.operation.get("requestBody") else { return Ok(()) };
        let body = followed(self.document, body, &self.at)?;
        let is_required = body.get("required") == Some(&Value::Bool(true));
        let schema = self.content(body).unwrap_or_else(|| json!({}));
        let target = followed(self.document, &schema, &self.at)?;
        let fields = target.get("properties").and_then(Value::as_object);
        let is_closed = target.get("additionalProperties").is_none_or(|more| *more == Value::Bool(false));
        let simple = is_closed && ["allOf", "anyOf", "oneOf"].iter().all(|key| target.get(key).is_none());
        match fields.filter(|fields| simple && fields.keys().all(|name| !properties.contains_key(name))) {
            Some(fields) => {
                properties.extend(fields.clone());
                let names = target.get("required").and_then(Value::as_array).into_iter().flatten();
                required.extend(names.filter_map(Value::as_str).filter(|_| is_required).map(str::to_owned));
            }
            None => {
                let mut names = ["body", "request_body"].into_iter().chain(["http_body"]);
                let name = names.find(|name| !properties.contains_key(*name)).unwrap_or("body");
                properties.insert(name.to_owned(), described(body, Some(schema)));
                required.extend(is_required.then(|| name.to_owned()));
            }
        }
        Ok(())
    }

    /// The schema of the JSON of the first answer that is a success.
    fn result(&self) -> Result<Option<Value>, ImportError> {
        let answers = self.operation.get("responses").and_then(Value::as_object);
        let success = answers.into_iter().flatten().find(|(status, _)| status.starts_with('2'));
        let Some((_, answer)) = success else { return Ok(None) };
        let answer = followed(self.document, answer, &self.at)?;
        let is_json = answer.get("content").and_then(Value::as_object);
        let is_json = is_json.is_some_and(|types| types.keys().any(|name| name.contains("json")));
        Ok(self.content(answer).filter(|_| is_json))
    }
}

/// A schema with the description of what owns it, unless it has one.
fn described(owner: &Value, schema: Option<Value>) -> Value {
    let mut schema = schema.unwrap_or_else(|| json!({}));
    if let (Some(text), Value::Object(keywords)) = (text(owner, "description"), &mut schema) {
        keywords.entry("description").or_insert_with(|| json!(text));
    }
    schema
}

/// What a reference leads to, through others; the value itself, if it is none.
fn followed<'v>(document: &'v Value, value: &'v Value, at: &str) -> Result<&'v Value, ImportError> {
    let mut value = value;
    for _ in 0..8 {
        let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return Ok(value) };
        let target = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
        value = target
            .ok_or_else(|| ImportError::at(at, format!("`{reference}` leads nowhere in the document")))?;
    }
    Err(ImportError::at(at, "references lead to references, more than eight in a chain"))
}
